/* SPDX-License-Identifier: MIT */
/* Nemotron-H: each layer is one of mamba2, attention or feed-forward (nemotron-h.cpp). */
#include "vram-planner/build_priv.h"
#include "vram-planner/moe.h"
#include "vram-planner/mamba.h"

static const struct ffn plain = {
	.up = SLOT_FFN_UP, .gate = SLOT_FFN_GATE, .down = SLOT_FFN_DOWN, .act = ACT_RELU_SQR
};
static const struct ffn shared = { .up = SLOT_FFN_UP_SHEXP,
				   .gate = SLOT_FFN_GATE_SHEXP,
				   .down = SLOT_FFN_DOWN_SHEXP,
				   .act = ACT_RELU_SQR };

/* Experts, in a narrower space when the model has one; they are chosen by the layer's own input. */
static int experts(struct build *b, int il, int x)
{
	struct graph *g = b->g;
	int down = b_weight(b, il, SLOT_FFN_LATENT_DOWN), up = b_weight(b, il, SLOT_FFN_LATENT_UP);
	struct moe m = moe_of(b->s);
	int in = down != G_NONE ? g_mul_mat(g, down, x) : x, out;

	m.logits = b_mm(b, il, SLOT_FFN_GATE_INP, x);
	out = b_moe(b, il, in, &m);
	if (up != G_NONE)
		out = g_mul_mat(g, up, out);
	return g_add(g, out, b_ffn(b, il, x, &shared));
}

static int layer(struct build *b, int il, const struct states *st, int x)
{
	switch (b->s->layers[il].mixer) {
	case MIXER_MAMBA2:
		return b_mamba2(b, il, st, x);
	case MIXER_ATTENTION:
		return b_attn_layer(b, il, x);
	default:
		if (b_weight(b, il, SLOT_FFN_GATE_INP) != G_NONE)
			return experts(b, il, x);
		return b_ffn(b, il, x, &plain);
	}
}

void build_nemotron_h(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);
	struct states st = b_states(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);

		cur = b_keep(b, il, layer(b, il, &st, cur));
		x = g_add(g, cur, b_keep(b, il, x));
	}
	b_result(b, x);
}
