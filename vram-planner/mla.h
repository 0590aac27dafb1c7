/* SPDX-License-Identifier: MIT */
/* Attention over compressed keys (MLA), and the choice of keys by an indexer (DSA, DeepSeek V4). */
#ifndef BERTH_MLA_H
#define BERTH_MLA_H

#include "vram-planner/build.h"

/* The compressed key that a layer's input gives: a normed low-rank part, and positions. */
struct low_rank {
	int c, pe; /* [n_lora_kv, tokens], [n_rot, 1, tokens]; pe is not rotated yet */
};

struct low_rank b_low_rank(struct build *b, int layer, int x);

/*
 * MLA in its absorbed form, stored and projected. q: [head_k_mla, heads, tokens], or the same as rows.
 * `scale` multiplies the queries by their positions; `chosen` are the keys that an indexer chose. Both are
 * G_NONE where there is none.
 */
int b_attn_mla(struct build *b, int layer, int q, struct low_rank k, int scale, int chosen);

/*
 * The indices of the keys that an indexer scores best, for each token: [top_k, tokens of a stream, 1,
 * streams]. Queries [head, heads, tokens], weights [heads, tokens], keys as in the cache by streams.
 * `scale`: the weights are still to be scaled.
 */
int b_index(struct build *b, int q, int keys, int weights, int mask, bool scale);

/* `mask` with minus infinity for all but the chosen keys; `zeros` is the type of what unmasks them. */
int b_mask_chosen(struct build *b, int mask, int chosen, uint32_t zeros);

/* The rotation (Hadamard) of keys of this size, an input: the largest power of two that divides it. */
int b_rotation(struct build *b, int64_t head);

#endif
