/* SPDX-License-Identifier: MIT */
/* Families with experts whose layers are not the common decoder's (llama.cpp v0.5.0, models/). */
#include "vram-planner/build_priv.h"
#include "vram-planner/moe.h"

/* Most layers rotate, and norm Q and K without weights; the others scale Q by position. */
static int llama4_attention(struct build *b, int layer, int x, int scale)
{
	struct graph *g = b->g;
	struct qkv v = b_qkv(b, layer, x);

	if (b->s->layers[layer].rope) {
		v.q = b_rope(b, layer, v.q);
		v.k = b_rope(b, layer, v.k);
		if (b->s->qk_norm_whole) {
			v.q = g_rms_norm(g, v.q);
			v.k = g_rms_norm(g, v.k);
		}
	} else {
		v.q = g_mul(g, v.q, scale);
	}
	return b_attn(b, layer, &(struct attn) { .q = v.q, .k = v.k, .v = v.v });
}

void build_llama4(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b), scale = b_attn_temp(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int y = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);

		y = llama4_attention(b, il, y, scale);
		x = g_add(g, b_keep(b, il, y), b_keep(b, il, x));
		y = b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS);
		x = g_add(g, b_moe_or_ffn(b, il, y), x);
	}
	b_result(b, x);
}

/* Experts, and beside them a dense part where there is one; normed before they are added. */
static int grok_feed_forward(struct build *b, int layer, int x)
{
	struct graph *g = b->g;
	struct moe m = moe_of(b->s);
	bool by_layer = shape_weight(b->s, (uint32_t)layer, SLOT_LAYER_OUTPUT_NORM);
	int y = b_moe(b, layer, x, &m);

	if (shape_weight(b->s, (uint32_t)layer, SLOT_FFN_UP))
		y = g_scale(g, g_add(g, b_ffn(b, layer, x, &ffn_gelu), y));
	return b_norm(b, layer, by_layer ? SLOT_LAYER_OUTPUT_NORM : SLOT_POST_FFW_NORM, y,
		      NORM_RMS);
}

void build_grok(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		struct qkv v = b_qkv(b, il, b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS));
		int y;

		v.q = b_rope(b, il, v.q);
		v.k = b_rope(b, il, v.k);
		y = b_attn(b, il, &(struct attn) { .q = v.q, .k = v.k, .v = v.v });
		y = b_norm(b, il, SLOT_ATTN_OUTPUT_NORM, b_keep(b, il, y), NORM_RMS);
		x = g_add(g, y, b_keep(b, il, x));
		y = b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS);
		x = g_add(g, grok_feed_forward(b, il, y), x);
	}
	b_result(b, x);
}
