/* SPDX-License-Identifier: MIT */
/*
 * The CUDA backend's fused kernels that keep operands alive (ggml-cuda.cu at v0.5.0, graph_optimize). With
 * experts they cost up to as much again as the experts' outputs take.
 */
#include "vram-planner/graph_priv.h"
#include "vram-planner/keeps.h"

#define EXPERTS_MAX 15 /* used by a token; more are not summed by one kernel */

/* The nodes left of a split, of which the first is looked at. */
struct rest {
	const struct graph *g;
	const int32_t *order;
	int32_t n;
};

static const struct gnode *at(const struct rest *r, int32_t i)
{
	return &r->g->nodes[r->order[i]];
}

static bool is_op(const struct rest *r, int32_t i, enum gop op)
{
	return i < r->n && at(r, i)->op == op;
}

static bool reads(const struct rest *r, int32_t i, uint32_t k, int32_t from)
{
	return at(r, i)->n_src > k && at(r, i)->src[k] == r->order[from];
}

/* --- the weighted sum of experts --- */

/* A factor for each expert of each token. */
static bool is_weights(const struct graph *g, int32_t n, const struct gnode *product)
{
	const struct gnode *w = &g->nodes[n];

	return w->ne[0] == 1 && w->ne[1] == product->ne[1] && w->ne[2] == product->ne[2] &&
	       w->ne[3] == product->ne[3] && g_is_contiguous(g, n);
}

static bool is_weighted(const struct rest *r, int32_t i)
{
	return is_op(r, i, OP_MUL) && at(r, i)->type == GT_F32 &&
	       is_weights(r->g, at(r, i)->src[1], at(r, i)) &&
	       g_is_contiguous(r->g, at(r, i)->src[0]);
}

/* The last of the sums of what is at i, whose views come first; -1: it is no such sum. */
static int32_t sum_of(const struct rest *r, int32_t i)
{
	int64_t used = at(r, i)->ne[1];
	int32_t first = i + 1, add;

	if (used < 2 || used > EXPERTS_MAX || i + 2 * used > r->n)
		return -1;
	add = first + (int32_t)used;
	for (int32_t k = first; k < add; k++) {
		if (!is_op(r, k, OP_VIEW) || !reads(r, k, 0, i))
			return -1;
	}
	for (int32_t k = 1; k < used; k++, add++) {
		if (!is_op(r, add, OP_ADD) || !reads(r, add, 0, k == 1 ? first : add - 1) ||
		    !reads(r, add, 1, first + k))
			return -1;
	}
	return add - 1;
}

/* How many nodes the sum takes, 0: there is none; -1: no memory. Experts may be scaled first. */
static int32_t keep_sum(struct keeps *k, const struct rest *r)
{
	int32_t scaled = is_weighted(r, 0) && is_weighted(r, 1) && reads(r, 1, 0, 0), end;

	if (!is_weighted(r, 0))
		return 0;
	end = sum_of(r, scaled ? 1 : 0);
	if (end < 0)
		return 0;
	if (!keeps_add(k, at(r, 0)->src[0], r->order[end]) ||
	    !keeps_add(k, at(r, scaled)->src[1], r->order[end]) ||
	    (scaled && !keeps_add(k, at(r, 0)->src[1], r->order[end])))
		return -1;
	return end + 1;
}

/* --- the routing --- */

/* Numbers of experts that there is a kernel for. */
static bool is_known(int64_t experts)
{
	return (experts <= 512 && (experts & (experts - 1)) == 0) || experts == 288 ||
	       experts == 576;
}

/* Scores of all experts, up to the node that all of it comes from; the number of nodes, or 0. */
static int32_t scoring(const struct rest *r)
{
	if (is_op(r, 0, OP_SOFT_MAX))
		return at(r, 0)->n_src == 1 ? 1 : 0;
	if (is_op(r, 0, OP_UNARY) && at(r, 0)->kind == UN_SIGMOID)
		return 1;
	if (is_op(r, 0, OP_UNARY) && at(r, 0)->kind == UN_SOFTPLUS && is_op(r, 1, OP_SQRT) &&
	    reads(r, 1, 0, 0))
		return 2;
	return 0;
}

/* The nodes of a routing that begins here; 0: none does. */
static int32_t routing(const struct rest *r)
{
	static const enum gop norm[] = { OP_RESHAPE, OP_SUM_ROWS, OP_CLAMP, OP_DIV, OP_RESHAPE };
	int32_t i = scoring(r), scores = i - 1, shaped = i, k = 0;

	if (i == 0 || !is_op(r, i, OP_RESHAPE) || !reads(r, i, 0, scores))
		return 0;
	i++;
	if (is_op(r, i, OP_ADD) && reads(r, i, 0, scores)) /* a bias of the choice */
		scores = i++;
	if (!is_op(r, i, OP_ARGSORT) || !reads(r, i, 0, scores) || !is_known(at(r, i)->ne[0]) ||
	    !is_op(r, i + 1, OP_VIEW) || !reads(r, i + 1, 0, i) || !is_op(r, i + 2, OP_GET_ROWS) ||
	    !reads(r, i + 2, 0, shaped) || !reads(r, i + 2, 1, i + 1))
		return 0;
	i += 3;
	while (k < 5 && is_op(r, i + k, norm[k]))
		k++;
	i += k == 5 ? k : 0;
	return i + is_op(r, i, OP_SCALE);
}

/* Everything of the routing stays until the node behind it. -1: no memory. */
static int32_t keep_routing(struct keeps *k, const struct rest *r, const struct rest *beyond)
{
	int32_t n = routing(r);

	if (n == 0 || n >= beyond->n)
		return 0;
	for (int32_t i = 0; i < n; i++) {
		const struct gnode *t = at(r, i);

		if (!keeps_add(k, r->order[i], beyond->order[n]))
			return -1;
		for (uint32_t j = 0; j < t->n_src; j++) {
			if (t->src[j] && !keeps_add(k, t->src[j], beyond->order[n]))
				return -1;
		}
	}
	return n;
}

bool cuda_keeps(struct keeps *k, const struct graph *g, int32_t begin, int32_t end)
{
	while (begin < end) {
		struct rest r = { g, g->order + begin, end - begin };
		struct rest beyond = { g, g->order + begin, g->n_order - begin };
		int32_t n = keep_sum(k, &r);

		if (n == 0)
			n = keep_routing(k, &r, &beyond);
		if (n < 0)
			return false;
		begin += n ? n : 1;
	}
	return true;
}
