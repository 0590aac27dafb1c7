/* SPDX-License-Identifier: MIT */
/*
 * DeepSeek V4's attention: a sliding window of keys, and beyond it keys that stand for blocks of 4
 * tokens, chosen by an indexer, or of 128, all seen (llama.cpp v0.5.0, models/deepseek4.cpp and
 * llama-kv-cache-dsv4.cpp; every node count agrees with 0.7.0).
 */
#include "vram-planner/graph_deepseek4.h"
#include "vram-planner/mla.h"
#include "vram-planner/model_priv.h"

#define RATIO_CSA 4
#define RATIO_HCA 128

/* --- inputs --- */

static int ids(struct build *b, uint32_t type, int64_t n)
{
	return n ? g_input(b->g, type, n, 1, 1, 1) : G_NONE;
}

/* As for the worst case, which is what the engine reserves: every sequence finishes one block more. */
static void comp_inputs(struct comp *c, struct build *b, int64_t state_rows)
{
	int64_t n = b->n_tokens, streams = cache_streams(b->s, b->a), cells;
	int64_t persist, rs = b->a->n_rs_seq;
	bool half = c->keys == CACHE_INDEXER ? b_fused(b, OP_LIGHTNING_INDEXER) : b->flash_attn;

	c->n_blocks = n / c->ratio + b->n_seqs;
	c->rows = state_rows * streams;
	persist = n < c->rows ? n : c->rows;
	cells = cache_cells_compressed(b->a, (uint32_t)c->ratio);
	c->positions = ids(b, GT_I32, n);
	c->persist_src = ids(b, GT_I32, persist);
	c->persist_dst = ids(b, GT_I32, persist);
	c->restore_src = ids(b, GT_I32, rs ? c->rows : 0);
	c->restore_dst = ids(b, GT_I32, rs ? c->rows : 0);
	c->snapshot_src = ids(b, GT_I32, rs * c->rows);
	c->snapshot_dst = ids(b, GT_I32, rs * c->rows);
	c->read = ids(b, GT_I32, (c->overlaps ? 2 : 1) * c->ratio * c->n_blocks);
	c->write = ids(b, GT_I64, c->n_blocks);
	c->write_positions = ids(b, GT_I32, c->n_blocks);
	c->mask = g_input(b->g, half ? GT_F16 : GT_F32, cells, n / streams, 1, streams);
}

void d_inputs(struct dsv4 *d, struct build *b)
{
	const struct shape *s = b->s;
	int64_t streams = cache_streams(s, b->a), cells = cache_cells_sliding(s, b->a);

	*d = (struct dsv4) {
		.b = b,
		.csa = { true, RATIO_CSA, s->head_k, .kv = SLOT_ATTN_COMPRESSOR_KV,
			 .gate = SLOT_ATTN_COMPRESSOR_GATE, .ape = SLOT_ATTN_COMPRESSOR_APE,
			 .norm = SLOT_ATTN_COMPRESSOR_NORM, .keys = CACHE_COMPRESSED,
			 .partial_kv = CACHE_PARTIAL_KV, .partial_score = CACHE_PARTIAL_SCORE },
		.lid = { true, RATIO_CSA, s->indexer_head, .kv = SLOT_INDEXER_COMPRESSOR_KV,
			 .gate = SLOT_INDEXER_COMPRESSOR_GATE, .ape = SLOT_INDEXER_COMPRESSOR_APE,
			 .norm = SLOT_INDEXER_COMPRESSOR_NORM, .keys = CACHE_INDEXER,
			 .partial_kv = CACHE_INDEXER_PARTIAL_KV,
			 .partial_score = CACHE_INDEXER_PARTIAL_SCORE },
	};
	d->hca = d->csa;
	d->hca.overlaps = false;
	d->hca.ratio = RATIO_HCA;
	d->k_idxs = g_input(b->g, GT_I64, b->n_tokens, 1, 1, 1);
	d->mask = g_input(b->g, b->flash_attn ? GT_F16 : GT_F32, cells, b->n_tokens / streams, 1,
			  streams);
	comp_inputs(&d->csa, b, 2 * RATIO_CSA);
	comp_inputs(&d->hca, b, RATIO_HCA);
	comp_inputs(&d->lid, b, 2 * RATIO_CSA);
	/* Quantized keys are rotated; the indexer's always are. */
	if (quant_is_blocked(b->a->type_k) && s->head_k % 64 == 0) {
		d->rot = b_rotation(b, s->head_k);
		d->csa.rot = b_rotation(b, s->head_k);
		d->hca.rot = b_rotation(b, s->head_k);
	}
	d->lid.rot = b_rotation(b, s->indexer_head);
}

/* --- the compressor --- */

/* A row of zeros, or of minus infinity, after the last: what a block before the first one reads. */
static int append_row(struct graph *g, int a)
{
	int64_t n = g_ne(g, a, 0);
	int row = g_scale(g, g_view_1d(g, a, n));

	return g_concat(g, a, g_reshape_2d(g, row, n, 1), 1);
}

/* One half of each row read: of the block before, or of the block itself. */
static int half_rows(struct graph *g, const struct comp *c, int rows)
{
	int half = g_view_2d(g, rows, c->head, c->ratio * c->n_blocks, g_nb(g, rows, 1));

	return g_reshape_3d(g, g_cont(g, half), c->head, c->ratio, c->n_blocks);
}

/* Gather what the finished blocks are made of: [head, tokens of a block, n_blocks]. */
static void gather(struct graph *g, const struct comp *c, int *kv, int *score)
{
	int before_kv, before_score, own_kv, own_score;

	if (!c->overlaps) {
		*kv = g_get_rows(g, *kv, c->read);
		*kv = g_reshape_3d(g, *kv, c->head, c->ratio, c->n_blocks);
		*score = g_get_rows(g, *score, c->read);
		*score = g_reshape_3d(g, *score, c->head, c->ratio, c->n_blocks);
		return;
	}
	*kv = g_get_rows(g, append_row(g, *kv), c->read);
	*score = g_get_rows(g, append_row(g, *score), c->read);
	before_kv = half_rows(g, c, *kv);
	before_score = half_rows(g, c, *score);
	own_kv = half_rows(g, c, *kv);
	own_score = half_rows(g, c, *score);
	*kv = g_concat(g, before_kv, own_kv, 1);
	*score = g_concat(g, before_score, own_score, 1);
}

/* The keys of the finished blocks: values weighted by the softmax of their scores, normed, rotated. */
static int new_keys(struct dsv4 *d, const struct comp *c, int kv, int score, int il)
{
	struct graph *g = d->b->g;
	int x;

	gather(g, c, &kv, &score);
	kv = g_cont(g, g_permute(g, kv, 1, 0, 2, 3));
	score = g_cont(g, g_permute(g, score, 1, 0, 2, 3));
	x = g_mul(g, kv, g_soft_max(g, score, G_NONE, G_NONE));
	x = g_cont(g, g_permute(g, g_sum_rows(g, x), 1, 0, 2, 3));
	x = b_norm(d->b, il, c->norm, x, NORM_RMS);
	x = g_rope(g, x, c->write_positions, G_NONE);
	return c->rot == G_NONE ? x : b_rotate(d->b, x, c->rot);
}

/* The whole of a state: rows of all sequences, and of their rollback states. */
static int state_rows(struct build *b, const struct comp *c, int il, enum cache_kind kind)
{
	int state = b_cache(b, il, kind);

	return g_view_2d(b->g, state, g_ne(b->g, state, 0), c->rows * (1 + b->a->n_rs_seq),
			 g_nb(b->g, state, 1));
}

/* The state that this batch starts from; with rollback its rows are put back first. */
static int restored(struct build *b, const struct comp *c, int il, enum cache_kind kind)
{
	int state = state_rows(b, c, il, kind);

	if (c->restore_src == G_NONE)
		return state;
	state = g_get_rows(b->g, state, c->restore_src);
	return g_set_rows(b->g, state_rows(b, c, il, kind), state, c->restore_dst);
}

/* The state's rows and then the batch's. */
static int with_batch(struct build *b, const struct comp *c, int state, int batch)
{
	int rows = g_view_2d(b->g, state, g_ne(b->g, state, 0), c->rows, g_nb(b->g, state, 1));

	return g_concat(b->g, rows, batch, 1);
}

/* Keep rows of `from` in the state. */
static int keep(struct build *b, const struct comp *c, int il, enum cache_kind kind, int from,
		int src, int dst)
{
	int rows = g_get_rows(b->g, from, src);

	return g_set_rows(b->g, state_rows(b, c, il, kind), rows, dst);
}

static void snapshot(struct build *b, const struct comp *c, int il, int old_kv, int old_score,
		     int kv, int score)
{
	if (c->snapshot_src == G_NONE)
		return;
	kv = g_concat(b->g, old_kv, kv, 1);
	score = g_concat(b->g, old_score, score, 1);
	kv = keep(b, c, il, c->partial_kv, kv, c->snapshot_src, c->snapshot_dst);
	score = keep(b, c, il, c->partial_score, score, c->snapshot_src, c->snapshot_dst);
	g_expand(b->g, kv);
	g_expand(b->g, score);
}

static void compress(struct dsv4 *d, const struct comp *c, int x, int il)
{
	struct build *b = d->b;
	struct graph *g = b->g;
	int kv = b_mm(b, il, c->kv, x), score = b_mm(b, il, c->gate, x);
	int old_kv, old_score, keys;

	score = g_add(g, score, g_get_rows(g, b_weight(b, il, c->ape), c->positions));
	old_kv = restored(b, c, il, c->partial_kv);
	old_score = restored(b, c, il, c->partial_score);
	keys = new_keys(d, c, with_batch(b, c, old_kv, kv), with_batch(b, c, old_score, score), il);
	b_store_k(b, il, b_cache(b, il, c->keys), keys, c->write);
	snapshot(b, c, il, old_kv, old_score, kv, score);
	kv = keep(b, c, il, c->partial_kv, kv, c->persist_src, c->persist_dst);
	score = keep(b, c, il, c->partial_score, score, c->persist_src, c->persist_dst);
	g_expand(g, kv);
	g_expand(g, score);
}

/* --- attention --- */

/* The compressed keys of a layer that the mask covers. */
static int comp_keys(struct dsv4 *d, const struct comp *c, int il)
{
	struct graph *g = d->b->g;
	int k = b_cached_k(d->b, il, b_cache(d->b, il, c->keys), c->head, 1);

	return g_view_4d(g, k, c->head, 1, g_ne(g, c->mask, 0), g_ne(g, k, 3), g_nb(g, k, 1),
			 g_nb(g, k, 2), g_nb(g, k, 3));
}

/* The blocks of four tokens that the indexer finds worth attending to, for each token. */
static int choose_blocks(struct dsv4 *d, int q_low, int x, int il)
{
	struct build *b = d->b;
	struct graph *g = b->g;
	const struct shape *s = b->s;
	int q = b_mm(b, il, SLOT_INDEXER_ATTN_Q_B, q_low), w;

	q = g_reshape_3d(g, q, s->indexer_head, s->indexer_heads, b->n_tokens);
	q = b_rotate(b, g_rope(g, q, d->positions, G_NONE), d->lid.rot);
	w = g_scale(g, b_mm(b, il, SLOT_INDEXER_PROJ, x));
	return b_index(b, q, comp_keys(d, &d->lid, il), w, d->lid.mask, false);
}

/* Over the window's keys and `more`, which `more_mask` masks; both G_NONE where there are none. */
static int attend(struct dsv4 *d, int q, int k, const struct comp *c, int chosen, int il)
{
	struct build *b = d->b;
	struct graph *g = b->g;
	int mask = d->mask, keys, cache = b_cache(b, il, CACHE_K);
	int sinks = b_weight(b, il, SLOT_ATTN_SINKS);

	if (d->rot != G_NONE) {
		q = b_rotate(b, q, d->rot);
		k = b_rotate(b, k, d->rot);
	}
	g_expand(g, q);
	g_expand(g, k);
	b_store_k(b, il, cache, k, d->k_idxs);
	keys = b_cached_k(b, il, cache, b->s->head_k, 1);
	if (c) {
		int more = c->mask;

		keys = g_concat(g, keys, comp_keys(d, c, il), 2);
		if (chosen != G_NONE)
			more = b_mask_chosen(b, more, chosen, g_at(g, more)->type);
		mask = g_concat(g, mask, more, 0);
	}
	q = b_attend(b, il, q, keys, keys, &(struct attn) { .sinks = sinks }, mask);
	return d->rot == G_NONE ? q : b_rotate(b, q, d->rot);
}

/* The first half of the output projection, which the loader cuts into groups. */
static int output_a(struct build *b, int il)
{
	const struct tensor *t = shape_weight(b->s, (uint32_t)il, SLOT_ATTN_OUTPUT_A);
	int64_t ne[G_DIMS] = { 0, b->s->o_lora, b->s->o_groups, 1 };

	if (!t)
		return G_NONE;
	ne[0] = (int64_t)t->ne[0];
	return g_placed(b->g, t->type, ne, tensor_home(b->p, b->s, t, (uint32_t)il), GF_WEIGHT);
}

/* Turn back by the positions, then a grouped low-rank projection. */
static int project(struct dsv4 *d, int x, int il)
{
	struct build *b = d->b;
	struct graph *g = b->g;
	const struct shape *s = b->s;
	int64_t n = b->n_tokens, groups = s->o_groups, heads = s->layers[il].n_head;
	int64_t in_group = groups ? heads / groups : 0;

	x = g_reshape_3d(g, x, s->head_k, heads, n);
	x = g_rope(g, x, d->positions, G_NONE);
	x = g_reshape_3d(g, x, in_group * s->head_k, groups, n);
	x = g_mul_mat(g, output_a(b, il), g_permute(g, x, 0, 2, 1, 3));
	x = g_cont_2d(g, g_permute(g, x, 0, 2, 1, 3), (int64_t)s->o_lora * groups, n);
	return b_mm(b, il, SLOT_ATTN_OUTPUT_B, x);
}

int d_attention(struct dsv4 *d, int x, int il)
{
	struct build *b = d->b;
	struct graph *g = b->g;
	uint32_t ratio = b->s->layers[il].compress;
	int64_t n = b->n_tokens, head = b->s->head_k;
	int q_low = b_norm(b, il, SLOT_ATTN_Q_A_NORM, b_mm(b, il, SLOT_ATTN_Q_A, x), NORM_RMS);
	int q = g_reshape_3d(g, b_mm(b, il, SLOT_ATTN_Q_B, q_low), head, b->s->layers[il].n_head,
			     n);
	int k = b_norm(b, il, SLOT_ATTN_KV_A_NORM, b_mm(b, il, SLOT_ATTN_KV, x), NORM_RMS);

	q = g_rope(g, g_rms_norm(g, q), d->positions, G_NONE);
	k = g_rope(g, g_reshape_3d(g, k, head, 1, n), d->positions, G_NONE);
	if (ratio == RATIO_HCA) {
		compress(d, &d->hca, x, il);
		return project(d, attend(d, q, k, &d->hca, G_NONE, il), il);
	}
	if (ratio == RATIO_CSA) {
		compress(d, &d->csa, x, il);
		compress(d, &d->lid, x, il);
		return project(d, attend(d, q, k, &d->csa, choose_blocks(d, q_low, x, il), il), il);
	}
	return project(d, attend(d, q, k, NULL, G_NONE, il), il);
}
