/* SPDX-License-Identifier: MIT */
/* Models of mamba layers, alone or among attention (mamba.cpp, jamba.cpp, granite-hybrid.cpp, ...). */
#include "vram-planner/build_priv.h"
#include "vram-planner/moe.h"
#include "vram-planner/mamba.h"

/* The layer's mixer, attention or state. */
static int mix(struct build *b, int il, const struct states *st, int x)
{
	switch (b->s->layers[il].mixer) {
	case MIXER_MAMBA:
		return b_mamba(b, il, st, x);
	case MIXER_MAMBA2:
		return b_mamba2(b, il, st, x);
	default:
		return b_attn_layer(b, il, x);
	}
}

/* mamba, mamba2: nothing but mixers. */
void build_mamba(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);
	struct states st = b_states(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);

		cur = b_keep(b, il, mix(b, il, &st, cur));
		x = g_add(g, cur, b_keep(b, il, x));
	}
	b_result(b, x);
}

void build_jamba(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);
	struct states st = b_states(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS), mid;

		cur = b_keep(b, il, mix(b, il, &st, cur));
		mid = g_add(g, b_keep(b, il, x), cur);
		cur = b_norm(b, il, SLOT_FFN_NORM, mid, NORM_RMS);
		x = g_add(g, mid, b_moe_or_ffn(b, il, cur));
	}
	b_result(b, x);
}

/* --- granite: what joins the residual is scaled --- */

static int scaled(struct build *b, int x)
{
	return b->s->residual_scale != 0 ? g_scale(b->g, x) : x;
}

void build_granite_hybrid(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);
	struct states st = b_states(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS), mid;

		cur = b_keep(b, il, mix(b, il, &st, cur));
		x = b_keep(b, il, x);
		mid = g_add(g, scaled(b, cur), x);
		cur = b_norm(b, il, SLOT_FFN_NORM, mid, NORM_RMS);
		cur = b_moe_or_ffn(b, il, cur);
		x = g_add(g, scaled(b, cur), mid);
	}
	b_result(b, x);
}

/* --- falcon-h1: attention and mamba2 side by side in every layer --- */

void build_falcon_h1(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);
	struct states st = b_states(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);
		int attn = b_attn_layer(b, il, cur), ssm;

		/* The engine norms the same input twice. */
		cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);
		ssm = b_mamba2(b, il, &st, cur);
		x = b_keep(b, il, g_add(g, g_add(g, attn, ssm), x));
		cur = b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS);
		x = g_add(g, b_ffn(b, il, cur, &ffn_silu), x);
	}
	b_result(b, x);
}
