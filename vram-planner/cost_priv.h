/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of a placement: what the engine would allocate on each device, from the tensor table
 * and the cache rules of the model's family. Weights and caches are exact to the byte against measured
 * truth (tests/unit/planner_truth.c); the compute buffer is a prediction on the safe side.
 */
#ifndef BERTH_COST_PRIV_H
#define BERTH_COST_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/planfile.h"
#include "vram-planner/ask.h"
#include "vram-planner/backend.h"
#include "vram-planner/model.h"
#include "vram-planner/plan.h"
#include "vram-planner/shape.h" /* LAYERS_MAX */

/* --- families --- */

enum oldwindow {
	OLDWINDOW_NONE,   /* every layer sees the whole context, whatever the header says */
	OLDWINDOW_IF_KEY, /* sliding only when attention.sliding_window is there and not 0 */
	OLDWINDOW_ALWAYS, /* sliding; `window` is the default of the size, 0: the key is needed */
	OLDWINDOW_FIXED,  /* sliding by `window` tokens unless the key says 0 */
};

struct oldfamily {
	const char *arch;
	enum oldwindow kind;
	uint32_t window;      /* tokens */
	uint32_t period;      /* of the pattern: the last of each `period` layers sees everything */
	uint32_t only_layers; /* sliding only in models of exactly so many layers; 0: any */
	bool nextn;         /* may carry trailing prediction layers, which the engine leaves out */
	bool parallel;      /* attention and the inner rows of a layer are computed side by side */
	uint32_t live_rows; /* rows of n_embd that live beside the usual four at the peak */
	const char *source; /* where the rule is from, and which measured models hold it to it */
};

const struct oldfamily *oldfamily_find(const char *arch); /* NULL: no verified rules */
const struct oldfamily *oldfamily_at(uint32_t i);         /* NULL after the last */

/* --- what the header says --- */

struct oldshape {
	const struct oldfamily *family;
	uint32_t n_layer; /* repeating layers, with the trailing prediction layers */
	uint32_t n_run;   /* of them computed, and holding a cache */
	uint32_t n_embd, n_vocab, n_head, n_ctx_train;
	uint32_t n_ff;     /* the widest inner row of a token: dense, or all its experts together */
	uint32_t n_ff_exp; /* inner width of one expert */
	uint32_t n_used;   /* experts a token goes through; 0: dense */
	uint32_t head_k, head_v;
	uint32_t window; /* tokens; 0: no layer slides */
	uint32_t n_head_kv[LAYERS_MAX];
	bool slides[LAYERS_MAX];
	bool tied; /* the output shares token_embd */
};

/*
 * Read the shape. 0; -EBADMSG with *e when the header contradicts itself; -ENOTSUP with *e when it is
 * sound but outside the verified rules (unknown architecture, one shard of many, a tensor without a
 * known place).
 */
int oldshape_read(struct oldshape *s, const struct model *m, struct err *e);

/* --- what it costs --- */

/* Running sums for one backend's rules, so that any run of layers is one subtraction. */
struct tally {
	const struct backend *backend;
	uint64_t weights[LAYERS_MAX + 2]; /* of units before i; unit n_layer is the output */
	uint64_t kv[LAYERS_MAX + 2];
	uint64_t every; /* copied to each device that owns a layer */
	uint64_t input; /* the input class (host only) */
	uint64_t tied;  /* the output's own copy of token_embd: on a device, not on the host */
};

struct costs {
	const struct model *model;
	const struct oldshape *shape;
	struct ask ask;
	uint32_t n_tallies;
	struct tally tallies[8];
	uint64_t largest[LAYERS_MAX + 2]; /* the largest matrix among units before i */
	uint64_t layer_cache;             /* the largest cache of one layer as stored */
	uint64_t staged; /* f16 copies of one layer's quantized cache, where a backend makes them */
};

/* One device's run of units, [first, first + units). */
struct berthing {
	const struct backend *backend;
	uint32_t first, units;
};

/* Prepare for backends[0..n): the distinct rows and the host's. -EOVERFLOW when sums overflow. */
int costs_prepare(struct costs *c, const struct model *m, const struct oldshape *s,
		  const struct ask *a, const struct backend *const *backends, uint32_t n,
		  struct err *e);

/* Whether the engine would run these devices as a pipeline, with copies of what enters each. */
bool costs_pipeline(const struct costs *c, const struct berthing *b, uint32_t n, uint32_t n_host);

/*
 * Weights, cache, compute and the backend's overhead of one device. `first`: it is the first device of
 * the placement; units that are on no device are on the host, and are the first n_host ones.
 */
void costs_device(const struct costs *c, const struct berthing *b, bool first, bool pipeline,
		  uint32_t n_host, struct plan_buffers *out);

/* The host's part beside the n devices b. */
void costs_host(const struct costs *c, const struct berthing *b, uint32_t n, uint32_t n_host,
		struct plan_buffers *out);

/*
 * The engine's own rule: from n_gpu_layers and tensor_split to units per device, in single precision
 * as llama.cpp computes it.
 */
void split_units(uint32_t n_layer, uint32_t n_gpu_layers, const float *split, uint32_t n,
		 uint32_t *units);

/* --- what the engine would abort on --- */

/* The reason in words, or NULL. */
const char *oldrefusal_find(const struct oldshape *s, const struct ask *a);

#endif
