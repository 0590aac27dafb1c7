/* SPDX-License-Identifier: MIT */
/*
 * Nodes, leaves, views and the order. Sizes come from hostile headers: every dimension is bounded and
 * every product is checked when a node is made, so that what works on the graph later can add freely.
 */
#include <stdlib.h>
#include <string.h>

#include "vram-planner/graph_priv.h"
#include "vram-planner/model.h"

#define SPAN_MAX                                                                                   \
	(UINT64_C(1) << 58) /* bytes of one tensor; sums of G_NODE_MAX of them are not made */

/* --- memory --- */

void graph_reset(struct graph *g)
{
	g->n_nodes = 1; /* node 0 is G_NONE */
	g->n_order = g->n_leaves = 0;
	g->fault = NULL;
}

void graph_fini(struct graph *g)
{
	free(g->nodes);
	free(g->order);
	free(g->leaves);
	free(g->stack);
	*g = (struct graph) { 0 };
}

static bool grow(void **array, size_t n, size_t size)
{
	void *p = reallocarray(*array, n, size);

	if (p)
		*array = p;
	return p != NULL;
}

static bool room(struct graph *g)
{
	int32_t cap = g->cap_nodes ? 2 * g->cap_nodes : 4096;

	if (g->n_nodes && g->n_nodes < g->cap_nodes)
		return true;
	if ((uint32_t)cap > G_NODE_MAX)
		return g_fault(g, "the graph has too many nodes") != G_NONE;
	if (!grow((void **)&g->nodes, (size_t)cap, sizeof(*g->nodes)) ||
	    !grow((void **)&g->order, (size_t)cap, sizeof(*g->order)) ||
	    !grow((void **)&g->leaves, (size_t)cap, sizeof(*g->leaves)) ||
	    !grow((void **)&g->stack, (size_t)cap, sizeof(*g->stack)))
		return g_fault(g, "there is no memory for the graph") != G_NONE;
	g->cap_nodes = cap;
	g->nodes[G_NONE] = (struct gnode) { .home = HOME_NONE };
	if (g->n_nodes == 0)
		g->n_nodes = 1;
	return true;
}

int g_fault(struct graph *g, const char *why)
{
	if (!g->fault)
		g->fault = why;
	return G_NONE;
}

int g_lack(struct graph *g)
{
	return g_fault(g, "the model lacks a tensor that its graph needs");
}

/* --- what a node is --- */

int64_t g_ne(const struct graph *g, int a, int dim)
{
	return g->nodes && a ? g->nodes[a].ne[dim] : 0;
}

uint64_t g_nb(const struct graph *g, int a, int dim)
{
	return g->nodes && a ? g->nodes[a].nb[dim] : 0;
}

int64_t g_elements(const struct graph *g, int a)
{
	const int64_t *ne;

	if (!a)
		return 0;
	ne = g->nodes[a].ne;
	return ne[0] * ne[1] * ne[2] * ne[3];
}

static inline void block_of(uint32_t type, uint32_t *weights, uint32_t *bytes)
{
	*weights = 1;
	if (type == GT_F32 || type == GT_I32)
		*bytes = 4;
	else if (type == GT_F16)
		*bytes = 2;
	else
		quant_block(type, weights, bytes);
}

uint64_t g_row_bytes(const struct graph *g, uint32_t type, int64_t n)
{
	uint32_t weights, bytes;

	(void)g;
	block_of(type, &weights, &bytes);
	return (weights > 1 ? (uint64_t)n / weights : (uint64_t)n) * bytes;
}

uint64_t g_bytes(const struct graph *g, int a)
{
	const struct gnode *t = &g->nodes[a];
	uint32_t weights, bytes;
	uint64_t span;

	if (t->ne[0] == 0 || t->ne[1] == 0 || t->ne[2] == 0 || t->ne[3] == 0)
		return 0;
	block_of(t->type, &weights, &bytes);
	if (weights == 1)
		span = bytes + ((uint64_t)t->ne[0] - 1) * t->nb[0];
	else
		span = (uint64_t)t->ne[0] * t->nb[0] / weights;
	for (int i = 1; i < G_DIMS; i++)
		span += ((uint64_t)t->ne[i] - 1) * t->nb[i];
	return span;
}

bool g_is_contiguous(const struct graph *g, int a)
{
	return a && g_is_contiguous_n(g, a, 0);
}

/* Dimensions up to n may be strided. */
bool g_is_contiguous_n(const struct graph *g, int a, int n)
{
	const struct gnode *t = &g->nodes[a];
	uint32_t weights, bytes;
	uint64_t next;

	block_of(t->type, &weights, &bytes);
	next = bytes;
	if (t->ne[0] != (int64_t)weights && t->nb[0] != next)
		return false;
	next *= weights > 1 ? (uint64_t)t->ne[0] / weights : (uint64_t)t->ne[0];
	for (int i = 1; i < G_DIMS; i++) {
		if (t->ne[i] == 1)
			continue;
		if (i > n && t->nb[i] != next)
			return false;
		next = i > n ? next * (uint64_t)t->ne[i] : (uint64_t)t->ne[i] * t->nb[i];
	}
	return true;
}

/* --- making nodes --- */

/* Strides of a contiguous tensor. false: too large, or rows that are no whole blocks. */
static bool strides(uint32_t type, const int64_t ne[G_DIMS], uint64_t nb[G_DIMS])
{
	uint32_t weights, bytes;
	uint64_t span;

	block_of(type, &weights, &bytes);
	if ((ne[0] | ne[1] | ne[2] | ne[3]) < 0 || (weights > 1 && (uint64_t)ne[0] % weights))
		return false;
	nb[0] = span = bytes;
	for (int i = 0; i < G_DIMS; i++) {
		uint64_t n = (uint64_t)ne[i];

		if (i == 0 && weights > 1)
			n /= weights;
		if (__builtin_mul_overflow(span, n, &span) || span > SPAN_MAX)
			return false;
		if (i < G_DIMS - 1)
			nb[i + 1] = span;
	}
	return true;
}

int g_make(struct graph *g, enum gop op, uint32_t type, const int64_t ne[G_DIMS])
{
	struct gnode *t;

	if (g->fault || !room(g))
		return G_NONE;
	t = &g->nodes[g->n_nodes];
	memcpy(t->ne, ne, sizeof(t->ne));
	if (!strides(type, t->ne, t->nb))
		return g_fault(g, "a tensor of the graph is too large, or has part of a block");
	memset(t->src, G_NONE, sizeof(t->src));
	t->view_src = G_NONE;
	t->op = (uint8_t)op;
	t->kind = 0;
	t->type = (uint8_t)type;
	t->flags = 0;
	t->n_src = 0;
	t->home = HOME_NONE;
	t->pin = 0;
	return g->n_nodes++;
}

int g_from(struct graph *g, int a, int src)
{
	if (a) {
		struct gnode *t = &g->nodes[a];

		t->src[t->n_src++] = src;
	}
	return a;
}

int g_new(struct graph *g, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3)
{
	return g_make(g, OP_NONE, type, (int64_t[G_DIMS]) { ne0, ne1, ne2, ne3 });
}

int g_input(struct graph *g, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3)
{
	int a = g_new(g, type, ne0, ne1, ne2, ne3);

	if (a)
		g->nodes[a].flags |= GF_INPUT;
	return a;
}

int g_placed(struct graph *g, uint32_t type, const int64_t ne[G_DIMS], int home, unsigned flags)
{
	int a = g_make(g, OP_NONE, type, ne);

	if (a) {
		g->nodes[a].flags |= (uint8_t)flags;
		g->nodes[a].home = (int8_t)home;
	}
	return a;
}

int g_copy_layout(struct graph *g, int a)
{
	int v = g_view(g, a);

	if (v)
		g->nodes[v].view_src = G_NONE;
	return v;
}

int g_set_output(struct graph *g, int a)
{
	if (a)
		g->nodes[a].flags |= GF_OUTPUT;
	return a;
}

/* --- views --- */

/* A view with the strides of a contiguous tensor of that shape; no operand yet. */
static int view_of(struct graph *g, enum gop op, int a, const int64_t ne[G_DIMS])
{
	int v;

	if (!a)
		return g_lack(g);
	v = g_make(g, op, g->nodes[a].type, ne);
	if (v)
		g->nodes[v].view_src = g->nodes[a].view_src ? g->nodes[a].view_src : a;
	return v;
}

static int with_strides(struct graph *g, int v, const uint64_t nb[G_DIMS])
{
	struct gnode *t = &g->nodes[v];

	for (int i = 0; i < G_DIMS; i++) {
		uint64_t step;

		if (__builtin_mul_overflow((uint64_t)t->ne[i], nb[i], &step) || step > SPAN_MAX)
			return g_fault(g, "a view of the graph reaches too far");
		t->nb[i] = nb[i];
	}
	return v;
}

int g_view_as(struct graph *g, enum gop op, int a, const int64_t ne[G_DIMS],
	      const uint64_t nb[G_DIMS])
{
	int v = view_of(g, op, a, ne);

	return v ? with_strides(g, v, nb) : G_NONE;
}

int g_view(struct graph *g, int a)
{
	if (!a)
		return g_lack(g);
	if (!room(g)) /* before the operand's arrays are pointed to: they may move */
		return G_NONE;
	return g_view_as(g, OP_NONE, a, g->nodes[a].ne, g->nodes[a].nb);
}

int g_view_1d(struct graph *g, int a, int64_t ne0)
{
	return g_from(g, view_of(g, OP_VIEW, a, (int64_t[G_DIMS]) { ne0, 1, 1, 1 }), a);
}

int g_view_2d(struct graph *g, int a, int64_t ne0, int64_t ne1, uint64_t nb1)
{
	uint64_t n1;

	if (!a)
		return g_lack(g);
	if (__builtin_mul_overflow(nb1, (uint64_t)ne1, &n1))
		return g_fault(g, "a view of the graph reaches too far");
	return g_from(g,
		      g_view_as(g, OP_VIEW, a, (int64_t[G_DIMS]) { ne0, ne1, 1, 1 },
				(uint64_t[G_DIMS]) { g->nodes[a].nb[0], nb1, n1, n1 }),
		      a);
}

int g_view_3d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, uint64_t nb1,
	      uint64_t nb2)
{
	uint64_t n2;

	if (!a)
		return g_lack(g);
	if (__builtin_mul_overflow(nb2, (uint64_t)ne2, &n2))
		return g_fault(g, "a view of the graph reaches too far");
	return g_from(g,
		      g_view_as(g, OP_VIEW, a, (int64_t[G_DIMS]) { ne0, ne1, ne2, 1 },
				(uint64_t[G_DIMS]) { g->nodes[a].nb[0], nb1, nb2, n2 }),
		      a);
}

int g_view_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3,
	      uint64_t nb1, uint64_t nb2, uint64_t nb3)
{
	if (!a)
		return g_lack(g);
	return g_from(g,
		      g_view_as(g, OP_VIEW, a, (int64_t[G_DIMS]) { ne0, ne1, ne2, ne3 },
				(uint64_t[G_DIMS]) { g->nodes[a].nb[0], nb1, nb2, nb3 }),
		      a);
}

int g_reshape_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3)
{
	int v;

	if (!a)
		return g_lack(g);
	if (!g_is_contiguous(g, a))
		return g_fault(g, "the graph reshapes a tensor with gaps");
	v = view_of(g, OP_RESHAPE, a, (int64_t[G_DIMS]) { ne0, ne1, ne2, ne3 });
	if (v && g_elements(g, v) != g_elements(g, a))
		return g_fault(g, "the graph reshapes a tensor to another size");
	return g_from(g, v, a);
}

int g_reshape_1d(struct graph *g, int a, int64_t ne0)
{
	return g_reshape_4d(g, a, ne0, 1, 1, 1);
}

int g_reshape_2d(struct graph *g, int a, int64_t ne0, int64_t ne1)
{
	return g_reshape_4d(g, a, ne0, ne1, 1, 1);
}

int g_reshape_3d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2)
{
	return g_reshape_4d(g, a, ne0, ne1, ne2, 1);
}

int g_permute(struct graph *g, int a, int axis0, int axis1, int axis2, int axis3)
{
	const int axis[G_DIMS] = { axis0, axis1, axis2, axis3 };
	int64_t ne[G_DIMS];
	uint64_t nb[G_DIMS];

	if (!a)
		return g_lack(g);
	for (int i = 0; i < G_DIMS; i++) {
		ne[axis[i]] = g->nodes[a].ne[i];
		nb[axis[i]] = g->nodes[a].nb[i];
	}
	return g_from(g, g_view_as(g, OP_PERMUTE, a, ne, nb), a);
}

int g_transpose(struct graph *g, int a)
{
	int v = g_permute(g, a, 1, 0, 2, 3);

	if (v)
		g->nodes[v].op = OP_TRANSPOSE;
	return v;
}

/* --- the order --- */

static void enter(struct graph *g, int32_t *depth, int32_t a)
{
	g->nodes[a].flags |= GF_IN_GRAPH;
	g->stack[(*depth)++] = (struct gvisit) { a, 0 };
}

int g_expand(struct graph *g, int a)
{
	int32_t depth = 0;

	if (!a || g->nodes[a].flags & GF_IN_GRAPH)
		return a;
	enter(g, &depth, a);
	while (depth) {
		struct gvisit *v = &g->stack[depth - 1];
		const struct gnode *t = &g->nodes[v->node];

		if (v->next < t->n_src) {
			int32_t s = t->src[v->next++];

			if (s && !(g->nodes[s].flags & GF_IN_GRAPH))
				enter(g, &depth, s);
			continue;
		}
		if (t->op == OP_NONE)
			g->leaves[g->n_leaves++] = v->node;
		else
			g->order[g->n_order++] = v->node;
		depth--;
	}
	return a;
}
