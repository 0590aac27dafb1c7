/* SPDX-License-Identifier: MIT */
/*
 * How much memory the results of a graph take: the engine's graph allocator as arithmetic. Each result
 * gets the best fitting free block of its pool when it is computed, or takes over the memory of an operand
 * of the same layout that nobody needs any more; it is freed after its last use. What a pool needs is how
 * far it ever reached.
 */
#ifndef BERTH_GALLOC_H
#define BERTH_GALLOC_H

#include <stdint.h>

#include "vram-planner/backend.h"
#include "vram-planner/graph.h"

/* One side of the scheduler: a device, or the processor. */
struct side {
	const struct backend *backend;
	uint32_t alignment;        /* of its compute buffer */
	uint64_t max_chunk_bytes;  /* of one allocation; 0: no limit */
	uint64_t max_buffer_bytes; /* of one operand; 0: no limit */
	bool fuses;                /* its fused kernels keep operands (cuda_keeps) */
};

/* A graph in the order in which it is allocated. */
struct laid {
	int32_t *steps; /* node numbers; -n: until here node n must stay */
	int8_t *sides;  /* of each step */
	int32_t *leaves;
	int8_t *leaf_sides;
	uint32_t n_steps, n_leaves, cap;
};

struct galloc; /* scratch memory, reusable; NULL is an empty one */

/* sizes[side] in bytes. 0; -ENOMEM; -E2BIG when the engine's allocator itself would give up. */
int galloc_sizes(struct galloc **scratch, const struct graph *g, const struct laid *laid,
		 const struct side *sides, uint32_t n_sides, uint64_t *sizes);
void galloc_free(struct galloc *scratch);

/*
 * What is free and where results are behind the i-th marked node of the last graph (GF_MARK), as one
 * number: equal when the states are.
 */
uint64_t galloc_mark(const struct galloc *scratch, uint32_t i);

/* What a node takes in a side's compute buffer, beside alignment. */
uint64_t side_bytes(const struct side *side, const struct graph *g, int node);

/* Whether a side can compute a node: `index` is its own number. */
bool side_supports(const struct side *side, int index, const struct graph *g, int node);

/* The least rows for which fetching a weight pays (op_offload_min_batch_size). */
#define OFFLOAD_ROWS 32

/* Whether a device takes this node although its weights are the processor's. */
bool side_offloads(const struct side *side, const struct graph *g, int node);

#endif
