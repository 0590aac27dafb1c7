/* SPDX-License-Identifier: MIT */
/*
 * The caches and states that each layer keeps: their tensors, as the engine makes them. A layer's
 * tensors are at cache_home() (placement.h), each padded there as placed_bytes() says. Pure.
 */
#ifndef BERTH_CACHE_H
#define BERTH_CACHE_H

#include <stdint.h>

#include "vram-planner/ask.h"
#include "vram-planner/placement.h"
#include "vram-planner/shape.h"

enum cache_kind {
	CACHE_K,          /* keys: head_k * n_head_kv wide, cells long, one plane a stream */
	CACHE_V,          /* values; none with MLA */
	CACHE_INDEXER,    /* keys of the sparse attention's indexer */
	CACHE_COMPRESSED, /* DeepSeek V4: a key for each `compress` tokens */
	CACHE_CONV,       /* f32: the last inputs of a convolution, or rwkv's shifted tokens */
	CACHE_STATE,      /* f32: the recurrent state */
	CACHE_PARTIAL_KV, /* f32: DeepSeek V4's running sums of an unfinished compressed key */
	CACHE_PARTIAL_SCORE,
	CACHE_INDEXER_PARTIAL_KV, /* the same for its indexer */
	CACHE_INDEXER_PARTIAL_SCORE,
};

struct cache_tensor {
	enum cache_kind kind;
	uint32_t type;  /* ggml type id */
	uint64_t ne[3]; /* width, cells or rows, streams */
	uint64_t bytes; /* before padding */
};

#define CACHE_TENSORS_MAX 12 /* of one layer */

/*
 * The tensors that layer `layer` owns (layers[layer].cache == layer, or a state); in the engine's order.
 * 0 for layers that own none. Types are taken as valid: ask the refusals first (refusal.h); a width
 * that the type's blocks do not divide gives bytes 0.
 */
uint32_t cache_tensors(const struct shape *s, const struct ask *a, uint32_t layer,
		       struct cache_tensor out[CACHE_TENSORS_MAX]);

/* Cells of a layer's cache, per stream, and of DeepSeek V4's compressed keys. */
uint32_t cache_cells(const struct shape *s, const struct ask *a, uint32_t layer);
uint32_t cache_cells_sliding(const struct shape *s, const struct ask *a);
uint32_t cache_cells_compressed(const struct ask *a, uint32_t compress);
uint32_t cache_streams(const struct shape *s, const struct ask *a);

/* All caches, by home. */
struct caches {
	uint64_t device[PLAN_DEVICES_MAX];
	uint64_t host;
};

void caches_sum(const struct placement *p, const struct shape *s, const struct ask *a,
		struct caches *c);

#endif
