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

/* One device as a captured machine keeps it, which the caller drops; and back. */
json_t *nvml_fn_to_json(const struct nvml_fn *f);
void nvml_fn_from_json(struct nvml_fn *f, const json_t *o);

/*
 * What changed of one device, its processes included, since it was told (at first: a zeroed one), which the
 * caller drops; and into what was told. Who tells has checked, so that both sides agree on what was.
 */
json_t *nvml_fn_change(const struct nvml_fn *f, const struct nvml_fn *told);
void nvml_fn_follow(struct nvml_fn *told, const json_t *change);

/* What makes no sense becomes unknown. */
void nvml_fn_check(struct nvml_fn *f);

/* The part of struct nvidia (nvidia.c) in all of these. */
void nvidia_to_json(json_t *o, const struct nvidia *nv);
void nvidia_from_json(struct nvidia *nv, const json_t *o);
void nvidia_change(json_t *o, const struct nvidia *nv, const struct nvidia *told);
void nvidia_follow(struct nvidia *told, const json_t *change);
void nvidia_check(struct nvidia *nv);
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

/*
 * What the child sends: one record a JSON object, first the library's, then in each round one of each device:
 * what changed of it. What no driver changes while it is loaded is asked once in a while.
 */
struct nvml_question {
	const char (*pci)[24];
	uint32_t n;
	/* A pipe: each byte that comes asks for one more round of devices. 0: one round and the end. */
	int again;
};

/* The child's work: ask the library, send records to fd. $BERTH_NVML names another library. */
void nvml_work(int to, void *question);

/* Its first record into the view. False: it is none, and nothing of the child counts from here. */
bool nvml_first_record(struct nvml_view *v, const char *bytes, size_t n);

/* Another one: of which device, or NULL as above. */
const struct nvml_fn *nvml_record(struct nvml_view *v, const char *bytes, size_t n);

/*
 * Ask NVIDIA's library about these addresses, in a child of ours that is killed when the library does
 * not answer within timeout_ms, or a device within three times that.
 */
void nvml_ask(const char (*pci)[24], uint32_t n, int timeout_ms, struct nvml_view *v);

/* The same from the child. 1; 0: it ended, or sent no record; -ETIMEDOUT. */
struct child;
int nvml_receive_first(const struct child *c, int timeout_ms, struct nvml_view *v);
int nvml_receive(const struct child *c, int timeout_ms, struct nvml_view *v,
		 const struct nvml_fn **which);

/* Into one GPU of the merged report; those of other drivers are left alone. */
void nvml_merge(struct gpu *g, const struct nvml_view *v);

json_t *nvml_view_to_json(const struct nvml_view *v);
void nvml_view_from_json(struct nvml_view *v, const json_t *o);

/* Nothing is known, for this reason. */
void nvml_view_reset(struct nvml_view *v, bool asked, enum why why);

/* Replace UUIDs by "GPU-00000000-0000-0000-0000-00000000000N", and serial numbers. */
void nvml_view_scrub(struct nvml_view *v);

#endif
