/* SPDX-License-Identifier: MIT */
/*
 * Gated delta rule: linear attention with a matrix of state a head (Qwen3-Next, Qwen 3.5, Kimi
 * Linear).
 */
#ifndef BERTH_DELTA_H
#define BERTH_DELTA_H

#include "vram-planner/build.h"
#include "vram-planner/states.h"

/* What enters the rule; q, k, v [head, heads, tokens, seqs], state [head, head, heads, seqs]. */
struct delta {
	int q, k, v;
	int gate; /* decay: [1 or head, heads, tokens, seqs] */
	int beta; /* [1, heads, tokens, seqs] */
	int state;
};

/*
 * The state that the rule leaves is written into `cache`, expanded; the result is a view
 * [head, heads, tokens, seqs].
 */
int b_delta_rule(struct build *b, const struct delta *d, int cache);

/* Rows of x made of length one, with what the engine takes for it. */
int b_unit_rows(struct graph *g, int x);

/*
 * What a convolution over `width` channels sees: its last inputs from the cache, then x [width,
 * seq tokens, seqs]. Writes the new last inputs back.
 */
int b_conv_input(struct build *b, const struct states *st, int cache, int x, int64_t width);

#endif
