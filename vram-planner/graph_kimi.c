/* SPDX-License-Identifier: MIT */
/*
 * Kimi Linear: layers of gated delta rule with a decay for each element (KDA), whose queries, keys
 * and values pass a short convolution each; every few layers MLA without positions. Experts but
 * for the first.
 */
#include "vram-planner/build_priv.h"
#include "vram-planner/delta.h"
#include "vram-planner/mla.h"
#include "vram-planner/moe.h"

/* The three convolutions of a layer keep their last inputs side by side in one cache. */
struct convs {
	int cache, last;
	int64_t width;
};

/* A part of the convolutions' rows, of the cache or of what was read of it. */
static int third(struct build *b, const struct convs *c, int rows)
{
	struct graph *g = b->g;
	int64_t kept = (int64_t)b->s->ssm_conv - 1;

	return g_view_3d(g, rows, kept, c->width, b->n_seqs, g_row_bytes(g, GT_F32, kept),
			 g_nb(g, rows, 1));
}

/* What one convolution sees; its last inputs are written back. */
static int conv_in(struct build *b, const struct convs *c, int in)
{
	struct graph *g = b->g;
	int64_t kept = (int64_t)b->s->ssm_conv - 1;
	int last;

	in = g_reshape_3d(g, in, c->width, b->n_seq_tokens, b->n_seqs);
	in = g_concat(g, third(b, c, c->last), g_transpose(g, in), 0);
	last = g_view_3d(g, in, kept, c->width, b->n_seqs, g_nb(g, in, 1), g_nb(g, in, 2));
	g_expand(g, g_cpy(g, last, third(b, c, c->cache)));
	return in;
}

static int convolve(struct build *b, const struct convs *c, int il, enum slot kernel, int in)
{
	struct graph *g = b->g;
	int64_t head = b->s->kda_head;
	int x = g_reshape_2d(g, b_weight(b, il, kernel), b->s->ssm_conv, c->width);

	x = g_reshape_2d(g, g_ssm_conv(g, in, x), c->width, b->n_tokens);
	return g_reshape_4d(g, g_unary(g, x, UN_SILU), head, b->s->n_head, b->n_seq_tokens,
			    b->n_seqs);
}

/* Two projections with a narrow middle. */
static int narrow(struct build *b, int il, enum slot in, enum slot out, int x)
{
	x = g_mul_mat(b->g, b_weight(b, il, in), x);
	return g_mul_mat(b->g, b_weight(b, il, out), x);
}

static int decay(struct build *b, int il, int x)
{
	struct graph *g = b->g;
	int64_t head = b->s->kda_head, heads = b->s->n_head;
	int rate = g_reshape_3d(g, b_weight(b, il, SLOT_SSM_A), 1, heads, 1);

	x = narrow(b, il, SLOT_SSM_F_A, SLOT_SSM_F_B, x);
	x = g_unary(g, g_add(g, x, b_bias(b, il, SLOT_SSM_DT)), UN_SOFTPLUS);
	x = g_mul(g, g_reshape_3d(g, x, head, heads, b->n_tokens), rate);
	return g_reshape_4d(g, x, head, heads, b->n_seq_tokens, b->n_seqs);
}

static int strength(struct build *b, int il, int x)
{
	struct graph *g = b->g;

	x = g_mul_mat(g, b_weight(b, il, SLOT_SSM_BETA), x);
	x = g_reshape_4d(g, x, 1, b->s->n_head, b->n_seq_tokens, b->n_seqs);
	return g_unary(g, x, UN_SIGMOID);
}

/* The result of the rule, normed by head, gated by the input and projected. */
static int project(struct build *b, int il, int out, int x)
{
	struct graph *g = b->g;
	int64_t head = b->s->kda_head, heads = b->s->n_head;
	int gate = g_reshape_3d(g, x, b->s->n_embd, b->n_seq_tokens, b->n_seqs);

	gate = g_reshape_2d(g, gate, b->s->n_embd, b->n_tokens);
	gate = narrow(b, il, SLOT_SSM_G_A, SLOT_SSM_G_B, gate);
	gate = g_unary(g, g_reshape_3d(g, gate, head, heads, b->n_tokens), UN_SIGMOID);
	out = g_reshape_3d(g, g_cont(g, out), head, heads, b->n_tokens);
	out = g_mul(g, b_norm(b, il, SLOT_SSM_NORM, out, NORM_RMS), gate);
	out = g_cont_2d(g, out, head * heads, b->n_tokens);
	return g_mul_mat(g, b_weight(b, il, SLOT_ATTN_OUTPUT), out);
}

/* Queries, keys and values from one matrix, or from three; the engine knows no scales of them. */
static struct qkv project_in(struct build *b, const struct convs *c, int il, int x)
{
	struct graph *g = b->g;

	if (shape_weight(b->s, (uint32_t)il, SLOT_ATTN_QKV)) {
		x = g_mul_mat(g, b_weight(b, il, SLOT_ATTN_QKV), x);
		return (struct qkv) { b_cut(b, x, c->width), b_cut(b, x, c->width),
				      b_cut(b, x, c->width) };
	}
	return (struct qkv) { g_mul_mat(g, b_weight(b, il, SLOT_ATTN_Q), x),
			      g_mul_mat(g, b_weight(b, il, SLOT_ATTN_K), x),
			      g_mul_mat(g, b_weight(b, il, SLOT_ATTN_V), x) };
}

static int kda(struct build *b, const struct states *st, int il, int x)
{
	struct graph *g = b->g;
	int64_t head = b->s->kda_head, heads = b->s->n_head;
	int cache = b_cache(b, il, CACHE_STATE);
	struct convs c = { .cache = b_cache(b, il, CACHE_CONV), .width = head * heads };
	struct qkv p = project_in(b, &c, il, x);
	struct delta d;

	c.last = b_state_rows(b, st, c.cache);
	p.q = conv_in(b, &c, p.q);
	p.k = conv_in(b, &c, p.k);
	p.v = conv_in(b, &c, p.v);
	d.state = g_reshape_4d(g, b_state_rows(b, st, cache), head, head, heads, b->n_seqs);
	d.q = b_unit_rows(g, convolve(b, &c, il, SLOT_SSM_CONV1D_Q, p.q));
	d.k = b_unit_rows(g, convolve(b, &c, il, SLOT_SSM_CONV1D_K, p.k));
	d.v = convolve(b, &c, il, SLOT_SSM_CONV1D_V, p.v);
	d.gate = decay(b, il, x);
	d.beta = strength(b, il, x);
	return project(b, il, b_delta_rule(b, &d, cache), x);
}

static int mla(struct build *b, int il, int x)
{
	int q = g_mul_mat(b->g, b_weight(b, il, SLOT_ATTN_Q), x);

	return b_attn_mla(b, il, q, b_low_rank(b, il, x), G_NONE, G_NONE);
}

static int layer(struct build *b, const struct states *st, int il, int x)
{
	struct graph *g = b->g;
	int cur = g_expand(g, b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS));
	int mid;

	if (b->s->layers[il].mixer == MIXER_KDA)
		cur = kda(b, st, il, cur);
	else
		cur = mla(b, il, cur);
	cur = b_keep(b, il, cur);
	x = b_keep(b, il, x);
	mid = g_add(g, cur, x);
	cur = b_norm(b, il, SLOT_FFN_NORM, mid, NORM_RMS);
	return g_add(g, b_moe_or_ffn(b, il, cur), mid);
}

void build_kimi_linear(struct build *b)
{
	int x = b_embed(b);
	struct states st = b_states(b);

	for (uint32_t il = 0; il < b->s->n_run; il++)
		x = layer(b, &st, (int)il, x);
	b_result(b, x);
}
