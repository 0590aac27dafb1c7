/* SPDX-License-Identifier: MIT */
/*
 * Gemma 4: heads of different sizes in sliding and full layers; the last layers may read the
 * caches of earlier ones, values may be the keys before their norm, dense and routed experts run
 * side by side, and small models feed every layer its own embedding of the token.
 */
#include "vram-planner/build_priv.h"
#include "vram-planner/moe.h"
#include "vram-planner/per_layer.h"

/* Only full layers stretch their rotation. */
static int rope(struct build *b, int il, int x)
{
	const struct tensor *factors = shape_global(b->s, GLOBAL_ROPE_FREQS);
	bool has = factors && !b->s->layers[il].slides;

	return g_rope(b->g, x, b_positions(b), has ? b_tensor(b, factors, il) : G_NONE);
}

/* `n` heads. */
static int heads(struct build *b, int il, int x, uint32_t n)
{
	return g_reshape_3d(b->g, x, b->s->layers[il].head_k, n, b->n_tokens);
}

/* Keys and values of a layer with a cache of its own; without a matrix, values are the keys. */
static void project_kv(struct build *b, int il, int x, int fused, struct qkv *p)
{
	const struct layer *l = &b->s->layers[il];
	int64_t n = (int64_t)l->head_k * l->n_head_kv;
	int k, v;

	if (fused) {
		k = b_cut(b, fused, n);
		v = b_cut(b, fused, n);
	} else {
		k = v = b_mm(b, il, SLOT_ATTN_K, x);
		if (shape_weight(b->s, (uint32_t)il, SLOT_ATTN_V))
			v = b_mm(b, il, SLOT_ATTN_V, x);
	}
	p->k = heads(b, il, k, l->n_head_kv);
	p->v = heads(b, il, v, l->n_head_kv);
}

static struct qkv project(struct build *b, int il, int x)
{
	const struct layer *l = &b->s->layers[il];
	int fused = G_NONE, q;
	struct qkv p = { 0 };

	if (shape_weight(b->s, (uint32_t)il, SLOT_ATTN_QKV)) {
		fused = b_mm(b, il, SLOT_ATTN_QKV, x);
		q = b_cut(b, fused, (int64_t)l->head_k * l->n_head);
	} else {
		q = b_mm(b, il, SLOT_ATTN_Q, x);
	}
	p.q = heads(b, il, q, l->n_head);
	if (l->cache == il)
		project_kv(b, il, x, fused, &p);
	return p;
}

static int attend(struct build *b, int il, int x)
{
	struct qkv p = project(b, il, x);
	struct attn at = { 0 };

	at.q = rope(b, il, b_norm(b, il, SLOT_ATTN_Q_NORM, p.q, NORM_RMS));
	if (p.k) {
		at.k = rope(b, il, b_norm(b, il, SLOT_ATTN_K_NORM, p.k, NORM_RMS));
		at.v = g_rms_norm(b->g, p.v);
	}
	return b_attn(b, il, &at);
}

/* The dense part beside the experts, which are chosen by what comes before the norms. */
static int with_experts(struct build *b, int il, int x)
{
	struct graph *g = b->g;
	int dense = b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS);
	struct moe m = moe_of(b->s);
	int routed, scores;

	dense = b_ffn(b, il, dense, &ffn_gelu);
	dense = b_norm(b, il, SLOT_POST_FFW_NORM_1, dense, NORM_RMS);
	routed = b_norm(b, il, SLOT_PRE_FFW_NORM_2, x, NORM_RMS);
	scores = g_scale(g, g_rms_norm(g, x));
	scores = g_mul(g, scores, b_scale(b, il, SLOT_FFN_GATE_INP));
	m.logits = g_mul_mat(g, b_weight(b, il, SLOT_FFN_GATE_INP), scores);
	routed = b_moe(b, il, routed, &m);
	routed = b_norm(b, il, SLOT_POST_FFW_NORM_2, routed, NORM_RMS);
	return g_add(g, dense, routed);
}

static int feed_forward(struct build *b, int il, int x)
{
	int cur;

	if (shape_weight(b->s, (uint32_t)il, SLOT_FFN_GATE_INP))
		cur = with_experts(b, il, x);
	else
		cur = b_ffn(b, il, b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS), &ffn_gelu);
	cur = b_norm(b, il, SLOT_POST_FFW_NORM, cur, NORM_RMS);
	return g_add(b->g, cur, x);
}

static int layer(struct build *b, int il, int x, int per_layer)
{
	struct graph *g = b->g;
	int scale = b_weight(b, il, SLOT_LAYER_OUTPUT_SCALE);
	int cur = attend(b, il, b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS));

	cur = b_keep(b, il, cur);
	x = b_keep(b, il, x);
	cur = b_norm(b, il, SLOT_POST_ATTENTION_NORM, cur, NORM_RMS);
	cur = feed_forward(b, il, g_add(g, cur, x));
	if (per_layer) {
		int own = b_keep(b, il, b_plane(b, per_layer));

		cur = g_add(g, cur, b_per_layer(b, il, cur, own));
	}
	return scale ? g_mul(g, cur, scale) : cur;
}

/*
 * Newer engines look the rows up before the tokens' and scale them later, on the first layer's
 * device.
 */
static int rows_scaled(struct build *b, int rows)
{
	struct graph *g = b->g;
	int64_t width = b->s->n_embd_per_layer, layers = b->s->n_run;

	if (b->engine->tables_first)
		return g_reshape_3d(g, g_scale(g, rows), width, layers, b->n_tokens);
	return g_expand(g, g_scale(g, g_reshape_3d(g, rows, width, layers, b->n_tokens)));
}

void build_gemma4(struct build *b)
{
	int rows = G_NONE, per_layer = G_NONE, x;

	if (shape_global(b->s, GLOBAL_PER_LAYER_TOKEN_EMBD))
		rows = b_per_layer_rows(b);
	if (rows && b->engine->tables_first)
		g_expand(b->g, rows);
	x = b_embed_scaled(b);
	if (rows)
		per_layer = b_per_layer_inputs(b, rows_scaled(b, rows), x);
	for (uint32_t il = 0; il < b->s->n_run; il++)
		x = layer(b, (int)il, x, per_layer);
	b_result(b, x);
}
