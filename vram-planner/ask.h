/* SPDX-License-Identifier: MIT */
/*
 * One configuration that the engine can be asked for: its own parameters, as numbers. Nothing here is
 * open any more; what a user leaves open is in struct wish (plan.h), and the search closes it.
 */
#ifndef BERTH_ASK_H
#define BERTH_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"

#define CTX_STEP          256 /* the engine pads contexts, and sliding caches, to this */
#define ASK_SEQ_MAX       256 /* LLAMA_MAX_SEQ */
#define ASK_OVERRIDES_MAX PLAN_TENSORS_MAX
#define ASK_ALL_LAYERS    UINT32_MAX

/* What the engine takes when nothing is said (llama_context_default_params, v0.5.0). */
#define ASK_BATCH_DEFAULT  2048
#define ASK_UBATCH_DEFAULT 512

struct ask {
	/* The context. ask_settle() pads and cuts these as the engine does. */
	uint32_t n_ctx;     /* 0 before settling: what the model was trained for */
	uint32_t n_ctx_seq; /* set by settling: cells a sequence may use */
	uint32_t n_batch;
	uint32_t n_ubatch;  /* 0 before settling: n_batch */
	uint32_t n_seq;     /* parallel sequences (-np) */
	uint32_t n_outputs; /* rows of logits kept of a batch; 0 before settling: n_batch */
	uint32_t n_draft;   /* tokens that a draft guesses at once: each may be an output */
	uint32_t n_rs_seq;  /* earlier recurrent states kept for each sequence, besides the last */
	uint32_t type_k, type_v;
	bool unified;       /* all sequences share one cache (-kvu) */
	bool flash_attn;    /* as asked; a family that has none overrules it */
	bool cache_on_host; /* -nkvo */
	bool swa_full;      /* sliding layers keep the whole context */
	bool embeddings;    /* the answer is embeddings */
	bool mtp;           /* load the trailing prediction layers, too */
	bool op_offload;    /* large batches of host layers are computed on a device */
	bool mmap;          /* the host's weights stay in the mapped file: not in pinned memory */
	bool extra_buffers; /* the CPU may keep weights repacked or in AMX tiles */
	bool measuring;     /* as the engine tells it without allocating: see pins() in compute.c */

	/* The placement. */
	uint32_t n_gpu_layers;         /* repeating layers and the output; ASK_ALL_LAYERS */
	float split[PLAN_DEVICES_MAX]; /* share of each device; all 0: by free memory */
	uint32_t n_cpu_moe;   /* the experts of the first so many layers stay on the host */
	uint32_t n_overrides; /* -ot */
	struct plan_tensors overrides[ASK_OVERRIDES_MAX];
};

/* A device as the engine's rules see it. */
struct target {
	const struct backend *backend;
	uint64_t memory_bytes;     /* free; the share when ask.split is all 0 */
	uint64_t max_buffer_bytes; /* of one tensor in a kernel; 0: no limit */
};

/* The defaults above, everything on devices, flash attention on, f16 cache. n_ctx 0. */
void ask_default(struct ask *a);

/*
 * Cut and pad as the engine does: `n_ctx_train` and `causal` are the model's. 0; -ERANGE with *e when
 * no engine could run it. Settling twice changes nothing more.
 */
int ask_settle(struct ask *a, uint32_t n_ctx_train, bool causal, struct err *e);

uint32_t ask_least_outputs(const struct ask *a); /* that its sequences and guesses want */

/* The configuration of a finished plan, settled; its devices in the plan's order. */
void ask_of_plan(struct ask *a, const struct plan *p);

/* Caches for each sequence of its own (not unified), else 1. */
uint32_t ask_streams(const struct ask *a);

/* Cells, per stream, of a layer that slides by `window` tokens. */
uint32_t ask_cells_window(const struct ask *a, uint32_t window);

/* Whether tensors are placed by name: the engine then runs no pipeline. */
bool ask_overrides(const struct ask *a);

#endif
