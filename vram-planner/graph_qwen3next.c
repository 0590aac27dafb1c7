/* SPDX-License-Identifier: MIT */
/*
 * Qwen3-Next and Qwen 3.5: three layers of gated delta net, then one of attention whose result is
 * gated by a part of the query's projection. The two generations differ in how the net's inputs
 * are projected.
 */
#include <string.h>

#include "vram-planner/build_priv.h"
#include "vram-planner/delta.h"
#include "vram-planner/moe.h"
#include "vram-planner/graph_priv.h"

struct net {
	const struct states *st;
	bool first; /* Qwen3-Next */
	int64_t heads_k, heads_v, head_k, head_v, channels;
};

/* --- attention --- */

static int attend(struct build *b, const struct net *n, int il, int x)
{
	const struct layer *l = &b->s->layers[il];
	struct graph *g = b->g;
	int64_t head = l->head_k, heads = l->n_head, tokens = b->n_tokens;
	uint64_t row = g_row_bytes(g, GT_F32, 2 * head);
	int both = b_mm_bias(b, il, SLOT_ATTN_Q, x);
	int k = b_mm_bias(b, il, SLOT_ATTN_K, x), v = b_mm_bias(b, il, SLOT_ATTN_V, x);
	struct attn at = { .no_out = true };
	int gate, cur;

	if (n->first)
		both = g_reshape_4d(g, both, 2 * head, heads, tokens, 1);
	at.q = g_view_3d(g, both, head, heads, tokens, row, row * (uint64_t)heads);
	gate = g_view_3d(g, both, head, heads, tokens, row, row * (uint64_t)heads);
	at.q = b_rope(b, il, b_norm(b, il, SLOT_ATTN_Q_NORM, at.q, NORM_RMS));
	k = g_reshape_3d(g, k, head, l->n_head_kv, tokens);
	at.k = b_rope(b, il, b_norm(b, il, SLOT_ATTN_K_NORM, k, NORM_RMS));
	at.v = g_reshape_3d(g, v, head, l->n_head_kv, tokens);
	cur = b_attn(b, il, &at);
	gate = g_cont_2d(g, gate, head * heads, tokens);
	cur = g_mul(g, cur, g_unary(g, gate, UN_SIGMOID));
	return b_mm(b, il, SLOT_ATTN_OUTPUT, cur);
}

/* --- gated delta net --- */

/* Queries, keys and values of the net [channels, seq tokens, seqs], and what gates its result. */
struct mixed {
	int qkv, z;
};

/* `n` numbers of each head. */
static int of_each_head(struct graph *g, int x, int64_t n)
{
	return g_view_4d(g, x, n, g_ne(g, x, 1), g_ne(g, x, 2), g_ne(g, x, 3), g_nb(g, x, 1),
			 g_nb(g, x, 2), g_nb(g, x, 3));
}

/* The first conversions of Qwen3-Next have all in one matrix, by head of keys. */
static struct mixed split_by_head(struct build *b, const struct net *n, int il, int x)
{
	struct graph *g = b->g;
	int64_t t = b->n_seq_tokens, s = b->n_seqs, v = n->head_v * n->heads_v / n->heads_k;
	int all = g_mul_mat(g, b_weight(b, il, SLOT_SSM_IN), x), k[2];
	struct mixed m;

	all = g_reshape_4d(g, all, 2 * (n->head_k + v), n->heads_k, t, s);
	for (int i = 0; i < 2; i++)
		k[i] = g_cont_3d(g, of_each_head(g, all, n->head_k), n->head_k * n->heads_k, t, s);
	m.qkv = g_concat(g, k[0], k[1], 0);
	m.qkv = g_concat(g, m.qkv, g_cont_3d(g, of_each_head(g, all, v), v * n->heads_k, t, s), 0);
	m.z = g_cont(g, of_each_head(g, all, v));
	return m;
}

/* The engine knows no scales of Qwen3-Next's projections. */
static struct mixed mix(struct build *b, const struct net *n, int il, int x)
{
	struct mixed m;

	if (n->first && !shape_weight(b->s, (uint32_t)il, SLOT_ATTN_QKV))
		return split_by_head(b, n, il, x);
	if (n->first) {
		m.qkv = g_mul_mat(b->g, b_weight(b, il, SLOT_ATTN_QKV), x);
		m.z = g_mul_mat(b->g, b_weight(b, il, SLOT_ATTN_GATE), x);
	} else {
		m.qkv = b_mm(b, il, SLOT_ATTN_QKV, x);
		m.z = b_mm(b, il, SLOT_ATTN_GATE, x);
	}
	m.qkv = g_reshape_3d(b->g, m.qkv, g_ne(b->g, m.qkv, 0), b->n_seq_tokens, b->n_seqs);
	return m;
}

/* Decay from alpha [heads, seq tokens, seqs]. */
static int decay(struct build *b, const struct net *n, int il, int alpha)
{
	struct graph *g = b->g;
	int a = g_unary(g, g_add(g, alpha, b_bias(b, il, SLOT_SSM_DT)), UN_SOFTPLUS);

	a = g_mul(g, a, b_weight(b, il, SLOT_SSM_A));
	return g_reshape_4d(g, a, 1, n->heads_v, b->n_seq_tokens, b->n_seqs);
}

static void gates(struct build *b, const struct net *n, int il, int x, struct delta *d)
{
	struct graph *g = b->g;
	int64_t t = b->n_seq_tokens, s = b->n_seqs;
	int alpha, beta;

	beta = b_mm(b, il, SLOT_SSM_BETA, x);
	d->beta = g_unary(g, g_reshape_4d(g, beta, 1, n->heads_v, t, s), UN_SIGMOID);
	alpha = b_mm(b, il, SLOT_SSM_ALPHA, x);
	d->gate = decay(b, n, il, g_reshape_3d(g, alpha, n->heads_v, t, s));
}

/* Qwen3-Next interleaves beta and alpha of each key head. */
static void gates_in_one(struct build *b, const struct net *n, int il, int x, struct delta *d)
{
	struct graph *g = b->g;
	int64_t t = b->n_seq_tokens, s = b->n_seqs, per = n->heads_v / n->heads_k;
	int ba = b_mm(b, il, SLOT_SSM_BA, x);
	int part, beta;

	ba = g_reshape_4d(g, ba, 2 * per, n->heads_k, t, s);
	part = of_each_head(g, ba, per);
	beta = b->engine->copies_beta ? g_cont(g, part) : part;
	d->beta = g_reshape_4d(g, g_unary(g, beta, UN_SIGMOID), 1, n->heads_v, t, s);
	part = of_each_head(g, ba, per);
	d->gate = decay(b, n, il, g_cont_3d(g, part, n->heads_v, t, s));
}

/* `heads` of the convolution's result, as a view. */
static int heads_of(struct build *b, const struct net *n, int conv, int64_t head, int64_t heads)
{
	uint64_t row = g_row_bytes(b->g, GT_F32, n->channels);

	return g_view_4d(b->g, conv, head, heads, b->n_seq_tokens, b->n_seqs,
			 g_row_bytes(b->g, GT_F32, head), row, row * (uint64_t)b->n_seq_tokens);
}

/* As many heads of queries and keys as of values: copies, where the rule cannot share them. */
static int spread(struct build *b, const struct net *n, int x)
{
	struct graph *g = b->g;
	int64_t tokens = b->n_tokens, per = n->heads_v / n->heads_k;

	if (!n->first || n->heads_k == n->heads_v)
		return x;
	x = g_reshape_4d(g, x, n->head_k, 1, n->heads_k, tokens);
	x = g_repeat_4d(g, x, n->head_k, per, n->heads_k, tokens);
	return g_reshape_4d(g, x, n->head_k, n->heads_v, b->n_seq_tokens, b->n_seqs);
}

static int delta_net(struct build *b, const struct net *n, int il, int x)
{
	struct graph *g = b->g;
	int cache = b_cache(b, il, CACHE_STATE);
	struct mixed m = mix(b, n, il, x);
	int in = b_conv_input(b, n->st, b_cache(b, il, CACHE_CONV), m.qkv, n->channels);
	int state = b_state_rows(b, n->st, cache);
	int conv = g_unary(g, g_ssm_conv(g, in, b_weight(b, il, SLOT_SSM_CONV1D)), UN_SILU);
	struct delta d;
	int out, z;

	d.state = g_reshape_4d(g, state, n->head_v, n->head_v, n->heads_v, b->n_seqs);
	d.q = spread(b, n, b_unit_rows(g, heads_of(b, n, conv, n->head_k, n->heads_k)));
	d.k = spread(b, n, b_unit_rows(g, heads_of(b, n, conv, n->head_k, n->heads_k)));
	d.v = heads_of(b, n, conv, n->head_v, n->heads_v);
	if (n->first)
		gates_in_one(b, n, il, x, &d);
	else
		gates(b, n, il, x, &d);
	out = b_delta_rule(b, &d, cache);
	z = g_reshape_4d(g, m.z, n->head_v, n->heads_v, b->n_seq_tokens, b->n_seqs);
	out = g_mul(g, b_norm(b, il, SLOT_SSM_NORM, out, NORM_RMS), g_unary(g, z, UN_SILU));
	out = g_reshape_3d(g, out, n->head_v * n->heads_v, b->n_seq_tokens, b->n_seqs);
	out = b_mm(b, il, SLOT_SSM_OUT, out);
	return g_reshape_2d(g, out, b->s->n_embd, b->n_tokens);
}

/* --- the layers --- */

/* Experts, and one shared by all tokens that is weighed by a gate of its own. */
static int feed_forward(struct build *b, int il, int x)
{
	struct graph *g = b->g;
	struct moe m = moe_of(b->s);
	int routed, shared, gate;

	if (!shape_weight(b->s, (uint32_t)il, SLOT_FFN_GATE_INP))
		return b_ffn(b, il, x, &ffn_silu);
	routed = b_moe(b, il, x, &m);
	if (!shape_weight(b->s, (uint32_t)il, SLOT_FFN_UP_SHEXP))
		return routed;
	shared = b_shared_expert(b, il, x, MOE_SWIGLU);
	gate = g_unary(g, b_mm(b, il, SLOT_FFN_GATE_INP_SHEXP, x), UN_SIGMOID);
	return g_add(g, routed, g_mul(g, shared, gate));
}

static int layer(struct build *b, const struct net *n, int il, int x)
{
	struct graph *g = b->g;
	int cur = g_expand(g, b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS));
	int mid;

	if (b->s->layers[il].mixer == MIXER_DELTA)
		cur = delta_net(b, n, il, cur);
	else
		cur = attend(b, n, il, cur);
	cur = b_keep(b, il, cur);
	x = b_keep(b, il, x);
	mid = g_add(g, cur, x);
	cur = feed_forward(b, il, b_norm(b, il, SLOT_POST_ATTENTION_NORM, mid, NORM_RMS));
	return g_add(g, cur, mid);
}

void build_qwen3next(struct build *b)
{
	const struct shape *s = b->s;
	int x = b_embed(b);
	struct states st = b_states(b);
	struct net n = {
		.st = &st,
		.first = !strcmp(s->arch, "qwen3next"),
		.heads_k = s->ssm_groups,
		.heads_v = s->ssm_dt_rank,
		.head_k = s->ssm_state,
	};

	if (!n.heads_k || !n.heads_v) {
		g_fault(b->g, "a delta net without heads");
		return;
	}
	n.head_v = s->ssm_inner / n.heads_v;
	n.channels = (int64_t)s->ssm_inner + 2 * n.heads_k * n.head_k;
	for (uint32_t il = 0; il < s->n_run; il++)
		x = layer(b, &n, (int)il, x);
	b_result(b, x);
}
