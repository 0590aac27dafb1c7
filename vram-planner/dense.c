/* SPDX-License-Identifier: MIT */
/*
 * Attention and a feed-forward part, in the variants of 22 families. What a model's tensors say is taken
 * from them: norms before or after each part, or one for both parts side by side; norms of Q and K;
 * biases; attention sinks; routed experts. What they do not say is a flag of the family's row in builders[].
 */
#include <stddef.h>

#include "vram-planner/build_priv.h"
#include "vram-planner/moe.h"

struct dense_layer {
	int in;   /* what the layer got */
	int norm; /* normed, for both parts */
	int attn; /* what attention made of it */
};

static bool has(const struct build *b, int layer, enum slot slot)
{
	return shape_weight(b->s, (uint32_t)layer, slot) != NULL;
}

static bool is(const struct build *b, unsigned flag)
{
	return b->row->flags & flag;
}

static int norm_if(struct build *b, int layer, enum slot slot, int x)
{
	return has(b, layer, slot) ? b_norm(b, layer, slot, x, b->s->norm) : x;
}

/* Q and K normed in whole rows, before they are heads. */
static struct qkv qkv_norm_rows(struct build *b, int layer, int x)
{
	const struct layer *l = &b->s->layers[layer];
	struct graph *g = b->g;
	int q = b_mm_bias(b, layer, SLOT_ATTN_Q, x), k = b_mm_bias(b, layer, SLOT_ATTN_K, x);
	int v = b_mm_bias(b, layer, SLOT_ATTN_V, x);

	q = norm_if(b, layer, SLOT_ATTN_Q_NORM, q);
	k = norm_if(b, layer, SLOT_ATTN_K_NORM, k);
	return (struct qkv) {
		.q = b_rope(b, layer, g_reshape_3d(g, q, l->head_k, l->n_head, b->n_tokens)),
		.k = b_rope(b, layer, g_reshape_3d(g, k, l->head_k, l->n_head_kv, b->n_tokens)),
		.v = g_reshape_3d(g, v, l->head_v, l->n_head_kv, b->n_tokens),
	};
}

static struct qkv dense_qkv(struct build *b, int layer, int x)
{
	struct qkv r;

	if (is(b, DENSE_NORM_ROWS))
		return qkv_norm_rows(b, layer, x);
	r = b_qkv(b, layer, x);
	if (is(b, DENSE_NORM_AFTER_ROPE)) {
		r.q = norm_if(b, layer, SLOT_ATTN_Q_NORM, b_rope(b, layer, r.q));
		r.k = norm_if(b, layer, SLOT_ATTN_K_NORM, b_rope(b, layer, r.k));
		return r;
	}
	r.q = b_rope(b, layer, norm_if(b, layer, SLOT_ATTN_Q_NORM, r.q));
	r.k = b_rope(b, layer, norm_if(b, layer, SLOT_ATTN_K_NORM, r.k));
	if (b->s->attn_temp_scale != 0)
		r.q = g_mul(b->g, r.q, b_attn_temp(b));
	if (is(b, DENSE_Q_SCALED))
		r.q = g_scale(b->g, r.q);
	return r;
}

static int dense_attn(struct build *b, int layer, int x)
{
	struct qkv r = dense_qkv(b, layer, x);

	return b_attn(b, layer,
		      &(struct attn) { .q = r.q,
				       .k = r.k,
				       .v = r.v,
				       .sinks = b_weight(b, layer, SLOT_ATTN_SINKS) });
}

static int dense_ffn(struct build *b, int layer, int x)
{
	static const struct ffn fused = { SLOT_FFN_UP, SLOT_FFN_GATE, SLOT_FFN_DOWN, ACT_SWIGLU_ONE,
					  true };

	if (has(b, layer, SLOT_FFN_GATE_INP))
		return b_moe_or_ffn(b, layer, x);
	if (!has(b, layer, SLOT_FFN_GATE) && is(b, DENSE_GATE_IN_UP))
		return b_ffn(b, layer, x, &fused);
	return b_ffn(b, layer, x, is(b, DENSE_GELU) ? &ffn_gelu : &ffn_silu);
}

/* The parts side by side: both see the normed input, and both are added to it. */
static int parallel(struct build *b, int layer, const struct dense_layer *l)
{
	int x = dense_ffn(b, layer, l->norm);

	return g_add(b->g, g_add(b->g, x, l->in), l->attn);
}

static int serial(struct build *b, int layer, const struct dense_layer *l)
{
	struct graph *g = b->g;
	enum slot before = SLOT_FFN_NORM;
	int x = l->attn, mid;

	if (is(b, DENSE_POST_IS_FFN_NORM))
		before = SLOT_POST_ATTENTION_NORM;
	else
		x = norm_if(b, layer, SLOT_POST_ATTENTION_NORM, x);
	mid = g_add(g, x, l->in);
	x = dense_ffn(b, layer, norm_if(b, layer, before, mid));
	if (has(b, layer, SLOT_POST_FFW_NORM)) /* the engine leaves this one free to move */
		x = b_norm(b, layer, SLOT_POST_FFW_NORM, x, b->s->norm);
	return is(b, DENSE_RESIDUAL_FIRST) ? g_add(g, mid, x) : g_add(g, x, mid);
}

void build_dense(struct build *b)
{
	int x = is(b, DENSE_EMBD_SCALED) ? b_embed_scaled(b) : b_embed(b);

	for (int i = 0; i < (int)b->s->n_run; i++) {
		struct dense_layer l = { .in = x, .norm = norm_if(b, i, SLOT_ATTN_NORM, x) };
		bool side = !has(b, i, SLOT_FFN_NORM) && !has(b, i, SLOT_POST_ATTENTION_NORM);

		l.attn = b_keep(b, i, dense_attn(b, i, l.norm));
		l.in = b_keep(b, i, l.in);
		if (side) {
			l.norm = b_keep(b, i, l.norm);
			x = parallel(b, i, &l);
		} else {
			x = serial(b, i, &l);
		}
	}
	b_result(b, x);
}
