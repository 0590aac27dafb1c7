/* SPDX-License-Identifier: MIT */
/*
 * What the Vulkan backend has shaders for (ggml-vulkan.cpp at v0.5.0, device_supports_op), as far as
 * graphs of language models ask; 0.7.0 places every node of the measured models the same.
 */
#include "vram-planner/vulkan.h"

#include "vram-planner/graph_priv.h"
#include "vram-planner/model.h"

/* ggml's type numbers, as bits. */
#define T(id)   (UINT64_C(1) << (id))
#define F32     T(0)
#define F16     T(1)
#define BF16    T(30)
#define I32     T(26)
#define I64     T(27)
#define LEGACY  (T(2) | T(3) | T(6) | T(7) | T(8)) /* q4_0 q4_1 q5_0 q5_1 q8_0 */
#define IQ4_NL  T(20)
#define TINY    (T(41) | T(42))                             /* q1_0 q2_0 */
#define WRITTEN (F32 | F16 | BF16 | LEGACY | IQ4_NL | TINY) /* types that it can make of others */

static bool is(const struct graph *g, int n, uint64_t types)
{
	return n && types >> g->nodes[n].type & 1;
}

static int src(const struct gnode *t, uint32_t k)
{
	return k < t->n_src ? t->src[k] : G_NONE;
}

static bool fits(const struct graph *g, int n, uint64_t max_bytes)
{
	const struct gnode *t = &g->nodes[n];

	if (max_bytes == 0)
		return true;
	for (uint32_t k = 0; k < t->n_src; k++) {
		if (t->src[k] && g_bytes(g, t->src[k]) > max_bytes)
			return false;
	}
	return g_bytes(g, n) <= max_bytes;
}

/* Rows follow each other without gaps, and so do the outermost planes. */
static bool is_packed(const struct graph *g, int n)
{
	const struct gnode *t = &g->nodes[n];
	uint32_t weights, bytes;

	if (!quant_block(t->type, &weights, &bytes) || t->nb[0] != bytes)
		return false;
	return t->nb[1] == g_row_bytes(g, t->type, t->ne[0]) &&
	       (t->ne[3] == 1 || t->nb[3] == t->nb[2] * (uint64_t)t->ne[2]);
}

static bool product(const struct graph *g, const struct gnode *t)
{
	int a = src(t, 0), b = src(t, 1), planes = t->op == OP_MUL_MAT ? a : src(t, 2);

	if (!a || !b || !planes || is(g, a, I32 | I64) ||
	    g->nodes[planes].ne[3] != g->nodes[b].ne[3])
		return false;
	if (!is_packed(g, a) && !is(g, a, F32 | F16 | BF16))
		return false;
	return !is(g, a, BF16) || !is(g, b, F16);
}

static bool flash(const struct graph *g, const struct gnode *t)
{
	const uint64_t cached = F32 | F16 | BF16 | LEGACY | IQ4_NL;
	int k = src(t, 1), v = src(t, 2), mask = src(t, 3), sinks = src(t, 4);

	if (g_ne(g, k, 0) % 8 || g_ne(g, v, 0) % 8 || !is(g, k, cached) || !is(g, v, cached))
		return false;
	return is(g, k, BF16) == is(g, v, BF16) && (!mask || is(g, mask, F16)) &&
	       (!sinks || is(g, sinks, F32));
}

static bool copy(const struct graph *g, int n)
{
	const struct gnode *t = &g->nodes[n];
	int from = src(t, 0), to = src(t, 1) ? src(t, 1) : from;

	if (is(g, from, F32) && is(g, to, WRITTEN))
		return true;
	if (is(g, to, F32) && is(g, from, WRITTEN | I32))
		return true;
	if (is(g, from, F32) && is(g, to, I32))
		return true;
	if (!from || g->nodes[from].type != g->nodes[to].type)
		return false;
	return !quant_is_blocked(g->nodes[from].type) ||
	       (g_is_contiguous(g, from) && g_is_contiguous(g, n));
}

/* Only mamba2's scan, whose decay is one number a head. */
static bool scan(const struct graph *g, const struct gnode *t)
{
	const struct gnode *state = &g->nodes[src(t, 0)];
	int a = src(t, 3);

	return a && g->nodes[a].nb[1] == sizeof(float) &&
	       (state->ne[0] == 128 || state->ne[0] == 256) && state->ne[1] % 16 == 0;
}

static bool delta_net(const struct graph *g, const struct gnode *t)
{
	int64_t head = g_ne(g, src(t, 2), 0);

	return head == 16 || head == 32 || head == 64 || head == 128;
}

static bool indexer(const struct graph *g, const struct gnode *t)
{
	return g_ne(g, src(t, 0), 0) == 128 && is(g, src(t, 1), F32 | F16 | BF16 | LEGACY);
}

static bool both(const struct graph *g, const struct gnode *t, uint64_t types)
{
	return is(g, src(t, 0), types) && is(g, src(t, 1), types);
}

bool vulkan_supports(const struct graph *g, int n, uint64_t max_bytes)
{
	const struct gnode *t = &g->nodes[n];

	if (!fits(g, n, max_bytes))
		return false;
	switch (t->op) {
	case OP_MUL_MAT:
	case OP_MUL_MAT_ID:
		return product(g, t);
	case OP_FLASH_ATTN:
		return flash(g, t);
	case OP_SET_ROWS:
		return is(g, src(t, 0), F32 | F16) && is(g, n, WRITTEN);
	case OP_CONT:
	case OP_CPY:
	case OP_DUP:
		return copy(g, n);
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
		return both(g, t, F32 | F16);
	case OP_ADD_ID:
		return both(g, t, F32);
	case OP_SCALE:
	case OP_SOFT_MAX:
		return is(g, src(t, 0), F32) && g_is_contiguous(g, src(t, 0));
	case OP_NORM:
	case OP_L2_NORM:
	case OP_SUM_ROWS:
	case OP_MEAN:
	case OP_PAD:
	case OP_SSM_CONV:
		return is(g, src(t, 0), F32);
	case OP_ARGSORT:
	case OP_TOP_K:
		return g_is_contiguous(g, src(t, 0));
	case OP_SSM_SCAN:
		return scan(g, t);
	case OP_GATED_DELTA_NET:
		return delta_net(g, t);
	case OP_LIGHTNING_INDEXER:
		return indexer(g, t);
	default:
		return t->op != OP_OTHER;
	}
}
