/* SPDX-License-Identifier: MIT */
/* What the files of the graph share: making nodes by hand. */
#ifndef BERTH_GRAPH_PRIV_H
#define BERTH_GRAPH_PRIV_H

#include "vram-planner/graph.h"

/* Keep the first reason why the graph cannot be. Returns G_NONE. */
int g_fault(struct graph *g, const char *why);

int g_lack(struct graph *g); /* the reason: an operand is missing */

/* A node of that shape without operands; g_from adds one, and passes G_NONE on. */
int g_make(struct graph *g, enum gop op, uint32_t type, const int64_t ne[G_DIMS]);
int g_from(struct graph *g, int a, int src);
int g_view_as(struct graph *g, enum gop op, int a, const int64_t ne[G_DIMS],
	      const uint64_t nb[G_DIMS]);

bool g_is_contiguous_n(const struct graph *g, int a, int n);

#endif
