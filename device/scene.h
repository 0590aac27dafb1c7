/* SPDX-License-Identifier: MIT */
/*
 * What the verbs decide by: every PCI function of a machine, what the probe says of the GPUs among them,
 * and who uses which function. Read once, through the machine's root, before anything is decided; nothing
 * here wakes a device, and nothing is written. A scene is plain data that a test may fill by hand.
 *
 * A captured folder is hostile: names are cleaned, counts bounded, and what did not fit is counted.
 */
#ifndef BERTH_DEVICE_SCENE_H
#define BERTH_DEVICE_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fact.h"
#include "base/machine.h"
#include "base/telem.h"
#include "device/boxes.h"
#include "probe/probe.h"

#define SCENE_FUNCS_MAX 2048 /* functions: a server with virtual functions has hundreds */
#define SCENE_HOLDS_MAX 4096
#define SCENE_RUNS_MAX  64
#define FUNC_RES        17 /* lines of `resource`: six BARs, the ROM, six of SR-IOV, four windows */
#define FUNC_ROM        6
#define FUNC_WINDOW     13 /* the first of a bridge's: I/O, memory, prefetchable memory, and one more */

/* A line of `resource`: size end - start + 1 when flags are not zero. Flags as the kernel's IORESOURCE_*. */
struct func_res {
	uint64_t start, end, flags;
};

struct func {
	char pci[24];
	char dir[256];   /* its real folder: "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0" */
	char above[24];  /* the bridge right above it; "" on a root bus */
	char physfn[24]; /* of a virtual function: its physical function; else "" */
	uint32_t vendor, device, class; /* class 0x030000, three bytes; 0: unreadable */
	bool bridge;                    /* a bus is below it: PCI-to-PCI, CardBus */
	bool shown;                     /* a GPU, display or accelerator: no verb needs --any */
	char driver[40];                /* "": none is bound */
	char override[40];              /* driver_override; "": none */
	bool overridable;               /* it has a driver_override */
	/* Its lock is taken and not given back: a driver is letting go, or hangs. Nothing may be written to it. */
	bool stuck;
	int32_t iommu_group;   /* -1: none, or not told */
	char reset_method[64]; /* as the kernel orders them: "flr bus"; "": none, or switched off */
	bool has_reset;        /* it has a `reset` to write to */
	bool has_reset_method; /* the kernel tells methods (since 5.15) and this one can be reset */
	enum awake awake;      /* of the function and of every bridge above it */
	char runtime_status[16]; /* "active", "suspended", "unsupported"; "": not told */
	char power_control[8];   /* "on", "auto"; "": not told */
	int8_t d3cold_allowed;   /* 1, 0; -1: not told */
	int8_t boot_vga;         /* 1: the firmware's display; -1: not told */
	char removable[16];      /* "fixed", "removable", "unknown"; "": not told */
	uint32_t vfs;            /* virtual functions it has now */
	uint32_t n_res;          /* lines of res that were read */
	struct func_res res[FUNC_RES];
	uint32_t resizable; /* bit n: BAR n has a resource<n>_resize */
	/* Of those, the sizes it can have: bit k = 2^(k+20) bytes. 0 while it sleeps: reading would wake it. */
	uint64_t sizes[6];
	int32_t gpu; /* index into report->gpus; -1: the probe has nothing of it */
};

/* How somebody uses a function. */
enum hold_kind {
	HOLD_PROCESS, /* has its device file open: who is the program, what the file */
	HOLD_MAP,     /* has its registers mapped, or their file in sysfs open */
	HOLD_VM,      /* holds it through vfio: who is the machine's name, or the program */
	HOLD_BRIDGE, /* `berth bridge serve` does: pid is of what was started, who says which of its processes has it */
	HOLD_RUN,   /* a run of ours: who is its name */
	HOLD_MOUNT, /* a file system on it is mounted: who is the place, what the block device */
	HOLD_SWAP,  /* swapping to it: who is the block device */
	HOLD_STACK, /* another block device is built on it and not mounted: who is "dm-0", what the one below */
	HOLD_NET, /* a network interface that is up: who is "eth0", what "the default route" or "" */
	HOLD_DISPLAY, /* a connector with a picture: who is "DP-1" */
	HOLD_VFS,     /* it has virtual functions: who is their number */
	HOLD_KIND_COUNT
};

struct hold {
	enum hold_kind kind;
	uint32_t func; /* index into funcs */
	uint32_t pid;  /* of processes, virtual machines and runs; else 0 */
	char who[128];
	char what[64];
};

#define RUN_OURS UINT32_MAX

/* One of our runs that lives, by its page. */
struct scene_run {
	char name[64]; /* as `berth ps` calls it; "": none */
	uint32_t pid;
	/* Whose it is, of one in that user's own folder, where our `berth stop` does not see it; RUN_OURS: it does. */
	uint32_t uid;
	uint32_t n_pci;
	char pci[TELEM_DEVICES_MAX][24];
};

/*
 * A process that still has a group of vfio open whose functions are vfio's no more: somebody unbinds or removes them,
 * and waits for this process, with locks taken that nothing gives back before.
 */
struct scene_wait {
	uint32_t pid;
	char who[64];
	char what[64]; /* "/dev/vfio/18" */
};
#define SCENE_WAITS_MAX 16

struct scene {
	const struct machine *m; /* the caller's; NULL in tests that fill a scene by hand */
	struct report *report;
	struct boxes boxes; /* Thunderbolt: what bolt and sysfs say beyond the probe */
	uint32_t n_funcs, n_funcs_left_out;
	struct func *funcs; /* in order of addresses */
	uint32_t n_holds, n_holds_left_out;
	struct hold *holds; /* in order of functions, then of kinds */
	uint32_t n_runs;
	struct scene_run runs[SCENE_RUNS_MAX];
	uint32_t n_waits;
	struct scene_wait waits[SCENE_WAITS_MAX];
	struct fact unseen; /* processes that we may not look at: they may hold something too */
	bool other_display; /* a display that is on no PCI function: a platform's, with a connector */
};

struct scene_opts {
	bool no_holds; /* do not look who uses what */
	bool no_nvml;  /* as the probe's */
};

/*
 * Read a machine. A source that is missing leaves things out and is no error; a machine without a PCI bus
 * has no functions. *s is freed by scene_free().
 */
int scene_collect(const struct machine *m, const struct scene_opts *o, struct scene **s,
		  struct err *e);
void scene_free(struct scene *s); /* NULL is fine */

/* The function at an address, in either case of letters, the domain may be left out; NULL: none. */
const struct func *scene_func(const struct scene *s, const char *pci);

/* What the probe says of it; NULL: it is no GPU, or one too many. */
const struct gpu *scene_gpu(const struct scene *s, const struct func *f);

/*
 * The functions of one card: same domain, bus and device number; of a virtual function only itself, and of
 * others without virtual functions. At most 8 (256 with ARI), f among them, in order of addresses.
 */
#define SCENE_SLOT_MAX 256
uint32_t scene_slot(const struct scene *s, const struct func *f, const struct func **set,
		    uint32_t max);

/* The functions below a bridge, at any depth, nearest first; at most max, and the count of all. */
uint32_t scene_below(const struct scene *s, const struct func *bridge, const struct func **set,
		     uint32_t max);

/* The functions of an IOMMU group. */
uint32_t scene_group(const struct scene *s, int32_t group, const struct func **set, uint32_t max);

/*
 * The one device a person means: "ADDR|UUID|NAME". GPUs by whatever probe_select() takes; any function by
 * its address. -ENODEV or -EINVAL with *e. That a function needs --any is guard_class()'s to say.
 */
int scene_select(const struct scene *s, const char *device, const struct func **f, struct err *e);

/* "0000:c1:00.0  AMD Radeon RX 7900 XTX", or "0000:02:00.0 (NVMe drive)" of what is no GPU. */
void func_title(struct text *t, const struct scene *s, const struct func *f);
/* What a class is, for people: "sound", "USB controller", "bridge"; "device" for what no table has. */
const char *class_words(uint32_t class);

#endif
