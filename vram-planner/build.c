/* SPDX-License-Identifier: MIT */
/* Leaves, inputs and the small blocks of builders. */
#include "vram-planner/build.h"

#include <stddef.h>

#include "vram-planner/build_priv.h"
#include "vram-planner/model.h"

/* --- leaves --- */

/* A builder asks for the first tensor of a layer: it begins. */
static void mark_layer(struct build *b, int layer)
{
	struct graph *g = b->g;

	for (; b->n_marks <= layer; b->n_marks++)
		b->marks[b->n_marks] = (struct layer_mark) { g->n_order, g->n_leaves };
	if (g->n_order)
		g->nodes[g->order[g->n_order - 1]].flags |= GF_MARK;
}

int b_tensor(struct build *b, const struct tensor *t, int layer)
{
	int64_t ne[G_DIMS] = { 1, 1, 1, 1 };
	uint32_t index;
	int home;

	if (!t)
		return G_NONE;
	if (layer >= b->n_marks)
		mark_layer(b, layer);
	index = shape_index(b->s, t);
	home = tensor_home(b->p, b->s, t, layer < 0 ? 0 : (uint32_t)layer);
	if (b->weights[index] && b->g->nodes[b->weights[index]].home == home)
		return b->weights[index];
	for (uint32_t i = 0; i < t->n_dims && i < G_DIMS; i++)
		ne[i] = (int64_t)t->ne[i];
	b->weights[index] = g_placed(b->g, t->type, ne, home, GF_WEIGHT);
	return b->weights[index];
}

int b_part(struct build *b, int layer, enum slot slot, enum part part)
{
	return b_tensor(b, shape_part(b->s, (uint32_t)layer, slot, part), layer);
}

int b_weight(struct build *b, int layer, enum slot slot)
{
	return b_part(b, layer, slot, PART_WEIGHT);
}

int b_bias(struct build *b, int layer, enum slot slot)
{
	return b_part(b, layer, slot, PART_BIAS);
}

int b_scale(struct build *b, int layer, enum slot slot)
{
	return b_part(b, layer, slot, PART_SCALE);
}

int b_global_part(struct build *b, enum global global, enum part part)
{
	return b_tensor(b, shape_global_part(b->s, global, part), -1);
}

int b_global(struct build *b, enum global global)
{
	return b_global_part(b, global, PART_WEIGHT);
}

int b_cache(struct build *b, int layer, enum cache_kind kind)
{
	int32_t *memo = &b->caches[layer * CACHE_KINDS + (int)kind];
	struct cache_tensor tensors[CACHE_TENSORS_MAX];
	uint32_t n;

	if (*memo)
		return *memo;
	n = cache_tensors(b->s, b->a, (uint32_t)layer, tensors);
	for (uint32_t i = 0; i < n; i++) {
		const struct cache_tensor *t = &tensors[i];
		int64_t ne[G_DIMS] = { (int64_t)t->ne[0], (int64_t)t->ne[1], (int64_t)t->ne[2], 1 };

		b->caches[layer * CACHE_KINDS + (int)t->kind] = g_placed(
			b->g, t->type, ne, cache_home(b->p, b->a, (uint32_t)layer), 0);
	}
	return *memo;
}

bool b_fused(const struct build *b, enum gop op)
{
	return !(b->unfused >> op & 1);
}

/* --- inputs --- */

int b_positions(struct build *b)
{
	if (!b->positions)
		b->positions = g_input(b->g, GT_I32, b->n_tokens * b->s->n_pos, 1, 1, 1);
	return b->positions;
}

int b_out_ids(struct build *b)
{
	if (!b->out_ids)
		b->out_ids = g_input(b->g, GT_I32, b->n_outputs, 1, 1, 1);
	return b->out_ids;
}

int b_attn_temp(struct build *b)
{
	if (!b->attn_temp)
		b->attn_temp = g_input(b->g, GT_F32, 1, 1, b->n_tokens, 1);
	return b->attn_temp;
}

/* All rows go through the last layer and norm: a next-token head may want them. */
static bool keeps_late(const struct build *b)
{
	return b->engine->keeps_late && b->row->flags & KEEPS_LATE;
}

static int keep_late(struct build *b, int x)
{
	g_set_output(b->g, x);
	return keeps_late(b) ? g_get_rows(b->g, x, b_out_ids(b)) : x;
}

int b_keep(struct build *b, int layer, int x)
{
	if (layer != (int)b->s->n_run - 1 || keeps_late(b))
		return x;
	return g_get_rows(b->g, x, b_out_ids(b));
}

/*
 * Batches may mix tokens and embeddings: the engine then puts the tokens' rows into a copy of the
 * embeddings given. Nothing of it is used in a batch of tokens, but its memory is.
 */
static int given_rows(struct build *b)
{
	return g_input(b->g, GT_F32, b->s->n_embd, b->n_tokens, 1, 1);
}

static void embed_mixed(struct build *b, int rows)
{
	int slots = g_input(b->g, GT_I64, b->n_tokens, 1, 1, 1);

	g_expand(b->g, g_set_rows(b->g, g_dup(b->g, given_rows(b)), rows, slots));
}

/* The order in which inputs are first reached is that of their memory. */
int b_embed(struct build *b)
{
	bool mixed = b->engine->mixed_inputs && !(b->row->flags & TOKENS_ONLY);
	int table = b_global(b, GLOBAL_TOKEN_EMBD), rows = G_NONE, x;

	b->tokens = g_input(b->g, GT_I32, b->n_tokens, 1, 1, 1);
	x = g_expand(b->g, g_get_rows(b->g, table, b->tokens));
	if (mixed) {
		rows = g_get_rows(b->g, table, g_input(b->g, GT_I32, b->n_tokens, 1, 1, 1));
		g_expand(b->g, rows);
	}
	g_expand(b->g, given_rows(b));
	if (mixed)
		embed_mixed(b, rows);
	if (b->s->embedding_scale != 0)
		x = g_expand(b->g, g_scale(b->g, x));
	return x;
}

int b_embed_scaled(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);

	if (b->engine->scales_rows && !(b->row->flags & SCALES_ALIKE))
		return g_expand(g, g_mul(g, x, g_input(g, GT_F32, 1, b->n_tokens, 1, 1)));
	return g_scale(g, x);
}

/* --- small blocks --- */

int b_mm(struct build *b, int layer, enum slot slot, int x)
{
	int scale = b_scale(b, layer, slot);

	x = g_mul_mat(b->g, b_weight(b, layer, slot), x);
	return scale ? g_mul(b->g, x, scale) : x;
}

int b_mm_bias(struct build *b, int layer, enum slot slot, int x)
{
	int bias = b_bias(b, layer, slot);

	x = b_mm(b, layer, slot, x);
	return bias ? g_add(b->g, x, bias) : x;
}

void b_pin(struct build *b, int layer, int x)
{
	int home = layer < 0 ? HOME_NONE : b->p->unit[layer];

	if (b->pins && home != HOME_NONE)
		b->g->nodes[x].pin = (int8_t)(home == HOME_HOST ? -1 : home + 1);
}

static int norm_with(struct build *b, int layer, int x, int weight, int bias, enum norm kind)
{
	x = kind == NORM_RMS ? g_rms_norm(b->g, x) : g_norm(b->g, x);
	if (weight || bias)
		b_pin(b, layer, x);
	if (weight)
		x = g_mul(b->g, x, weight);
	return bias ? g_add(b->g, x, bias) : x;
}

int b_norm(struct build *b, int layer, enum slot slot, int x, enum norm kind)
{
	return norm_with(b, layer, x, b_weight(b, layer, slot), b_bias(b, layer, slot), kind);
}

int b_norm_global(struct build *b, enum global global, int x, enum norm kind)
{
	/* The norm of the embedding is the first layer's, where the whole model has one. */
	int layer = global == GLOBAL_TOKEN_EMBD_NORM && kind == NORM_LAYER ? 0 : -1;

	return norm_with(b, layer, x, b_global(b, global), b_global_part(b, global, PART_BIAS),
			 kind);
}

int b_cut(struct build *b, int x, int64_t n)
{
	return g_cont(b->g, g_view_2d(b->g, x, n, b->n_tokens, g_nb(b->g, x, 1)));
}

int b_rotate(struct build *b, int x, int rot)
{
	struct graph *g = b->g;
	int64_t n = g_ne(g, rot, 0), ne[G_DIMS];
	int y;

	for (int i = 0; i < G_DIMS; i++)
		ne[i] = g_ne(g, x, i);
	if (n == 0)
		return g_mul_mat(g, rot, x);
	if (g_is_contiguous(g, x))
		y = g_reshape_2d(g, x, n, g_elements(g, x) / n);
	else
		y = g_cont_2d(g, x, n, g_elements(g, x) / n);
	y = g_mul_mat(g, rot, y);
	return g_reshape_4d(g, y, ne[0], ne[1], ne[2], ne[3]);
}

/* --- the end --- */

int b_lm_head(struct build *b, int x)
{
	struct graph *g = b->g;
	int weight = b_output(b), scale = b_global_part(b, GLOBAL_OUTPUT, PART_SCALE);
	int bias = b_global_part(b, GLOBAL_OUTPUT, PART_BIAS);

	x = g_mul_mat(g, weight, x);
	if (scale)
		x = g_mul(g, x, scale);
	return bias ? g_add(g, x, bias) : x;
}

/* The matrix of the logits: of its own, or a copy of token_embd where the output is computed. */
int b_output(struct build *b)
{
	const struct tensor *t = shape_global(b->s, GLOBAL_OUTPUT);
	int64_t ne[G_DIMS] = { 1, 1, 1, 1 };

	if (t || !b->p->copied)
		return b_tensor(b, t ? t : shape_global(b->s, GLOBAL_TOKEN_EMBD), -1);
	t = shape_global(b->s, GLOBAL_TOKEN_EMBD);
	for (uint32_t i = 0; t && i < t->n_dims && i < G_DIMS; i++)
		ne[i] = (int64_t)t->ne[i];
	return t ? g_placed(b->g, t->type, ne, b->p->output, GF_WEIGHT) : G_NONE;
}

/* Pooled embeddings; the rest of what the ask wants of them. */
static int pool(struct build *b, int x)
{
	struct graph *g = b->g;

	switch (b->s->pooling) {
	case POOLING_MEAN:
		return g_mul_mat(g, g_cont(g, g_transpose(g, x)),
				 g_input(g, GT_F32, b->n_tokens, b->n_seqs, 1, 1));
	case POOLING_CLS:
	case POOLING_LAST:
		return g_get_rows(g, x, g_input(g, GT_I32, b->n_seqs, 1, 1, 1));
	case POOLING_RANK:
		return b_rank(b, g_get_rows(g, x, g_input(g, GT_I32, b->n_seqs, 1, 1, 1)));
	case POOLING_NONE:
		break;
	}
	return x;
}

/* A classifier's head. */
int b_rank(struct build *b, int x)
{
	struct graph *g = b->g;
	int bias;

	if (b_global(b, GLOBAL_CLS)) {
		bias = b_global_part(b, GLOBAL_CLS, PART_BIAS);
		x = g_mul_mat(g, b_global(b, GLOBAL_CLS), x);
		x = g_unary(g, bias ? g_add(g, x, bias) : x, UN_TANH);
		if (b_global(b, GLOBAL_CLS_NORM))
			x = b_norm_global(b, GLOBAL_CLS_NORM, x, NORM_LAYER);
	}
	if (b_global(b, GLOBAL_CLS_OUTPUT)) {
		bias = b_global_part(b, GLOBAL_CLS_OUTPUT, PART_BIAS);
		x = g_mul_mat(g, b_global(b, GLOBAL_CLS_OUTPUT), x);
		x = bias ? g_add(g, x, bias) : x;
	}
	return x;
}

static int dense_heads(struct build *b, int x)
{
	int two = b_global(b, GLOBAL_DENSE_2), three = b_global(b, GLOBAL_DENSE_3);
	int bias = b_global_part(b, GLOBAL_DENSE_2, PART_BIAS);

	if (two)
		x = g_mul_mat(b->g, two, x);
	if (bias)
		x = g_add(b->g, x, bias);
	return three ? g_mul_mat(b->g, three, x) : x;
}

void b_finish(struct build *b, int embd, int logits)
{
	int pooled = G_NONE;

	b->embd = embd;
	b->logits = logits;
	g_expand(b->g, logits ? logits : embd);
	if (b->a->embeddings) {
		pooled = g_expand(b->g, pool(b, embd));
		pooled = g_expand(b->g, dense_heads(b, pooled));
	}
	g_set_output(b->g, logits);
	g_set_output(b->g, embd);
	g_set_output(b->g, pooled);
}

void b_result(struct build *b, int x)
{
	struct graph *g = b->g;
	bool before = b->row->flags & BEFORE_NORM;
	int embd, logits;

	if (before)
		x = keep_late(b, x);
	embd = b_norm_global(b, GLOBAL_OUTPUT_NORM, x, b->s->norm);
	if (!before)
		embd = keep_late(b, embd);
	logits = b_lm_head(b, embd);
	if (b->s->logit_scale != 0)
		logits = g_scale(g, logits);
	if (b->s->final_softcap != 0)
		logits = g_scale(g, g_unary(g, g_scale(g, logits), UN_TANH));
	b_finish(b, embd, logits);
}
