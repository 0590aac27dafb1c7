/* SPDX-License-Identifier: MIT */
/*
 * DeepSeek 2 and 3 and what follows their files (Kimi K2, GLM 4.7 Flash), and the families that attend
 * only to the keys that an indexer chooses: deepseek32 and glm-dsa (llama.cpp v0.5.0, models/
 * deepseek2.cpp, deepseek32.cpp, glm-dsa.cpp; the node counts agree with 0.7.0).
 */
#include "vram-planner/build_priv.h"
#include "vram-planner/mla.h"
#include "vram-planner/moe.h"

/* What the queries are made from: the input, or a low-rank part of it. */
static int query_input(struct build *b, int layer, int x)
{
	if (shape_weight(b->s, (uint32_t)layer, SLOT_ATTN_Q))
		return x;
	return b_norm(b, layer, SLOT_ATTN_Q_A_NORM, b_mm(b, layer, SLOT_ATTN_Q_A, x), NORM_RMS);
}

static int queries(struct build *b, int layer, int x)
{
	bool plain = shape_weight(b->s, (uint32_t)layer, SLOT_ATTN_Q);

	return b_mm(b, layer, plain ? SLOT_ATTN_Q : SLOT_ATTN_Q_B, x);
}

/* --- attention to all keys --- */

/* The same of files from before the absorbed form: full keys and values for each head. */
static struct attn decompressed(struct build *b, int layer, int q, struct low_rank k)
{
	struct graph *g = b->g;
	const struct shape *s = b->s;
	int64_t heads = s->layers[layer].n_head, plain = (int64_t)s->head_k - s->n_rot;
	uint64_t nb1 = g_row_bytes(g, GT_F32, plain + s->head_v), nb2 = nb1 * (uint64_t)heads;
	int kv = b_mm(b, layer, SLOT_ATTN_KV_B, k.c), pe = b_rope(b, layer, k.pe);
	struct attn a = { .q = b_rope(b, layer, q) };

	a.v = g_cont(g, g_view_3d(g, kv, s->head_v, heads, b->n_tokens, nb1, nb2));
	kv = g_view_3d(g, kv, plain, heads, b->n_tokens, nb1, nb2);
	a.k = g_concat(g, kv, g_repeat_4d(g, pe, s->n_rot, heads, b->n_tokens, 1), 0);
	return a;
}

/* Files from before the absorbed form have keys and values of every head, and a common cache. */
static int attention(struct build *b, int layer, int x, int scale)
{
	const struct shape *s = b->s;
	int64_t head = s->head_k_mla ? s->head_k_mla : s->head_k;
	int q = queries(b, layer, query_input(b, layer, x));
	struct low_rank k = b_low_rank(b, layer, x);
	struct attn a;

	q = g_reshape_3d(b->g, q, head, s->layers[layer].n_head, b->n_tokens);
	if (s->head_k_mla)
		return b_attn_mla(b, layer, q, k, scale, G_NONE);
	a = decompressed(b, layer, q, k);
	if (scale != G_NONE)
		a.q = g_mul(b->g, a.q, scale);
	return b_attn(b, layer, &a);
}

/* --- attention to the keys that an indexer chooses --- */

/* Inputs of deepseek32's and glm-dsa's graphs besides those of the main cache. */
struct sparse {
	int k_idxs, mask, rot;
	int chosen; /* by the last layer that had an indexer */
};

static struct sparse sparse_inputs(struct build *b)
{
	int64_t cells = b->a->n_ctx_seq;
	bool half = b_fused(b, OP_LIGHTNING_INDEXER);

	return (struct sparse) {
		.k_idxs = g_input(b->g, GT_I64, b->n_tokens, 1, 1, 1),
		.mask = g_input(b->g, half ? GT_F16 : GT_F32, cells, b->n_tokens / b->n_streams, 1,
				b->n_streams),
		.rot = b_rotation(b, b->s->indexer_head),
	};
}

/* Keys of this batch into the indexer's cache, and the choice among all. Keys and queries are rotated. */
static int choose(struct build *b, struct sparse *p, int layer, int x, int q_low)
{
	struct graph *g = b->g;
	const struct shape *s = b->s;
	int q = b_mm(b, layer, SLOT_INDEXER_ATTN_Q_B, q_low);
	int k = b_mm(b, layer, SLOT_INDEXER_ATTN_K, x);
	int cache = b_cache(b, layer, CACHE_INDEXER);

	q = b_rope(b, layer, g_reshape_3d(g, q, s->indexer_head, s->indexer_heads, b->n_tokens));
	k = b_norm(b, layer, SLOT_INDEXER_K_NORM, k, NORM_LAYER);
	k = b_rope(b, layer, g_reshape_3d(g, k, s->indexer_head, 1, b->n_tokens));
	q = g_mul_mat(g, p->rot, q);
	k = g_mul_mat(g, p->rot, k);
	b_store_k(b, layer, cache, k, p->k_idxs);
	x = b_mm(b, layer, SLOT_INDEXER_PROJ, x);
	k = b_cached_k(b, layer, cache, s->indexer_head, 1);
	return b_index(b, q, k, x, p->mask, true);
}

static int sparse_attention(struct build *b, struct sparse *p, int layer, int x)
{
	int q_low = query_input(b, layer, x), q;

	if (b->s->layers[layer].indexer)
		p->chosen = choose(b, p, layer, x, q_low);
	q = queries(b, layer, q_low);
	return b_attn_mla(b, layer, q, b_low_rank(b, layer, x), G_NONE, p->chosen);
}

/* --- the families --- */

/* The second half of every layer: what attention gave, and the feed-forward part. */
static int feed_forward(struct build *b, int layer, int x, int residual)
{
	x = g_add(b->g, b_keep(b, layer, x), b_keep(b, layer, residual));
	residual = x;
	x = b_norm(b, layer, SLOT_FFN_NORM, x, NORM_RMS);
	return g_add(b->g, b_moe_or_ffn(b, layer, x), residual);
}

void build_mla(struct build *b)
{
	int x = b_embed(b), scale = G_NONE;

	if (b->s->attn_temp_scale != 0.0f)
		scale = b_attn_temp(b);
	for (int il = 0; il < (int)b->s->n_run; il++) {
		int y = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);

		x = feed_forward(b, il, attention(b, il, y, scale), x);
	}
	b_result(b, x);
}

void build_dsa(struct build *b)
{
	int x = b_embed(b);
	struct sparse p = sparse_inputs(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int y = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);

		x = feed_forward(b, il, sparse_attention(b, &p, il, y), x);
	}
	b_result(b, x);
}
