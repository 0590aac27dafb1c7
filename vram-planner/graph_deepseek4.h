/* SPDX-License-Identifier: MIT */
/* What the two halves of DeepSeek V4's graph share: its inputs, and attention by compressed keys. */
#ifndef BERTH_GRAPH_DEEPSEEK4_H
#define BERTH_GRAPH_DEEPSEEK4_H

#include "vram-planner/build.h"
#include "vram-planner/cache.h"

/*
 * One compressor: it turns each `ratio` tokens into one key, keeping what is unfinished in a state. There
 * is one for layers of ratio 4 whose blocks overlap (csa), one for those of ratio 128 (hca), and one for
 * the indexer of the former (lid). Inputs that the graph does not use are G_NONE.
 */
struct comp {
	bool overlaps;
	int64_t ratio, head; /* tokens of a block; width of a key */
	int64_t n_blocks;    /* finished at most by this batch */
	int64_t rows;        /* of the state, all sequences */
	enum slot kv, gate, ape, norm;
	enum cache_kind keys, partial_kv, partial_score;
	int positions; /* of the batch's tokens within their blocks */
	int persist_src, persist_dst;
	int restore_src, restore_dst, snapshot_src, snapshot_dst; /* rollback only */
	int read, write, write_positions;
	int mask, rot;
};

struct dsv4 {
	struct build *b;
	int positions;
	int k_idxs, mask, rot; /* of the sliding window's own cache */
	struct comp csa, hca, lid;
};

void d_inputs(struct dsv4 *d, struct build *b);

/* Attention of layer il over its window and its compressed keys; x is normed. */
int d_attention(struct dsv4 *d, int x, int il);

#endif
