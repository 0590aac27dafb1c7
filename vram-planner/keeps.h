/* SPDX-License-Identifier: MIT */
/*
 * What must stay in memory longer than its users need it: a backend that computes several nodes in one
 * kernel reads their operands as late as the last of them.
 */
#ifndef BERTH_KEEPS_H
#define BERTH_KEEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "vram-planner/graph.h"

/* Node `node` must stay until `until` is computed. */
struct keep {
	int32_t node, until;
};

struct keeps {
	struct keep *list; /* those of one `until` in a row */
	uint32_t n, cap;
	uint8_t *is_until; /* of each node */
	int32_t cap_nodes;
};

/* Forget all, before a graph is split. false: no memory. */
bool keeps_begin(struct keeps *k, const struct graph *g);

/* All of one `until` are added together; the same twice counts once. false: no memory. */
bool keeps_add(struct keeps *k, int32_t node, int32_t until);

/* What must stay until this node is computed. */
const struct keep *keeps_until(const struct keeps *k, int32_t until, uint32_t *n);
void keeps_fini(struct keeps *k);

/*
 * What the CUDA backend's fused kernels read late in the split order[begin..end): the routing of experts,
 * and the sum of their weighted outputs. false: no memory.
 */
bool cuda_keeps(struct keeps *k, const struct graph *g, int32_t begin, int32_t end);

#endif
