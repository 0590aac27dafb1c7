/* SPDX-License-Identifier: MIT */
/*
 * What GPUs and accelerators a machine has. The contract of probe/: other folders include this header
 * and no other.
 *
 * probe_collect() reads a live or captured machine through its root descriptor and never wakes a
 * sleeping device. Every number is a fact: it says who told us, or why nobody could. All structs are
 * plain values: copy by assignment; only the report itself is freed, by probe_free().
 */
#ifndef BERTH_PROBE_H
#define BERTH_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fact.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/text.h"
#include "probe/addr.h"
#include "probe/bars.h"
#include "probe/config.h"
#include "probe/index.h"
#include "probe/kfd.h"
#include "probe/link.h"
#include "probe/live.h"
#include "probe/memory.h"
#include "probe/nvidia.h"
#include "probe/place.h"
#include "probe/power.h"
#include "probe/presence.h"
#include "probe/procs.h"
#include "probe/refresh.h"
#include "probe/usb4.h"

#define PROBE_GPUS_MAX   64
#define PROBE_OTHERS_MAX 16

/* What the configuration space of an awake device says; without root only its first 64 bytes are told. */
struct config_facts {
	struct fact bytes;                     /* how many could be read */
	struct fact memory_decode, bus_master; /* 1: on, of the command register */
	struct fact speed_mts, width; /* the function's own link, which may be the wrong one */
	struct fact max_speed_mts, max_width;
	struct fact_text aspm; /* power saving of that link in force: "off", "L1", "L0s L1" */
	struct fact aer_uncorrectable; /* errors since they were last cleared, as PCIe's bits */
	struct fact_text capabilities; /* ids as they are chained: "01 10 05, 0001 0015" */
};

/* Power state, from power/runtime_status of the function and of every bridge above it. */
enum awake { AWAKE_UNKNOWN, AWAKE_YES, AWAKE_NO };

/* What it is for the person who owns it. */
enum gpu_kind {
	GPU_UNKNOWN = 0,
	GPU_INTEGRATED,  /* part of the processor, works in RAM */
	GPU_DISCRETE,    /* a card */
	GPU_EXTERNAL,    /* a card behind Thunderbolt, USB4 or another external port */
	GPU_BMC,         /* a server's management controller: display only */
	GPU_VIRTUAL,     /* a virtual machine's display */
	GPU_NPU,         /* an accelerator for inference, without graphics */
	GPU_COPROCESSOR, /* other processing accelerators */
	GPU_KIND_COUNT
};

struct gpu {
	char pci[24]; /* "0000:c1:00.0"; domains may have 8 digits */
	uint32_t vendor, device, subvendor, subdevice, class, revision;
	struct fact_text vendor_name, device_name; /* pci.ids */
	struct fact_text name;   /* the best name for people: NVML's, else the device name */
	struct fact_text uuid;   /* "GPU-..."; NVIDIA only today */
	struct fact_text driver; /* "amdgpu"; unknown with WHY_NO_DRIVER when none is bound */
	struct fact_text driver_version;
	char driver_note[96]; /* why no driver is bound, or what a bound one means; may be empty */
	enum awake awake;
	struct fact boot_vga; /* 1: the firmware's display */
	struct bar bars[PROBE_BARS];
	struct fact numa_node; /* unknown when the kernel says -1 */
	struct fact_text cpus; /* "0-7,16-23": the CPUs near it */
	struct fact iommu_group;
	struct fact_text drm_card, drm_render;        /* "/dev/dri/card0" */
	struct fact vram_total, vram_used, vram_free; /* bytes on the card */
	struct fact gtt_total, gtt_used;              /* host memory it may map (amdgpu), bytes */
	struct fact power_mw;                         /* now, milliwatts */
	struct fact power_cap_mw;
	struct fact temp_mc; /* thousandths of a degree Celsius */
	struct fact busy_percent;

	enum gpu_kind kind;
	char kind_how[80];       /* by which rule */
	struct fact integrated;  /* 1: its driver says it is part of the processor; 0: it is not */
	struct fact_text board;  /* subsystem or product name */
	struct fact_text serial; /* of the board; scrubbed in captures */
	struct fact_text vbios;
	struct fact_text driver_override;
	struct fact_text removable; /* the kernel's word: "fixed", "removable", "unknown" */
	struct fact_text by_path;   /* "/dev/dri/by-path/pci-0000:03:00.0-render" */
	struct fact_text accel;     /* "/dev/accel/accel0" */
	struct fact_text vfio;      /* "/dev/vfio/14", or the cdev "/dev/vfio/devices/vfio0" */
	struct fact kfd_node;       /* N of /sys/class/kfd/kfd/topology/nodes/N */
	struct fact_text arch;      /* "gfx1100", "sm_89": what compute libraries call the chip */
	struct fact vfs_total, vfs; /* SR-IOV: virtual functions possible, and now */
	/*
	 * NVIDIA's driver, without waking: whether the card may sleep ("Enabled (fine-grained)"), and what its
	 * memory does ("Active", "Off").
	 */
	struct fact_text runtime_d3, vram_state;
	char physfn[24]; /* of a virtual function: its physical function; else empty */
	struct fact_text
		partition; /* MIG or compute partition in force: "MIG 3 of 7", "SPX/NPS1" */
	struct config_facts config;
	struct link link;
	struct tunnel tunnel;
	struct gpu_memory memory;
	struct kfd kfd;
	struct live live;
	struct holders holders;
	struct passthrough place;
	struct index_map index;
	struct fact seen_s_ago; /* age in seconds of the facts whose source is the cache */
	struct nvidia nvidia;
};

/* A display or compute device that is not on PCI: a phone-like SoC's GPU, an NPU, a virtual DRM device. */
struct other_device {
	char path[200];       /* below /sys/devices */
	struct fact_text bus; /* "platform", "faux", "virtual" */
	struct fact_text driver, card, render, accel;
	struct fact_text compatible; /* devicetree's or modalias' name */
	bool npu;
};

/* The device of last resort. */
struct cpu {
	struct fact_text name; /* "AMD Ryzen 9 7950X" */
	struct fact cores;     /* physical cores we may use */
	struct fact threads;   /* logical CPUs we may use */
	struct fact packages;
	struct fact numa_nodes;
	struct fact ram_total, ram_available; /* bytes; MemAvailable */
	struct fact busy_percent;             /* of all its time; only by probe_refresh_host() */
	/*
	 * One logical CPU per physical core, "0-7": where launch pins. Plain ranges; where these would not
	 * fit, with strides as taskset(1) reads them: "0-126:2".
	 */
	struct fact_text cpuset;
	/* The same CPUs in the order in which hwloc, and so Slurm, counts cores: "0-6:2,1-7:2". */
	struct fact_text core_order;
};

struct report {
	struct fact_text host;   /* the host name; "machine" in a captured folder */
	struct fact_text kernel; /* "6.12.4" */
	struct cpu cpu;
	struct usb4 usb4;
	uint32_t n_others;
	struct other_device others[PROBE_OTHERS_MAX];
	uint32_t n_others_left_out;
	uint32_t n_left_out;  /* display functions beyond PROBE_GPUS_MAX: never silent */
	uint32_t n_unclassed; /* functions whose class cannot be read: GPUs may be among them */
	uint32_t n_gpus;
	struct gpu
		gpus[PROBE_GPUS_MAX]; /* in PCI address order; last, so that copies can be short */
};

struct probe_opts {
	bool wake;    /* reads that wake a sleeping device are allowed */
	bool no_nvml; /* do not start the NVML child (tests, and callers that need no memory facts) */
	bool topology; /* load hwloc, which takes longer than all the rest: cpu.cpuset, cpu.numa_nodes */
	bool no_procs; /* do not look for the processes that hold GPUs */
};

/*
 * Collect everything. A missing source leaves facts unknown and is no error; what is an error is a
 * machine that cannot be read at all. *r is one allocation, freed by probe_free().
 */
int probe_collect(const struct machine *m, const struct probe_opts *o, struct report **r,
		  struct err *e);
void probe_free(struct report *r);

/* "berth.probe/1". The caller owns it. */
json_t *probe_to_json(const struct report *r);

/* "0000:c1:00.0  AMD Radeon RX 7900 XTX", for one-line mentions. */
void gpu_title(struct text *t, const struct gpu *g);

/* The GPU at a PCI address, in either case of letters; NULL: none, as for "". */
const struct gpu *report_gpu(const struct report *r, const char *pci);

/*
 * Whether a driver that a compute engine can use is bound: by the table of drivers (amdgpu, nvidia,
 * i915, xe, nouveau, ...). Display-only functions (ast, bochs, cirrus) are not.
 */
bool gpu_can_compute(const struct gpu *g);

/*
 * What Slurm knows a GPU by, as `probe --format slurm` writes it for gres.conf(5): its type,
 * "nvidia_geforce_rtx_4090", from the name, or from the ids without one; its file, "/dev/nvidia0". gres_type
 * is false when the name has no letter or digit, gpu_gres_file when no file is known.
 */
bool gres_type(const char *name, char *buf, size_t size);
void gpu_gres_type(const struct gpu *g, char *buf, size_t size);
bool gpu_gres_file(const struct gpu *g, char *buf, size_t size);

/* Whether a driver of this name holds devices for a virtual machine, or for nobody: vfio-pci, pci-stub. */
bool driver_keeps(const char *name);

const char *gpu_kind_name(enum gpu_kind k); /* "integrated", "discrete", "external", "bmc", ... */

/*
 * Select GPUs by "ADDR|UUID|NAME[,...]": a PCI address (the domain may be left out), a UUID or its
 * beginning of at least 8 characters, or a part of the name that only one GPU has. Fills index[] (at
 * most PROBE_GPUS_MAX) in the order given. Returns the count, or -ENODEV / -EINVAL with *e naming what
 * matched nothing or too much, and what there is.
 */
int probe_select(const struct report *r, const char *selector, uint32_t *index, struct err *e);

#endif
