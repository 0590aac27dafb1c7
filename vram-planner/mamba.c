/* SPDX-License-Identifier: MIT */
/* Mamba and mamba2, as llama.cpp's graphs run them (mamba-base.cpp). */
#include "vram-planner/mamba.h"

/* Columns from the middle of a [.., tokens, sequences] tensor. */
static int columns(struct graph *g, int x, int64_t n)
{
	return g_view_3d(g, x, n, g_ne(g, x, 1), g_ne(g, x, 2), g_nb(g, x, 1), g_nb(g, x, 2));
}

/* The same, as `heads` rows of `head`, for each token. */
static int heads_of(struct graph *g, int x, int64_t head, int64_t heads)
{
	uint64_t element = g_nb(g, x, 0);

	return g_view_4d(g, x, head, heads, g_ne(g, x, 1), g_ne(g, x, 2), element * (uint64_t)head,
			 g_nb(g, x, 1), g_nb(g, x, 2));
}

/*
 * The causal convolution over x [channels, tokens, sequences], which begins with the last inputs of the
 * batch before; the last inputs of this one are kept instead.
 */
static int convolve(struct build *b, int il, int before, int x)
{
	struct graph *g = b->g;
	int cache = b_cache(b, il, CACHE_CONV);
	int all = g_concat(g, before, g_transpose(g, x), 0), bias;

	for (int64_t i = b_snapshots_kept(b); i > 0; i--)
		b_state_store(b, cache,
			      g_view_3d(g, all, g_ne(g, before, 0), g_ne(g, all, 1),
					g_ne(g, all, 2), g_nb(g, all, 1), g_nb(g, all, 2)));
	x = g_ssm_conv(g, all, b_weight(b, il, SLOT_SSM_CONV1D));
	bias = b_bias(b, il, SLOT_SSM_CONV1D);
	return g_unary(g, g_add(g, x, bias), UN_SILU);
}

/* The inputs before this batch: [kernel - 1, channels, sequences]. */
static int inputs_before(struct build *b, int il, const struct states *st, int64_t channels)
{
	int rows = b_state_rows(b, st, b_cache(b, il, CACHE_CONV));

	return g_reshape_3d(b->g, rows, (int64_t)b->s->ssm_conv - 1, channels, b->n_seqs);
}

struct scan {
	int x, dt, b, c;
	int64_t head, heads;
};

/* The scan over the tokens; the new states are stored: its result holds them behind the outputs. */
static int scan(struct build *b, int il, const struct states *st, const struct scan *in)
{
	struct graph *g = b->g;
	int cache = b_cache(b, il, CACHE_STATE), all = b_state_all(b, cache), y;
	int64_t width = g_ne(g, cache, 0);
	int states = g_reshape_4d(g, all, b->s->ssm_state, in->head, in->heads, g_ne(g, cache, 1));

	y = g_ssm_scan(g, states, in->x, in->dt, b_weight(b, il, SLOT_SSM_A), in->b, in->c,
		       st->batch, b_snapshots(b));
	y = b_state_used(b, st, cache, all, y);
	b_state_store(b, cache,
		      g_view_3d(g, y, width, b->n_seqs, b_snapshots_kept(b),
				(uint64_t)width * sizeof(float),
				(uint64_t)(width * b->n_seqs) * sizeof(float)));
	return y;
}

/* The outputs of a scan, shaped as its input x. */
static int outputs(struct graph *g, int y, int x)
{
	uint64_t row = (uint64_t)g_ne(g, x, 0) * sizeof(float);
	uint64_t token = row * (uint64_t)g_ne(g, x, 1);

	return g_view_4d(g, y, g_ne(g, x, 0), g_ne(g, x, 1), g_ne(g, x, 2), g_ne(g, x, 3), row,
			 token, token * (uint64_t)g_ne(g, x, 2));
}

/* Some models norm dt, B and C. */
static bool norms_bcdt(struct build *b, int il)
{
	return b->s->ssm_norm_bcdt || (b_weight(b, il, SLOT_SSM_DT_NORM) != G_NONE &&
				       b_weight(b, il, SLOT_SSM_B_NORM) != G_NONE &&
				       b_weight(b, il, SLOT_SSM_C_NORM) != G_NONE);
}

int b_mamba(struct build *b, int il, const struct states *st, int x)
{
	struct graph *g = b->g;
	const struct shape *s = b->s;
	int64_t inner = s->ssm_inner, rank = s->ssm_dt_rank;
	int before = inputs_before(b, il, st, inner), xz, z, y, proj;
	struct scan in = { .head = 1, .heads = inner };

	xz = b_mm(b, il, SLOT_SSM_IN,
		  g_reshape_3d(g, x, g_ne(g, x, 0), b->n_seq_tokens, b->n_seqs));
	z = columns(g, xz, inner);
	x = convolve(b, il, before, columns(g, xz, inner));

	proj = b_mm(b, il, SLOT_SSM_X, x);
	in.dt = columns(g, proj, rank);
	in.b = heads_of(g, proj, s->ssm_state, 1);
	in.c = heads_of(g, proj, s->ssm_state, 1);
	if (norms_bcdt(b, il)) {
		in.dt = b_norm(b, il, SLOT_SSM_DT_NORM, in.dt, NORM_RMS);
		in.b = b_norm(b, il, SLOT_SSM_B_NORM, in.b, NORM_RMS);
		in.c = b_norm(b, il, SLOT_SSM_C_NORM, in.c, NORM_RMS);
	} else {
		in.dt = g_cont(g, in.dt);
	}
	in.dt = g_add(g, b_mm(b, il, SLOT_SSM_DT, in.dt), b_bias(b, il, SLOT_SSM_DT));
	in.x = g_reshape_4d(g, x, 1, inner, b->n_seq_tokens, b->n_seqs);
	y = scan(b, il, st, &in);

	y = g_view_3d(g, y, inner, b->n_seq_tokens, b->n_seqs, (uint64_t)inner * sizeof(float),
		      (uint64_t)(inner * b->n_seq_tokens) * sizeof(float));
	y = g_add(g, y, g_mul(g, x, b_weight(b, il, SLOT_SSM_D)));
	y = g_glu(g, g_cont(g, z), y, GLU_SWIGLU);
	y = b_mm(b, il, SLOT_SSM_OUT, y);
	return g_reshape_2d(g, y, g_ne(g, y, 0), b->n_tokens);
}

int b_mamba2(struct build *b, int il, const struct states *st, int x)
{
	struct graph *g = b->g;
	const struct shape *s = b->s;
	int64_t inner = s->ssm_inner, heads = s->ssm_dt_rank, head = heads ? inner / heads : 0;
	int64_t groups = s->ssm_groups, channels = inner + 2 * groups * s->ssm_state;
	int before = inputs_before(b, il, st, channels), all, xbc, y;
	struct scan in = { .head = head, .heads = heads };

	all = b_mm(b, il, SLOT_SSM_IN, x); /* z, then x, B and C, then dt */
	all = g_reshape_3d(g, all, g_ne(g, all, 0), b->n_seq_tokens, b->n_seqs);
	xbc = convolve(b, il, before, columns(g, all, channels));

	in.x = heads_of(g, xbc, head, heads);
	in.b = heads_of(g, xbc, s->ssm_state, groups);
	in.c = heads_of(g, xbc, s->ssm_state, groups);
	in.dt = g_add(g, g_cont(g, columns(g, all, heads)), b_bias(b, il, SLOT_SSM_DT));
	y = scan(b, il, st, &in);

	y = g_add(g, outputs(g, y, in.x), g_mul(g, in.x, b_weight(b, il, SLOT_SSM_D)));
	y = g_glu(g, g_cont(g, heads_of(g, all, head, heads)), y, GLU_SWIGLU);
	if (b_weight(b, il, SLOT_SSM_NORM) != G_NONE) {
		y = g_reshape_4d(g, y, groups ? inner / groups : 0, groups, b->n_seq_tokens,
				 b->n_seqs);
		y = b_norm(b, il, SLOT_SSM_NORM, y, NORM_RMS);
	}
	return b_mm(b, il, SLOT_SSM_OUT, g_reshape_2d(g, y, inner, b->n_tokens));
}

int b_attn_layer(struct build *b, int il, int x)
{
	struct qkv q = b_qkv(b, il, x);
	struct attn at = { .q = q.q, .k = q.k, .v = q.v };

	if (b_weight(b, il, SLOT_ATTN_Q_NORM) != G_NONE)
		at.q = b_norm(b, il, SLOT_ATTN_Q_NORM, at.q, NORM_RMS);
	if (b_weight(b, il, SLOT_ATTN_K_NORM) != G_NONE)
		at.k = b_norm(b, il, SLOT_ATTN_K_NORM, at.k, NORM_RMS);
	at.q = b_rope(b, il, at.q);
	at.k = b_rope(b, il, at.k);
	return b_attn(b, il, &at);
}
