/* SPDX-License-Identifier: MIT */
/*
 * The plan: what goes where, and why. Made by vram-planner, carried out by launch and core, shown by
 * top. On disk it is one JSON object, "berth.plan/1" (docs/formats.md, `berth schema plan`).
 *
 * A plan is plain values: copy it by assignment, nothing to free.
 */
#ifndef BERTH_PLANFILE_H
#define BERTH_PLANFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fact.h"
#include "base/json.h"

#define PLAN_DEVICES_MAX 16
#define PLAN_ASSUMED_MAX 16
#define PLAN_TENSORS_MAX 16
#define PLAN_NEAREST_MAX 6
#define PLAN_DRAFT_MAX   64 /* tokens guessed at once */

enum verdict {
	VERDICT_UNKNOWN, /* facts are missing */
	VERDICT_FITS,    /* all layers and the output on GPUs */
	VERDICT_SPILLS,  /* runs, with host memory; CPU only is this too */
	VERDICT_NO,      /* no placement holds it */
	VERDICT_REFUSED, /* the engine would abort on it */
};

enum accept { ACCEPT_GPU, ACCEPT_SPILL, ACCEPT_CPU };

/* Bytes on one device. compute and overhead are predictions; weights and kv are exact. */
struct plan_buffers {
	uint64_t weights_bytes;
	uint64_t kv_bytes;
	uint64_t compute_bytes;
	uint64_t overhead_bytes; /* driver context and margin outside the engine's account */
};

struct plan_device {
	char pci[24];         /* "0000:c1:00.0"; empty when the device has none (software Vulkan) */
	char uuid[64];        /* empty when unknown */
	char name[120];       /* for people */
	char backend[16];     /* "cuda", "vulkan", "rocm": a row of backends[] */
	char engine_name[32]; /* the engine's own, "CUDA0", set by launch; the match without pci */
	uint32_t layers;      /* of the engine's split: repeating layers, and one for the output */
	struct plan_buffers buffers;
	struct fact free_bytes; /* free now, the number that was judged */
	int64_t left_bytes;     /* free - all buffers; meaningful when free_bytes is known */
};

struct plan_host {
	uint32_t layers; /* repeating layers (and the output) that stay on the CPU */
	struct plan_buffers buffers;
	struct fact free_bytes; /* MemAvailable */
	int64_t left_bytes;
};

/* A change of the wish that would make it a yes. */
struct plan_nearest {
	char change[96];   /* the options that differ: "-c 4096" */
	char options[256]; /* all options of the changed wish, so that it can be run */
	char loss[96];     /* what it costs the user */
	char model[256];   /* another file of the same model; empty: the one that was asked for */
	enum verdict verdict; /* fits or spills */
	int rank;             /* the order among them: 0 hurts nobody */
};

/* The engine's own names for its parameters. */
struct plan_flags {
	uint32_t n_ctx; /* tokens, already padded as the engine does */
	uint32_t n_batch;
	uint32_t n_ubatch;
	uint32_t n_seq_max;
	uint32_t n_gpu_layers; /* repeating layers + output on GPUs; 0 = CPU only */
	char type_k[12];       /* "f16", "q8_0" */
	char type_v[12];
	bool flash_attn;
	bool kv_unified;
	/* Since these came later, a plan without them means 0 and false. */
	uint32_t n_outputs_max; /* rows of logits kept of a batch; 0: one per sequence */
	uint32_t n_cpu_moe;     /* the experts of the first so many layers are in host memory */
	bool no_kv_offload;     /* caches are in host memory */
	bool swa_full;          /* sliding layers keep the whole context */
	bool embeddings;        /* the run is for embeddings */
	bool load_mtp;          /* trailing prediction layers are loaded */
};

/* Tensors placed by name, before n_cpu_moe and the split; the first match counts. */
struct plan_tensors {
	char pattern[96]; /* an extended regular expression */
	int32_t device;   /* index into devices[]; -1: the host */
};

/* A smaller model beside it that guesses what comes next. All of it is in one place. */
struct plan_draft {
	char path[1024];
	uint64_t size_bytes;
	char header_sha256[65];
	char name[120];
	uint32_t n_layer;
	uint32_t n_max; /* tokens that are guessed at once, at most; 0: there is no draft */
	int32_t device; /* index into devices[]; -1: the host */
	struct plan_flags flags;
	struct plan_buffers buffers; /* there; the buffers of that place hold them, too */
	uint64_t host_bytes;         /* beside that, when it is on a device */
};

struct plan {
	char model_path[1024];
	uint64_t model_size_bytes;
	char header_sha256[65]; /* of the bytes before the tensor data */
	char model_name[120];
	char arch[48];
	uint32_t n_layer; /* repeating layers of the model */
	char engine[48];  /* the engine version whose rules were used: "llama.cpp v0.5.0" */

	enum verdict verdict;
	enum accept accept;
	bool unverified; /* the numbers are an upper bound: no rules for the architecture are verified */
	struct plan_flags flags;
	uint32_t n_tensors;
	struct plan_tensors tensors[PLAN_TENSORS_MAX];
	uint32_t n_devices;
	struct plan_device devices[PLAN_DEVICES_MAX];
	struct plan_host host;
	struct plan_draft draft;

	/* The number that decided: "needs 5.1 GiB on 0000:01:00.0, free 3.9 GiB". */
	char decided_by[240];
	char nearest_yes[160]; /* an option that would turn it into yes; empty: none known */
	uint32_t n_nearest;
	struct plan_nearest nearest[PLAN_NEAREST_MAX]; /* the least loss first; not read back */
	uint32_t n_assumed;
	char assumed[PLAN_ASSUMED_MAX][160];
	uint32_t n_overrides; /* options that overruled the planner, as typed */
	char overrides[PLAN_ASSUMED_MAX][64];

	/*
	 * In no file: compute of each device, the host's last, as the engine tells it without allocating,
	 * which differs a little from what it then allocates. 0: the same.
	 */
	uint64_t dry_bytes[PLAN_DEVICES_MAX + 1];
};

const char *verdict_name(enum verdict v); /* "fits" */
const char *accept_name(enum accept a);   /* "gpu" */

/* The same names in enum order, NULL-terminated (accept_choices is for cmd's OPT_ENUM). */
extern const char *const verdict_names[];
extern const char *const accept_choices[];

/*
 * The exit code a script gets: 0 when the verdict is within `accept`. fits: any; spills: spill when
 * layers are on a GPU, cpu always; no and refused: EXIT_NO; unknown: EXIT_UNKNOWN.
 */
enum exit_code plan_exit(const struct plan *p);

/* Sum of the four buffers, saturating at UINT64_MAX. */
uint64_t plan_buffers_sum(const struct plan_buffers *b);

/* Add an assumption or an override; too many are dropped after a last "more". */
void plan_assume(struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void plan_override(struct plan *p, const char *text);

/* The plan as "berth.plan/1"; the caller owns it. */
json_t *plan_to_json(const struct plan *p);

/*
 * Read a plan. Foreign bytes: every number is range-checked, the layers must add up to n_layer + 1
 * and n_gpu_layers must equal what the devices hold; a draft must leave room for its guesses; texts but model_path are cleaned for a terminal. 0, or
 * -EBADMSG with *e naming the key.
 */
int plan_from_json(struct plan *p, const json_t *o, struct err *e);
int plan_read(struct plan *p, const char *path, struct err *e);

/* Write to path, atomically, mode 0600; straight into it when it is a pipe or a device. */
int plan_write(const struct plan *p, const char *path, struct err *e);

/* The same of a plan that says more than struct plan holds; readers ignore what they do not know. */
int plan_write_json(const json_t *o, const char *path, struct err *e);

/* Hex SHA-256 of the canonical JSON (without free_bytes and left_bytes): names the plan in telemetry. */
void plan_id(const struct plan *p, char id[65]);

#endif
