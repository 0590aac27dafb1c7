/* SPDX-License-Identifier: MIT */
/*
 * DeepSeek V4: several residual streams that each layer mixes down to one input and spreads its output
 * over again (hyper-connections), MLA-like attention with compressed keys (graph_deepseek4_attn.c), and experts
 * that the first layers choose by token id (llama.cpp v0.5.0, models/deepseek4.cpp).
 */
#include "vram-planner/build_priv.h"
#include "vram-planner/graph_deepseek4.h"
#include "vram-planner/moe.h"

/* What a hyper-connection's head makes of the streams besides the mixed input. */
struct spread {
	int post, comb;
};

static int affine(struct graph *g, int x, int scale, int base)
{
	return g_add(g, g_mul(g, x, scale), base);
}

/* Columns i.. of each row of `mixes` as a tensor of its own. */
static int columns(struct graph *g, int mixes, int64_t n)
{
	return g_view_2d(g, mixes, n, g_ne(g, mixes, 1), g_nb(g, mixes, 1));
}

static int sum_streams(struct build *b, int x, int weights)
{
	struct graph *g = b->g;
	int64_t n_embd = g_ne(g, x, 0), n = g_ne(g, x, 2);
	int sum = G_NONE;

	for (uint32_t i = 0; i < b->s->hc_count && !g->fault; i++) {
		int stream = g_view_2d(g, x, n_embd, n, g_nb(g, x, 2));
		int w = g_view_2d(g, weights, 1, n, g_nb(g, weights, 1));

		stream = g_mul(g, stream, w);
		sum = i == 0 ? stream : g_add(g, sum, stream);
	}
	return sum;
}

/* One step of Sinkhorn's iteration: rows, or columns, are made to sum to one. */
static int norm_rows(struct graph *g, int comb, int eps)
{
	return g_div(g, comb, g_add(g, g_sum_rows(g, comb), eps));
}

static int norm_columns(struct graph *g, int comb, int eps)
{
	int sum = g_sum_rows(g, g_cont(g, g_permute(g, comb, 1, 0, 2, 3)));

	return g_div(g, comb, g_permute(g, g_add(g, sum, eps), 1, 0, 2, 3));
}

/* How the streams are mixed into each other; in one operation where every device of a layer has it. */
static int combination(struct build *b, int mixes, int scale, int base)
{
	struct graph *g = b->g;
	int64_t hc = b->s->hc_count, n = g_ne(g, mixes, 1);
	int comb, eps;

	if (b_fused(b, OP_HC_COMB))
		return g_hc_comb(g, mixes, scale, base);
	scale = g_view_1d(g, scale, 1);
	base = g_view_1d(g, base, hc * hc);
	comb = affine(g, columns(g, mixes, hc * hc), scale, base);
	comb = g_soft_max(g, g_reshape_3d(g, comb, hc, hc, n), G_NONE, G_NONE);
	eps = g_fill(g, g_new(g, GT_F32, 1, 1, 1, 1));
	comb = norm_columns(g, g_add(g, comb, eps), eps);
	for (uint32_t i = 1; i < b->s->hc_iterations && !g->fault; i++)
		comb = norm_columns(g, norm_rows(g, comb, eps), eps);
	return comb;
}

/* Mix the streams x [n_embd, hc, n] down to a layer's input, by the tensors fn, scale and base. */
static int mix_down(struct build *b, int x, int fn, int scale, int base, struct spread *out)
{
	struct graph *g = b->g;
	int64_t hc = b->s->hc_count;
	int flat = g_reshape_2d(g, x, g_ne(g, x, 0) * hc, g_ne(g, x, 2));
	int mixes = g_mul_mat(g, fn, g_rms_norm(g, flat)), pre;
	int scale_pre = g_view_1d(g, scale, 1), scale_post = g_view_1d(g, scale, 1);
	int base_pre = g_view_1d(g, base, hc), base_post = g_view_1d(g, base, hc);

	pre = affine(g, columns(g, mixes, hc), scale_pre, base_pre);
	pre = g_scale(g, g_unary(g, pre, UN_SIGMOID));
	out->post = affine(g, columns(g, mixes, hc), scale_post, base_post);
	out->post = g_scale(g, g_unary(g, out->post, UN_SIGMOID));
	out->comb = combination(b, mixes, scale, base);
	return b_fused(b, OP_HC_PRE) ? g_hc_pre(g, x, pre) : sum_streams(b, x, pre);
}

/* Spread a layer's output x over the streams, which are mixed among themselves. */
static int spread_out(struct build *b, int x, int streams, const struct spread *s)
{
	struct graph *g = b->g;
	int64_t n_embd = g_ne(g, x, 0), n = g_ne(g, x, 1);
	int out = G_NONE;

	if (b_fused(b, OP_HC_POST))
		return g_hc_post(g, x, streams, s->post, s->comb);
	for (uint32_t to = 0; to < b->s->hc_count && !g->fault; to++) {
		int one = g_mul(g, x, g_view_2d(g, s->post, 1, n, g_nb(g, s->post, 1)));

		for (uint32_t from = 0; from < b->s->hc_count && !g->fault; from++) {
			int old = g_view_2d(g, streams, n_embd, n, g_nb(g, streams, 2));
			int w = g_view_2d(g, s->comb, 1, n, g_nb(g, s->comb, 2));

			one = g_add(g, one, g_mul(g, old, w));
		}
		one = g_reshape_3d(g, one, n_embd, 1, n);
		out = to == 0 ? one : g_concat(g, out, one, 1);
	}
	return out;
}

/* The streams' last mix, before the output: always in single steps. */
static int mix_last(struct build *b, int x)
{
	struct graph *g = b->g;
	int flat = g_reshape_2d(g, x, g_ne(g, x, 0) * g_ne(g, x, 1), g_ne(g, x, 2));
	int mixes = g_mul_mat(g, b_global(b, GLOBAL_OUTPUT_HC_FN), g_rms_norm(g, flat));

	mixes = affine(g, mixes, b_global(b, GLOBAL_OUTPUT_HC_SCALE),
		       b_global(b, GLOBAL_OUTPUT_HC_BASE));
	return sum_streams(b, x, g_scale(g, g_unary(g, mixes, UN_SIGMOID)));
}

static int experts(struct build *b, int il, int x)
{
	struct moe m = moe_of(b->s);
	int routed;

	if ((uint32_t)il < b->s->hash_layers)
		m.selected = g_get_rows(b->g, b_weight(b, il, SLOT_FFN_GATE_TID2EID), b->tokens);
	routed = b_moe(b, il, x, &m);
	return g_add(b->g, routed, b_shared_expert(b, il, x, m.act));
}

static int layer(struct dsv4 *d, int streams, int il)
{
	struct build *b = d->b;
	struct graph *g = b->g;
	struct spread s;
	int x = mix_down(b, streams, b_weight(b, il, SLOT_HC_ATTN_FN),
			 b_weight(b, il, SLOT_HC_ATTN_SCALE), b_weight(b, il, SLOT_HC_ATTN_BASE),
			 &s);

	x = d_attention(d, b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS), il);
	streams = spread_out(b, x, streams, &s);
	x = mix_down(b, streams, b_weight(b, il, SLOT_HC_FFN_FN),
		     b_weight(b, il, SLOT_HC_FFN_SCALE), b_weight(b, il, SLOT_HC_FFN_BASE), &s);
	g_expand(g, streams);
	g_expand(g, s.post);
	g_expand(g, s.comb);
	x = experts(b, il, b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS));
	return spread_out(b, x, streams, &s);
}

void build_deepseek4(struct build *b)
{
	struct graph *g = b->g;
	int64_t n_embd = b->s->n_embd, hc = b->s->hc_count;
	struct dsv4 d;
	int x = b_embed(b);

	d_inputs(&d, b);
	d.positions = b_positions(b);
	g_expand(g, d.mask);
	x = g_reshape_3d(g, x, n_embd, 1, b->n_tokens);
	x = g_repeat_4d(g, x, n_embd, hc, b->n_tokens, 1);
	for (uint32_t il = 0; il < b->s->n_run; il++) {
		x = layer(&d, x, (int)il);
		b_pin(b, (int)il, x);
	}
	if (!b->engine->keeps_late) /* a next-token head could ask for it */
		g_set_output(g, x);
	x = g_get_rows(g, g_reshape_2d(g, x, n_embd * hc, b->n_tokens), b_out_ids(b));
	x = mix_last(b, g_reshape_3d(g, x, n_embd, hc, b->n_outputs));
	b_result(b, x);
}
