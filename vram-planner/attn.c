/* SPDX-License-Identifier: MIT */
/* Attention: projections, the caches of keys and values, and attention proper with flash and without. */
#include <stddef.h>

#include "vram-planner/build_priv.h"
#include "vram-planner/model.h"

#define UNCACHED_PAD 256 /* as a cache's cells are (llama_kv_cache) */

/* --- inputs --- */

int b_mask(struct build *b, int64_t n_kv)
{
	return g_input(b->g, b->flash_attn ? GT_F16 : GT_F32, n_kv, b->n_tokens / b->n_streams, 1,
		       b->n_streams);
}

/*
 * The size of all heads of the layers that keep a cache of this kind; 0 when there are several. Only
 * heads of one size are rotated.
 */
static uint32_t one_head(const struct build *b, bool sliding, bool values)
{
	uint32_t size = 0;

	for (uint32_t i = 0; i < b->s->n_run; i++) {
		const struct layer *l = &b->s->layers[i];
		uint32_t head = values ? l->head_v : l->head_k;

		if (!layer_attends(l) || l->cache != (int32_t)i ||
		    (b->s->window && l->slides != sliding))
			continue;
		if (size && size != head)
			return 0;
		size = head;
	}
	return size;
}

/* Quantized caches hold rotated vectors: the rotation's side is a power of two that divides the head. */
#define ROT_LEAST 64

static int rotation(struct build *b, bool sliding, bool values)
{
	uint32_t head = one_head(b, sliding, values), side = ROT_LEAST;
	bool first = b->s->layers[0].slides;
	uint32_t of = values ? (first ? b->s->head_v_swa : b->s->head_v)
			     : (first ? b->s->head_k_swa : b->s->head_k);

	if (!quant_is_blocked(values ? b->a->type_v : b->a->type_k) || head == 0 || of % ROT_LEAST)
		return G_NONE;
	if (b->s->memory == MEMORY_HYBRID && b->s->window) /* the engine leaves it out there */
		return G_NONE;
	/* For values the smallest is as good, and cheaper. */
	while (!values && head % (2 * side) == 0)
		side *= 2;
	return g_input(b->g, GT_F32, side, side, 1, 1);
}

static void inputs_make(struct build *b, struct attn_inputs *in, int layer)
{
	bool sliding = b->s->layers[layer].slides;
	uint32_t owner = (uint32_t)b->s->layers[layer].cache;
	int v = b_cache(b, (int)owner, CACHE_V);
	/* Without flash attention values are stored transposed, element by element. */
	int64_t n_v = b->n_tokens * (b->flash_attn ? 1 : g_ne(b->g, v, 0));

	in->made = true;
	in->k_idxs = g_input(b->g, GT_I64, b->n_tokens, 1, 1, 1);
	if (v)
		in->v_idxs = g_input(b->g, GT_I64, n_v, 1, 1, 1);
	in->mask = b_mask(b, cache_cells(b->s, b->a, owner));
	in->k_rot = rotation(b, sliding, false);
	if (v)
		in->v_rot = rotation(b, sliding, true);
}

/* Tokens that keys and values of a batch which sees only itself are padded by. */
static int64_t uncached_pad(const struct build *b)
{
	return b->engine->pads_uncached ? (UNCACHED_PAD - b->n_tokens % UNCACHED_PAD) % UNCACHED_PAD
					: 0;
}

const struct attn_inputs *b_attn_inputs(struct build *b, int layer)
{
	struct attn_inputs *in = b->s->layers[layer].slides ? &b->sliding : &b->full;

	if (b->s->layers[layer].cache < 0) { /* the batch sees itself only */
		in = b->s->layers[layer].slides ? &b->none_sliding : &b->none;
		if (!in->made)
			in->mask = g_input(b->g, b->flash_attn ? GT_F16 : GT_F32,
					   b->n_tokens + uncached_pad(b), b->n_tokens, 1, 1);
		in->made = true;
	} else if (!in->made) {
		inputs_make(b, in, layer);
	}
	return in;
}

/* --- projections --- */

/* The bias of a fused projection: of its own, or those of the three put together. */
static int fused_bias(struct build *b, int layer)
{
	int bias = b_bias(b, layer, SLOT_ATTN_QKV), q = b_bias(b, layer, SLOT_ATTN_Q);
	int k = b_bias(b, layer, SLOT_ATTN_K), v = b_bias(b, layer, SLOT_ATTN_V);

	if (!bias && q && k && v)
		bias = g_concat(b->g, g_concat(b->g, q, k, 0), v, 0);
	return bias;
}

static struct qkv qkv_fused(struct build *b, int layer, int x)
{
	const struct layer *l = &b->s->layers[layer];
	struct graph *g = b->g;
	int bias = fused_bias(b, layer), all = b_mm(b, layer, SLOT_ATTN_QKV, x);
	uint64_t row, k_row = g_row_bytes(g, GT_F32, l->head_k),
		      v_row = g_row_bytes(g, GT_F32, l->head_v);

	if (bias)
		all = g_add(g, all, bias);
	row = g_nb(g, all, 1);
	return (struct qkv) {
		.q = g_view_3d(g, all, l->head_k, l->n_head, b->n_tokens, k_row, row),
		.k = g_view_3d(g, all, l->head_k, l->n_head_kv, b->n_tokens, k_row, row),
		.v = g_view_3d(g, all, l->head_v, l->n_head_kv, b->n_tokens, v_row, row),
	};
}

struct qkv b_qkv(struct build *b, int layer, int x)
{
	const struct layer *l = &b->s->layers[layer];
	struct graph *g = b->g;
	int q, k, v;

	if (shape_weight(b->s, (uint32_t)layer, SLOT_ATTN_QKV))
		return qkv_fused(b, layer, x);
	q = b_mm_bias(b, layer, SLOT_ATTN_Q, x);
	k = b_mm_bias(b, layer, SLOT_ATTN_K, x);
	v = b_mm_bias(b, layer, SLOT_ATTN_V, x);
	return (struct qkv) {
		.q = g_reshape_3d(g, q, l->head_k, l->n_head, b->n_tokens),
		.k = g_reshape_3d(g, k, l->head_k, l->n_head_kv, b->n_tokens),
		.v = g_reshape_3d(g, v, l->head_v, l->n_head_kv, b->n_tokens),
	};
}

/* Factors by context: what a model was trained for, or stretched. */
static int rope_factors(struct build *b, int layer)
{
	const struct tensor *t = shape_global(b->s, GLOBAL_ROPE_FREQS);

	if (!t)
		t = shape_global(b->s, b->a->n_ctx_seq > b->s->n_ctx_orig
					       ? GLOBAL_ROPE_FACTORS_LONG
					       : GLOBAL_ROPE_FACTORS_SHORT);
	return b_tensor(b, t, layer);
}

int b_rope(struct build *b, int layer, int x)
{
	if (!b->s->layers[layer].rope)
		return x;
	return g_rope(b->g, x, b_positions(b), rope_factors(b, layer));
}

/* --- the cache --- */

/* [head, heads, tokens] as rows of all heads. */
static int flat_rows(struct build *b, int x)
{
	struct graph *g = b->g;

	return g_view_2d(g, x, g_ne(g, x, 0) * g_ne(g, x, 1), g_ne(g, x, 2), g_nb(g, x, 2));
}

/* All streams of a cache as one: indices are of the whole. */
static int merged(struct build *b, int cache)
{
	struct graph *g = b->g;

	if (g_ne(g, cache, 2) <= 1)
		return cache;
	return g_reshape_2d(g, cache, g_ne(g, cache, 0), g_ne(g, cache, 1) * g_ne(g, cache, 2));
}

int b_store_k(struct build *b, int layer, int cache, int k, int idxs)
{
	(void)layer;
	k = flat_rows(b, k);
	return g_expand(b->g, g_set_rows(b->g, merged(b, cache), k, idxs));
}

/* Transposed values: rows of one element each. */
static int store_v_transposed(struct build *b, int cache, int v, int idxs)
{
	struct graph *g = b->g;
	int64_t wide = g_ne(g, v, 0) * g_ne(g, v, 1), n = g_ne(g, v, 2);

	if (g_row_bytes(g, GT_F32, wide) == g_nb(g, v, 2))
		v = g_reshape_2d(g, v, wide, n);
	else
		v = g_cont_2d(g, v, wide, n);
	if (wide < g_ne(g, cache, 0))
		v = g_pad(g, v, g_ne(g, cache, 0) - wide, 0, 0, 0);
	cache = g_reshape_2d(g, cache, 1, g_elements(g, cache));
	v = g_reshape_2d(g, v, 1, g_elements(g, v));
	return g_expand(g, g_set_rows(g, cache, v, idxs));
}

int b_store_v(struct build *b, int layer, int cache, int v, int idxs)
{
	if (!b->flash_attn)
		return store_v_transposed(b, cache, v, idxs);
	return b_store_k(b, layer, cache, v, idxs);
}

int b_cached_k(struct build *b, int layer, int cache, int64_t head, int64_t heads)
{
	struct graph *g = b->g;
	uint32_t type = cache ? g_at(g, cache)->type : GT_F32;

	(void)layer;
	return g_view_4d(g, cache, head, heads, g_ne(g, cache, 1), g_ne(g, cache, 2),
			 g_row_bytes(g, type, head), g_nb(g, cache, 1), g_nb(g, cache, 2));
}

int b_cached_v(struct build *b, int layer, int cache, int64_t head, int64_t heads)
{
	struct graph *g = b->g;
	uint64_t cell;
	int64_t cells;

	if (b->flash_attn || !cache)
		return b_cached_k(b, layer, cache, head, heads);
	cells = g_ne(g, cache, 1);
	cell = g_row_bytes(g, g_at(g, cache)->type, cells);
	return g_view_4d(g, cache, cells, heads, head, g_ne(g, cache, 2), cell * (uint64_t)head,
			 cell, g_nb(g, cache, 2));
}

/* --- attention proper --- */

static int attend_flash(struct build *b, int q, int k, int v, bool transposed, const struct attn *x,
			int mask)
{
	struct graph *g = b->g;
	int cur;

	if (transposed)
		v = g_transpose(g, v);
	/* A batch that sees only itself: there is no cache that has made them f16. */
	if (k && g_at(g, k)->type == GT_F32)
		k = g_cast(g, k, GT_F16);
	if (v && g_at(g, v)->type == GT_F32)
		v = g_cast(g, v, GT_F16);
	cur = g_flash_attn(g, q, k, v, mask, x->sinks);
	if (x->v_mla) {
		cur = g_mul_mat(g, x->v_mla, g_permute(g, cur, 0, 2, 1, 3));
		cur = g_cont(g, g_permute(g, cur, 0, 2, 1, 3));
	}
	return g_reshape_2d(g, cur, g_ne(g, cur, 0) * g_ne(g, cur, 1),
			    g_ne(g, cur, 2) * g_ne(g, cur, 3));
}

static int softcapped(struct build *b, int kq)
{
	struct graph *g = b->g;

	return g_scale(g, g_unary(g, g_scale(g, kq), UN_TANH));
}

static int attend_plain(struct build *b, int q, int k, int v, bool transposed, const struct attn *x,
			int mask)
{
	struct graph *g = b->g;
	int kq = g_mul_mat(g, k, q), cur;

	if (b->s->attn_softcap != 0)
		kq = softcapped(b, kq);
	if (x->kq_b)
		kq = g_add(g, kq, x->kq_b);
	kq = g_soft_max(g, kq, mask, x->sinks);
	if (!transposed)
		v = g_cont(g, g_transpose(g, v));
	cur = g_mul_mat(g, v, kq);
	if (x->v_mla)
		cur = g_mul_mat(g, x->v_mla, cur);
	cur = g_permute(g, cur, 0, 2, 1, 3);
	return g_cont_2d(g, cur, g_ne(g, cur, 0) * g_ne(g, cur, 1),
			 g_ne(g, cur, 2) * g_ne(g, cur, 3));
}

int b_attend(struct build *b, int layer, int q, int k, int v, const struct attn *x, int mask)
{
	struct graph *g = b->g;
	bool transposed = g_nb(g, v, 1) > g_nb(g, v, 2);
	int64_t streams = g_ne(g, k, 3) ? g_ne(g, k, 3) : 1;
	int cur;

	(void)layer;
	q = g_view_4d(g, q, g_ne(g, q, 0), g_ne(g, q, 1), g_ne(g, q, 2) / streams, streams,
		      g_nb(g, q, 1), g_nb(g, q, 2), g_nb(g, q, 3) / (uint64_t)streams);
	q = g_permute(g, q, 0, 2, 1, 3);
	k = g_permute(g, k, 0, 2, 1, 3);
	v = g_permute(g, v, 0, 2, 1, 3);
	if (b->flash_attn && !x->kq_b)
		cur = attend_flash(b, q, k, v, transposed, x, mask);
	else
		cur = attend_plain(b, q, k, v, transposed, x, mask);
	return g_expand(g, cur);
}

/* --- the block --- */

/* Sliding caches expand Q, K, V; the others Q, V, K: K later, so that its rope can write the cache. */
static void expand_qkv(struct build *b, const struct attn *x)
{
	bool sliding = b->s->memory == MEMORY_WINDOWED || b->s->memory == MEMORY_NONE ||
		       (b->s->memory == MEMORY_HYBRID && b->s->window);

	g_expand(b->g, x->q);
	if (sliding)
		g_expand(b->g, x->k);
	g_expand(b->g, x->v);
	g_expand(b->g, x->k);
}

static int attend_cached(struct build *b, int layer, struct attn *x)
{
	const struct layer *l = &b->s->layers[layer];
	const struct attn_inputs *in = b_attn_inputs(b, layer);
	int k_cache = b_cache(b, l->cache, CACHE_K), v_cache = b_cache(b, l->cache, CACHE_V);
	int k, v, cur;

	if (in->k_rot) {
		x->q = b_rotate(b, x->q, in->k_rot);
		x->k = x->k ? b_rotate(b, x->k, in->k_rot) : G_NONE;
	}
	if (in->v_rot && x->v)
		x->v = b_rotate(b, x->v, in->v_rot);
	expand_qkv(b, x);
	if (x->k)
		b_store_k(b, layer, k_cache, x->k, in->k_idxs);
	if (x->v)
		b_store_v(b, layer, v_cache, x->v, in->v_idxs);
	k = b_cached_k(b, layer, k_cache, l->head_k, l->n_head_kv);
	v = b_cached_v(b, layer, v_cache, l->head_v, l->n_head_kv);
	cur = b_attend(b, layer, x->q, k, v, x, in->mask);
	return in->v_rot ? b_rotate(b, cur, in->v_rot) : cur;
}

static int attend_uncached(struct build *b, int layer, struct attn *x)
{
	const struct attn_inputs *in = b_attn_inputs(b, layer);

	expand_qkv(b, x);
	if (b->engine->pads_uncached) {
		x->k = g_pad(b->g, x->k, 0, 0, uncached_pad(b), 0);
		x->v = g_pad(b->g, x->v, 0, 0, uncached_pad(b), 0);
	}
	return b_attend(b, layer, x->q, x->k, x->v, x, in->mask);
}

int b_attn(struct build *b, int layer, const struct attn *attn)
{
	struct attn x = *attn;
	int cur, bias;

	if (b->s->layers[layer].cache >= 0)
		cur = attend_cached(b, layer, &x);
	else
		cur = attend_uncached(b, layer, &x);
	if (x.no_out)
		return cur;
	bias = b_bias(b, layer, SLOT_ATTN_OUTPUT);
	if (shape_weight(b->s, (uint32_t)layer, SLOT_ATTN_OUTPUT))
		cur = b_mm(b, layer, SLOT_ATTN_OUTPUT, cur);
	return bias ? g_add(b->g, cur, bias) : cur;
}
