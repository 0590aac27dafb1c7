/* SPDX-License-Identifier: MIT */
/* What NVIDIA's library said, between the child that asks it and the report. */
#ifndef BERTH_PROBE_NVML_PRIV_H
#define BERTH_PROBE_NVML_PRIV_H

#include "base/field.h"
#include "probe/probe.h"

#define NVML_PROCS_MAX 64

struct nvml_proc {
	uint32_t pid;
	struct fact bytes;
	bool compute, graphics;
};

struct nvml_fn {
	char pci[24];
	struct fact_text uuid, name, serial, vbios, arch;
	struct fact vram_total, vram_used, vram_free;
	struct fact power_mw, power_cap_mw, temp_mc, busy_percent;
	struct fact bar1_total, bar1_used; /* bytes of the window into VRAM */
	struct fact minor;
	struct live live;
	struct nvidia nv;
	/* Live only: a captured machine keeps processes in answers/procs.json. */
	uint32_t n_procs;
	struct nvml_proc procs[NVML_PROCS_MAX];
};

struct nvml_view {
	bool asked;
	enum why why; /* of everything, while n is 0 or a function is not in fns[] */
	struct fact_text driver_version;
	uint32_t n;
	struct nvml_fn fns[PROBE_GPUS_MAX];
};

/* Every fact of it unknown for this reason. */
void nvml_fn_unknown(struct nvml_fn *f, enum why why);

/* One device with its processes, which the caller drops; and back, with what makes no sense unknown. */
json_t *nvml_fn_to_json(const struct nvml_fn *f, bool procs);
void nvml_fn_from_json(struct nvml_fn *f, const json_t *o);

/* The part of struct nvidia (nvidia.c): into an object, out of a hostile one, unknown. */
void nvidia_to_json(json_t *o, const struct nvidia *nv);
void nvidia_from_json(struct nvidia *nv, const json_t *o);
void nvidia_unknown(struct nvidia *nv, enum why why);

/* What its link carries at most, by generation and lanes; 0: not known. */
double nvml_link_bytes_per_s(const struct nvidia *nv);

/*
 * Bytes a second between two readings of a counter, ns apart, on a link that carries `most`. Some drivers count in
 * 32 bits: unknown where such a counter may have gone round more than once.
 */
struct fact nvml_rate(uint64_t before, uint64_t now, uint64_t ns, double most);

#define NVML_TIMEOUT_MS 2000
#define NVML_RECORD_MAX (1u << 20)

/* What the child sends: one record a JSON object, first the library's, then one of each device. */
struct nvml_question {
	const char (*pci)[24];
	uint32_t n;
	/* A pipe: each byte that comes asks for one more round of devices. 0: one round and the end. */
	int again;
};

/* The child's work: ask the library, send records to fd. $BERTH_NVML names another library. */
void nvml_work(int to, void *question);

/* One record of the child into the view. False: it is none, and nothing of the child counts from here. */
bool nvml_record(struct nvml_view *v, bool first, const char *bytes, size_t n);

/*
 * Ask NVIDIA's library about these addresses, in a child of ours that is killed when the library does
 * not answer within timeout_ms, or a device within three times that.
 */
void nvml_ask(const char (*pci)[24], uint32_t n, int timeout_ms, struct nvml_view *v);

/* One record from the child. 1; 0: it ended, or sent none; -ETIMEDOUT. `first`: the library's. */
struct child;
int nvml_receive(const struct child *c, int timeout_ms, bool first, struct nvml_view *v);

/* Into one GPU of the merged report; those of other drivers are left alone. */
void nvml_merge(struct gpu *g, const struct nvml_view *v);

json_t *nvml_view_to_json(const struct nvml_view *v);
void nvml_view_from_json(struct nvml_view *v, const json_t *o);

/* Nothing is known, for this reason. */
void nvml_view_reset(struct nvml_view *v, bool asked, enum why why);

/* Replace UUIDs by "GPU-00000000-0000-0000-0000-00000000000N", and serial numbers. */
void nvml_view_scrub(struct nvml_view *v);

#endif
