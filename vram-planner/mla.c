/* SPDX-License-Identifier: MIT */
/*
 * MLA: one compressed key for all heads is cached, queries are brought into its space, and what attention
 * gives is decompressed by head. An indexer may choose the keys (llama.cpp v0.5.0, build_attn in
 * llama-graph.cpp and models/deepseek32.cpp; node counts agree with 0.7.0).
 */
#include "vram-planner/mla.h"

/* --- the parts of a layer's attention --- */

struct low_rank b_low_rank(struct build *b, int layer, int x)
{
	struct graph *g = b->g;
	int both = b_mm(b, layer, SLOT_ATTN_KV_A_MQA, x);
	uint64_t nb1 = g_nb(g, both, 1);
	struct low_rank k;

	k.c = g_view_2d(g, both, b->s->n_lora_kv, b->n_tokens, nb1);
	k.pe = g_view_3d(g, both, b->s->n_rot, 1, b->n_tokens, nb1, nb1);
	k.c = b_norm(b, layer, SLOT_ATTN_KV_A_NORM, k.c, NORM_RMS);
	return k;
}

/* Queries in the space of the compressed keys: [n_lora_kv + n_rot, heads, tokens]. */
static int absorb(struct build *b, int layer, int q)
{
	struct graph *g = b->g;
	const struct shape *s = b->s;
	int64_t heads = s->layers[layer].n_head, plain = (int64_t)s->head_k_mla - s->n_rot;
	uint64_t nb1 = g_row_bytes(g, GT_F32, s->head_k_mla), nb2 = nb1 * (uint64_t)heads;
	int pe = b_rope(b, layer, g_view_3d(g, q, s->n_rot, heads, b->n_tokens, nb1, nb2));

	q = g_permute(g, g_view_3d(g, q, plain, heads, b->n_tokens, nb1, nb2), 0, 2, 1, 3);
	q = g_mul_mat(g, b_weight(b, layer, SLOT_ATTN_K_B), q);
	return g_concat(g, g_permute(g, q, 0, 2, 1, 3), pe, 0);
}

/* Queries, keys and values of the absorbed form: one key for all heads, whose front is the value. */
static struct attn absorbed(struct build *b, int layer, int q, struct low_rank k)
{
	struct graph *g = b->g;
	struct attn a = { .v_mla = b_weight(b, layer, SLOT_ATTN_V_B) };

	a.q = absorb(b, layer, q);
	a.v = g_reshape_3d(g, k.c, b->s->n_lora_kv, 1, b->n_tokens);
	a.k = g_concat(g, a.v, b_rope(b, layer, k.pe), 0);
	return a;
}

/* --- the indexer --- */

int b_rotation(struct build *b, int64_t head)
{
	int64_t n = 64;

	while (n < head && head % (2 * n) == 0)
		n *= 2;
	return g_input(b->g, GT_F32, n, n, 1, 1);
}

/* Scores of all keys for each token, in simple operations. */
static int scores(struct graph *g, int q, int keys, int weights, int mask)
{
	int x = g_mul_mat(g, g_permute(g, keys, 0, 2, 1, 3), g_permute(g, q, 0, 2, 1, 3));

	x = g_cont(g, g_permute(g, x, 2, 1, 0, 3));
	x = g_sum_rows(g, g_mul(g, g_unary(g, x, UN_RELU), weights));
	x = g_cont(g, g_permute(g, x, 2, 1, 0, 3));
	return g_add(g, x, mask);
}

int b_index(struct build *b, int q, int keys, int weights, int mask, bool scale)
{
	struct graph *g = b->g;
	int64_t streams = g_ne(g, keys, 3), top = b->s->indexer_top_k, n, cells;
	uint64_t parts = (uint64_t)streams;
	int x;

	if (streams == 0) /* no keys: a fault already */
		return G_NONE;
	n = b->n_tokens / streams;
	q = g_view_4d(g, q, g_ne(g, q, 0), g_ne(g, q, 1), n, streams, g_nb(g, q, 1), g_nb(g, q, 2),
		      g_nb(g, q, 3) / parts);
	weights = g_view_4d(g, weights, g_ne(g, weights, 0), n, g_ne(g, weights, 2), streams,
			    g_nb(g, weights, 1), g_nb(g, weights, 2) / parts,
			    g_nb(g, weights, 3) / parts);
	if (scale)
		weights = g_scale(g, weights);
	if (b_fused(b, OP_LIGHTNING_INDEXER))
		x = g_lightning_indexer(g, q, keys, weights, mask);
	else
		x = scores(g, q, keys, weights, mask);
	cells = g_ne(g, x, 0);
	return g_cont(g, g_top_k(g, x, cells < top ? cells : top));
}

int b_mask_chosen(struct build *b, int mask, int chosen, uint32_t zeros)
{
	struct graph *g = b->g;
	int64_t cells = g_ne(g, mask, 0), n = g_ne(g, mask, 1), streams = g_ne(g, mask, 3);
	int64_t top = g_ne(g, chosen, 0);
	int all = g_fill(g, mask), none, rows;

	all = g_view_4d(g, all, 1, cells, n, streams, g_nb(g, all, 0), g_nb(g, all, 1),
			g_nb(g, all, 2));
	rows = g_view_4d(g, chosen, top, n, streams, 1, g_nb(g, chosen, 1), g_nb(g, chosen, 2),
			 g_nb(g, chosen, 3) * (uint64_t)streams);
	none = g_fill(g, g_new(g, zeros, 1, top, n, streams));
	all = g_set_rows(g, all, none, rows);
	all = g_view_4d(g, all, cells, n, 1, streams, g_nb(g, all, 2), g_nb(g, all, 3),
			g_nb(g, all, 3));
	return g_add(g, all, mask);
}

/* --- attention --- */

/*
 * Store the batch's keys and attend; the values are the front of the keys. `chosen`: by an indexer, or
 * G_NONE for all.
 */
static int attend(struct build *b, int layer, const struct attn *a, int chosen)
{
	struct graph *g = b->g;
	const struct attn_inputs *in = b_attn_inputs(b, layer);
	int cache = b_cache(b, layer, CACHE_K), mask = in->mask, k, v;

	g_expand(g, a->q);
	g_expand(g, a->v);
	g_expand(g, a->k);
	b_store_k(b, layer, cache, a->k, in->k_idxs);
	if (chosen != G_NONE)
		mask = b_mask_chosen(b, mask, chosen, GT_F32);
	k = b_cached_k(b, layer, cache, b->s->head_k, 1);
	v = g_view_4d(g, k, g_ne(g, a->v, 0), 1, g_ne(g, k, 2), g_ne(g, k, 3), g_nb(g, k, 1),
		      g_nb(g, k, 2), g_nb(g, k, 3));
	return b_mm(b, layer, SLOT_ATTN_OUTPUT, b_attend(b, layer, a->q, k, v, a, mask));
}

int b_attn_mla(struct build *b, int layer, int q, struct low_rank k, int scale, int chosen)
{
	struct attn a = absorbed(b, layer, q, k);

	if (scale != G_NONE)
		a.q = g_mul(b->g, a.q, scale);
	return attend(b, layer, &a, chosen);
}
