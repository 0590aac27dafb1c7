/* SPDX-License-Identifier: MIT */
/* The dense feed-forward part. */
#include "vram-planner/build_priv.h"

const struct ffn ffn_silu = { SLOT_FFN_UP, SLOT_FFN_GATE, SLOT_FFN_DOWN, ACT_SILU, false };
const struct ffn ffn_gelu = { SLOT_FFN_UP, SLOT_FFN_GATE, SLOT_FFN_DOWN, ACT_GELU, false };

#define CLAMP_LEAST 1e-6f /* limits below are none */

/* Gate and up side by side. */
static int gated(struct build *b, int layer, int gate, int up, const struct ffn *f)
{
	struct graph *g = b->g;

	switch (f->act) {
	case ACT_SILU:
		if (b->s->layers[layer].clamp_shared > CLAMP_LEAST)
			return g_glu(g, gate, up, GLU_SWIGLU_CLAMP);
		return g_glu(g, gate, up, GLU_SWIGLU);
	case ACT_GELU:
		return g_glu(g, gate, up, GLU_GEGLU);
	case ACT_RELU:
		return g_glu(g, gate, up, GLU_REGLU);
	default:
		return g_mul(g, b_act(b, gate, f->act), up);
	}
}

int b_act(struct build *b, int x, enum act act)
{
	struct graph *g = b->g;

	switch (act) {
	case ACT_SILU:
		return g_unary(g, x, UN_SILU);
	case ACT_GELU:
		return g_unary(g, x, UN_GELU);
	case ACT_RELU:
		return g_unary(g, x, UN_RELU);
	case ACT_RELU_SQR:
		return g_sqr(g, g_unary(g, x, UN_RELU));
	case ACT_SWIGLU_ONE:
		return g_glu(g, x, G_NONE, GLU_SWIGLU);
	case ACT_GEGLU_ONE:
		return g_glu(g, x, G_NONE, GLU_GEGLU);
	}
	return x;
}

/* A product, its bias, its scale: in this order here, unlike b_mm_bias. */
static int branch(struct build *b, int layer, enum slot slot, int x)
{
	int bias = b_bias(b, layer, slot), scale = b_scale(b, layer, slot);

	x = g_mul_mat(b->g, b_weight(b, layer, slot), x);
	if (bias)
		x = g_add(b->g, x, bias);
	return scale ? g_mul(b->g, x, scale) : x;
}

int b_ffn(struct build *b, int layer, int x, const struct ffn *f)
{
	bool has_gate = shape_weight(b->s, (uint32_t)layer, f->gate);
	int up = shape_weight(b->s, (uint32_t)layer, f->up) ? branch(b, layer, f->up, x) : x;
	int cur = has_gate ? branch(b, layer, f->gate, f->serial ? up : x) : up;

	if (has_gate && !f->serial)
		cur = gated(b, layer, cur, up, f);
	else
		cur = b_act(b, cur, f->act);
	if (!shape_weight(b->s, (uint32_t)layer, f->down))
		return cur;
	return branch(b, layer, f->down, cur);
}
