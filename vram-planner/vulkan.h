/* SPDX-License-Identifier: MIT */
/*
 * What is particular to the Vulkan backend: the operations it has shaders for, and the order in which it
 * computes a split. It moves independent operations together so that they can overlap, which changes
 * what is alive beside what.
 */
#ifndef BERTH_VULKAN_H
#define BERTH_VULKAN_H

#include <stdbool.h>
#include <stdint.h>

#include "vram-planner/keeps.h"

/* Whether there is a shader for it; no operand may be larger than `max_bytes` (0: no limit). */
bool vulkan_supports(const struct graph *g, int node, uint64_t max_bytes);

struct reorder; /* scratch memory, reusable; NULL is an empty one */

/* Once for a graph, before its first split. false: no memory. */
bool reorder_prepare(struct reorder **r, const struct graph *g);

/*
 * Put the nodes[0..n) of one split into the order in which the backend computes them, and note what its
 * fused kernels read late. false: no memory.
 */
bool reorder_split(struct reorder *r, const struct graph *g, int32_t *nodes, int32_t n,
		   struct keeps *keeps);
void reorder_free(struct reorder *r);

#endif
