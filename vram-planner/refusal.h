/* SPDX-License-Identifier: MIT */
/*
 * Configurations that the engine refuses, or on which it aborts: rows of refusals[], each as it was seen.
 * Pure.
 */
#ifndef BERTH_REFUSAL_H
#define BERTH_REFUSAL_H

#include <stdint.h>

#include "vram-planner/ask.h"
#include "vram-planner/placement.h"
#include "vram-planner/shape.h"

/* The reason in words, or NULL. The ask is settled and placed. */
const char *refusal_find(const struct shape *s, const struct ask *a, const struct placement *p);

/* The same for a graph of so many nodes and leaves (compute.h), which must fit the engine's tables. */
const char *refusal_of_graph(const struct shape *s, const struct ask *a, const struct placement *p,
			     uint32_t n_nodes, uint32_t n_leaves);

#endif
