/* SPDX-License-Identifier: MIT */
/*
 * The operations: what shape each makes of its operands, and whether they fit together. The rules are
 * those of ggml.c at v0.5.0; the truth's engine has the same. Only what decides the shape is checked:
 * a header cannot make any other condition fail.
 */
#include <string.h>

#include "vram-planner/graph_priv.h"

#define DIMS(...) ((int64_t[G_DIMS]) { __VA_ARGS__ })

/* --- helpers --- */

/* A new contiguous tensor of a's shape. */
static int like(struct graph *g, enum gop op, int a, uint32_t type)
{
	int64_t ne[G_DIMS];

	memcpy(ne, g->nodes[a].ne, sizeof(ne));
	return g_make(g, op, type, ne);
}

static int from1(struct graph *g, enum gop op, int a)
{
	if (!a)
		return g_lack(g);
	return g_from(g, like(g, op, a, g->nodes[a].type), a);
}

/* ... of which `kind` tells backends apart. */
static int of_kind(struct graph *g, int a, unsigned kind)
{
	if (a)
		g->nodes[a].kind = (uint8_t)kind;
	return a;
}

static int mismatch(struct graph *g)
{
	return g_fault(g, "tensors of the graph do not fit together");
}

/* Whether whole copies of b make up a. */
static bool repeats_to(const struct graph *g, int b, int a)
{
	for (int i = 0; i < G_DIMS; i++) {
		int64_t n = g->nodes[b].ne[i], m = g->nodes[a].ne[i];

		if (n != m && n != 1 && (n == 0 || m % n != 0))
			return false;
	}
	return true;
}

static bool same_shape(const struct graph *g, int a, int b)
{
	return memcmp(g->nodes[a].ne, g->nodes[b].ne, sizeof(g->nodes[a].ne)) == 0;
}

static bool broadcasts(int64_t small, int64_t large)
{
	return small == large || small == 1 || (small > 0 && large % small == 0);
}

/* --- copies and rows --- */

int g_dup(struct graph *g, int a)
{
	return from1(g, OP_DUP, a);
}

int g_cpy(struct graph *g, int a, int b)
{
	int v;

	if (!a || !b)
		return g_lack(g);
	if (g_elements(g, a) != g_elements(g, b))
		return mismatch(g);
	v = g_view(g, b);
	if (!v)
		return v;
	g->nodes[v].op = OP_CPY;
	return g_from(g, g_from(g, v, a), b);
}

int g_cast(struct graph *g, int a, uint32_t type)
{
	int v;

	if (!a)
		return g_lack(g);
	v = g_from(g, like(g, OP_CPY, a, type), a);
	return g_from(g, v, v); /* the engine names the result as its own operand, too */
}

int g_cont(struct graph *g, int a)
{
	return from1(g, OP_CONT, a);
}

int g_cont_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3)
{
	int v;

	if (!a)
		return g_lack(g);
	v = g_make(g, OP_CONT, g->nodes[a].type, DIMS(ne0, ne1, ne2, ne3));
	if (v && g_elements(g, v) != g_elements(g, a))
		return mismatch(g);
	return g_from(g, v, a);
}

int g_cont_2d(struct graph *g, int a, int64_t ne0, int64_t ne1)
{
	return g_cont_4d(g, a, ne0, ne1, 1, 1);
}

int g_cont_3d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2)
{
	return g_cont_4d(g, a, ne0, ne1, ne2, 1);
}

int g_get_rows(struct graph *g, int a, int ids)
{
	const struct gnode *x, *i;

	if (!a || !ids)
		return g_lack(g);
	x = &g->nodes[a];
	i = &g->nodes[ids];
	if (x->ne[2] != i->ne[1] || x->ne[3] != i->ne[2] || i->ne[3] != 1)
		return mismatch(g);
	return g_from(g,
		      g_from(g,
			     g_make(g, OP_GET_ROWS, x->type == GT_I32 ? GT_I32 : GT_F32,
				    DIMS(x->ne[0], i->ne[0], i->ne[1], i->ne[2])),
			     a),
		      ids);
}

int g_set_rows(struct graph *g, int a, int b, int ids)
{
	int v;

	if (!a || !b || !ids)
		return g_lack(g);
	if (g->nodes[a].ne[0] != g->nodes[b].ne[0] || g->nodes[b].ne[1] != g->nodes[ids].ne[0])
		return mismatch(g);
	v = g_view(g, a);
	if (!v)
		return v;
	g->nodes[v].op = OP_SET_ROWS;
	return g_from(g, g_from(g, g_from(g, v, b), ids), a);
}

/* --- element by element --- */

static int binary(struct graph *g, enum gop op, int a, int b)
{
	if (!a || !b)
		return g_lack(g);
	if (!repeats_to(g, b, a))
		return mismatch(g);
	return g_from(g, from1(g, op, a), b);
}

int g_add(struct graph *g, int a, int b)
{
	return binary(g, OP_ADD, a, b);
}

int g_sub(struct graph *g, int a, int b)
{
	return binary(g, OP_SUB, a, b);
}

int g_mul(struct graph *g, int a, int b)
{
	return binary(g, OP_MUL, a, b);
}

int g_div(struct graph *g, int a, int b)
{
	return binary(g, OP_DIV, a, b);
}

int g_add_id(struct graph *g, int a, int b, int ids)
{
	if (!a || !b || !ids)
		return g_lack(g);
	if (g->nodes[a].ne[0] != g->nodes[b].ne[0] || g->nodes[a].ne[1] != g->nodes[ids].ne[0])
		return mismatch(g);
	return g_from(g, g_from(g, from1(g, OP_ADD_ID, a), b), ids);
}

int g_sqr(struct graph *g, int a)
{
	return from1(g, OP_SQR, a);
}

int g_sqrt(struct graph *g, int a)
{
	return from1(g, OP_SQRT, a);
}

int g_scale(struct graph *g, int a)
{
	return from1(g, OP_SCALE, a);
}

int g_scale_inplace(struct graph *g, int a)
{
	int v = g_view(g, a);

	if (v)
		g->nodes[v].op = OP_SCALE;
	return g_from(g, v, a);
}

int g_clamp(struct graph *g, int a)
{
	return from1(g, OP_CLAMP, a);
}

int g_unary(struct graph *g, int a, enum gunary kind)
{
	return of_kind(g, from1(g, OP_UNARY, a), kind);
}

int g_fill(struct graph *g, int a)
{
	return from1(g, OP_FILL, a);
}

int g_norm(struct graph *g, int a)
{
	return from1(g, OP_NORM, a);
}

int g_rms_norm(struct graph *g, int a)
{
	return from1(g, OP_RMS_NORM, a);
}

int g_l2_norm(struct graph *g, int a)
{
	return from1(g, OP_L2_NORM, a);
}

int g_rope(struct graph *g, int a, int positions, int factors)
{
	int v = !positions ? g_lack(g) : g_from(g, from1(g, OP_ROPE, a), positions);

	return !factors ? v : g_from(g, v, factors);
}

int g_soft_max(struct graph *g, int a, int mask, int sinks)
{
	int v = from1(g, OP_SOFT_MAX, a);

	if (v && mask && g->nodes[mask].ne[0] != g->nodes[a].ne[0])
		return mismatch(g);
	if (mask || sinks)
		v = g_from(g, v, mask);
	return !sinks ? v : g_from(g, v, sinks);
}

/* --- shapes that change --- */

int g_glu(struct graph *g, int a, int b, enum gglu kind)
{
	const int64_t *ne;
	int v;

	if (!a)
		return g_lack(g);
	if (b && !same_shape(g, a, b))
		return mismatch(g);
	ne = g->nodes[a].ne;
	v = g_make(g, OP_GLU, g->nodes[a].type, DIMS(!b ? ne[0] / 2 : ne[0], ne[1], ne[2], ne[3]));
	v = of_kind(g, g_from(g, v, a), kind);
	return !b ? v : g_from(g, v, b);
}

/* Each row becomes one number. */
static int reduced(struct graph *g, enum gop op, int a)
{
	const int64_t *ne;

	if (!a)
		return g_lack(g);
	ne = g->nodes[a].ne;
	return g_from(g, g_make(g, op, GT_F32, DIMS(1, ne[1], ne[2], ne[3])), a);
}

int g_sum_rows(struct graph *g, int a)
{
	return reduced(g, OP_SUM_ROWS, a);
}

int g_mean(struct graph *g, int a)
{
	return reduced(g, OP_MEAN, a);
}

int g_argsort(struct graph *g, int a)
{
	return !a ? g_lack(g) : g_from(g, like(g, OP_ARGSORT, a, GT_I32), a);
}

/* The first k of each row: there must be so many. */
static bool has_rows_of(struct graph *g, int a, int64_t k)
{
	if (!a)
		g_lack(g);
	else if (k < 0 || g->nodes[a].ne[0] < k)
		mismatch(g);
	return !g->fault;
}

int g_argsort_top_k(struct graph *g, int a, int64_t k)
{
	const struct gnode *t;

	if (!has_rows_of(g, a, k))
		return G_NONE;
	a = g_argsort(g, a);
	if (!a)
		return g_lack(g);
	t = &g->nodes[a];
	return g_view_4d(g, a, k, t->ne[1], t->ne[2], t->ne[3], t->nb[1], t->nb[2], t->nb[3]);
}

int g_top_k(struct graph *g, int a, int64_t k)
{
	const int64_t *ne;

	if (!has_rows_of(g, a, k))
		return G_NONE;
	ne = g->nodes[a].ne;
	return g_from(g, g_make(g, OP_TOP_K, GT_I32, DIMS(k, ne[1], ne[2], ne[3])), a);
}

int g_repeat_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3)
{
	int v;

	if (!a)
		return g_lack(g);
	v = g_make(g, OP_REPEAT, g->nodes[a].type, DIMS(ne0, ne1, ne2, ne3));
	if (v && !repeats_to(g, a, v))
		return mismatch(g);
	return g_from(g, v, a);
}

int g_concat(struct graph *g, int a, int b, int dim)
{
	int64_t ne[G_DIMS];

	if (!a || !b)
		return g_lack(g);
	for (int i = 0; i < G_DIMS; i++) {
		ne[i] = g->nodes[a].ne[i];
		if (i == dim)
			ne[i] += g->nodes[b].ne[i];
		else if (ne[i] != g->nodes[b].ne[i])
			return mismatch(g);
	}
	return g_from(g, g_from(g, g_make(g, OP_CONCAT, g->nodes[a].type, ne), a), b);
}

int g_pad(struct graph *g, int a, int64_t p0, int64_t p1, int64_t p2, int64_t p3)
{
	const int64_t p[G_DIMS] = { p0, p1, p2, p3 };
	int64_t ne[G_DIMS];

	if (!a)
		return g_lack(g);
	for (int i = 0; i < G_DIMS; i++) {
		if (p[i] < 0 || __builtin_add_overflow(g->nodes[a].ne[i], p[i], &ne[i]))
			return mismatch(g);
	}
	return g_from(g, g_make(g, OP_PAD, g->nodes[a].type, ne), a);
}

/* --- matrices and mixers --- */

int g_mul_mat(struct graph *g, int a, int b)
{
	const int64_t *x, *y;

	if (!a || !b)
		return g_lack(g);
	x = g->nodes[a].ne;
	y = g->nodes[b].ne;
	if (x[0] != y[0] || !broadcasts(x[2], y[2]) || !broadcasts(x[3], y[3]))
		return mismatch(g);
	return g_from(g, g_from(g, g_make(g, OP_MUL_MAT, GT_F32, DIMS(x[1], y[1], y[2], y[3])), a),
		      b);
}

int g_mul_mat_id(struct graph *g, int as, int b, int ids)
{
	const int64_t *x, *y, *i;
	int v;

	if (!as || !b || !ids)
		return g_lack(g);
	x = g->nodes[as].ne;
	y = g->nodes[b].ne;
	i = g->nodes[ids].ne;
	if (x[0] != y[0] || i[1] != y[2] || !broadcasts(y[1], i[0]))
		return mismatch(g);
	v = g_make(g, OP_MUL_MAT_ID, GT_F32, DIMS(x[1], i[0], y[2], 1));
	return g_from(g, g_from(g, g_from(g, v, as), b), ids);
}

int g_flash_attn(struct graph *g, int q, int k, int v, int mask, int sinks)
{
	const int64_t *x, *y;
	int r;

	if (!q || !k || !v)
		return g_lack(g);
	x = g->nodes[q].ne;
	y = g->nodes[v].ne;
	if (x[0] != g->nodes[k].ne[0] || x[3] != g->nodes[k].ne[3] || x[3] != y[3])
		return mismatch(g);
	r = g_make(g, OP_FLASH_ATTN, GT_F32, DIMS(y[0], x[2], x[1], x[3]));
	r = g_from(g, g_from(g, g_from(g, r, q), k), v);
	if (mask || sinks)
		r = g_from(g, r, mask);
	return !sinks ? r : g_from(g, r, sinks);
}

int g_ssm_conv(struct graph *g, int sx, int c)
{
	const int64_t *x, *k;

	if (!sx || !c)
		return g_lack(g);
	x = g->nodes[sx].ne;
	k = g->nodes[c].ne;
	if (x[1] != k[1] || x[0] < k[0] - 1)
		return mismatch(g);
	return g_from(
		g,
		g_from(g, g_make(g, OP_SSM_CONV, GT_F32, DIMS(k[1], x[0] - k[0] + 1, x[2], 1)), sx),
		c);
}

/* All of these operands, in their order. */
static int from_all(struct graph *g, int a, const int *src, int n)
{
	for (int i = 0; i < n; i++)
		a = g_from(g, a, src[i]);
	return a;
}

static bool all_there(const int *src, int n)
{
	for (int i = 0; i < n; i++) {
		if (!src[i])
			return false;
	}
	return true;
}

int g_ssm_scan(struct graph *g, int s, int x, int dt, int a, int b, int c, int ids,
	       int64_t snapshots)
{
	const int src[] = { s, x, dt, a, b, c, ids };
	const int64_t *state;
	int64_t n;

	if (!all_there(src, 7))
		return g_lack(g);
	state = g->nodes[s].ne;
	/* The scan's result and the new states, one after the other. */
	if (__builtin_mul_overflow(state[0], state[1], &n) ||
	    __builtin_mul_overflow(n, state[2], &n) ||
	    __builtin_mul_overflow(n, g->nodes[ids].ne[0], &n) ||
	    __builtin_mul_overflow(n, snapshots, &n) ||
	    __builtin_add_overflow(n, g_elements(g, x), &n))
		return mismatch(g);
	return from_all(g, g_make(g, OP_SSM_SCAN, GT_F32, DIMS(n, 1, 1, 1)), src, 7);
}

int g_rwkv_wkv7(struct graph *g, int r, int w, int k, int v, int a, int b, int state)
{
	const int src[] = { r, w, k, v, a, b, state };
	const int64_t *x;
	int64_t rows, wide;

	if (!all_there(src, 7))
		return g_lack(g);
	x = g->nodes[k].ne;
	if (__builtin_mul_overflow(x[0], g->nodes[state].ne[1], &rows) ||
	    __builtin_add_overflow(rows, x[2], &rows) || __builtin_mul_overflow(x[0], x[1], &wide))
		return mismatch(g);
	return from_all(g, g_make(g, OP_RWKV_WKV7, GT_F32, DIMS(wide, rows, 1, 1)), src, 7);
}

int g_gated_delta_net(struct graph *g, int q, int k, int v, int gate, int beta, int state,
		      int64_t snapshots)
{
	const int src[] = { q, k, v, gate, beta, state };
	const int64_t *x;
	int64_t rows, old, wide;

	if (!all_there(src, 6))
		return g_lack(g);
	x = g->nodes[v].ne;
	if (__builtin_mul_overflow(x[0], x[3], &old) ||
	    __builtin_mul_overflow(old, snapshots, &old) ||
	    __builtin_mul_overflow(x[2], x[3], &rows) || __builtin_add_overflow(rows, old, &rows) ||
	    __builtin_mul_overflow(x[0], x[1], &wide))
		return mismatch(g);
	return from_all(g, g_make(g, OP_GATED_DELTA_NET, GT_F32, DIMS(wide, rows, 1, 1)), src, 6);
}

int g_lightning_indexer(struct graph *g, int q, int k, int weights, int mask)
{
	const int src[] = { q, k, weights, mask };
	const int64_t *x, *y;

	if (!all_there(src, 4))
		return g_lack(g);
	x = g->nodes[q].ne;
	y = g->nodes[k].ne;
	if (x[0] != y[0] || g->nodes[mask].ne[0] != y[2])
		return mismatch(g);
	return from_all(g, g_make(g, OP_LIGHTNING_INDEXER, GT_F32, DIMS(y[2], x[2], 1, x[3])), src,
			4);
}

int g_hc_comb(struct graph *g, int mixes, int scale, int base)
{
	const int src[] = { mixes, scale, base };
	int64_t hc = 1;

	if (!all_there(src, 3))
		return g_lack(g);
	/* Mixes for the way in, the way out, and from each of hc streams to each. */
	while (hc < 64 && (2 + hc) * hc < g->nodes[mixes].ne[0])
		hc++;
	if ((2 + hc) * hc != g->nodes[mixes].ne[0])
		return mismatch(g);
	return from_all(g, g_make(g, OP_HC_COMB, GT_F32, DIMS(hc, hc, g->nodes[mixes].ne[1], 1)),
			src, 3);
}

int g_hc_pre(struct graph *g, int x, int weights)
{
	const int src[] = { x, weights };
	const int64_t *ne;

	if (!all_there(src, 2))
		return g_lack(g);
	ne = g->nodes[x].ne;
	return from_all(g, g_make(g, OP_HC_PRE, GT_F32, DIMS(ne[0], ne[2], 1, 1)), src, 2);
}

int g_hc_post(struct graph *g, int x, int residual, int post, int comb)
{
	const int src[] = { x, residual, post };
	const int64_t *ne;
	int v;

	if (!all_there(src, 3))
		return g_lack(g);
	ne = g->nodes[x].ne;
	v = g_make(g, OP_HC_POST, GT_F32, DIMS(ne[0], g->nodes[residual].ne[1], ne[1], 1));
	v = from_all(g, v, src, 3);
	return !comb ? v : g_from(g, v, comb);
}

int g_other(struct graph *g, uint32_t type, const int64_t ne[G_DIMS], const int *src, int n_src)
{
	if (n_src > G_SRC_MAX || !all_there(src, n_src))
		return g_lack(g);
	return from_all(g, g_make(g, OP_OTHER, type, ne), src, n_src);
}
