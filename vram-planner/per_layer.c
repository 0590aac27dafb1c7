/* SPDX-License-Identifier: MIT */
#include "vram-planner/per_layer.h"

int b_per_layer_rows(struct build *b)
{
	int tokens = g_input(b->g, GT_I32, b->n_tokens, 1, 1, 1);

	return g_get_rows(b->g, b_global(b, GLOBAL_PER_LAYER_TOKEN_EMBD), tokens);
}

int b_per_layer_inputs(struct build *b, int rows, int x)
{
	struct graph *g = b->g;
	int own = g_scale(g, g_mul_mat(g, b_global(b, GLOBAL_PER_LAYER_MODEL_PROJ), x));

	own = g_reshape_3d(g, own, b->s->n_embd_per_layer, b->s->n_run, b->n_tokens);
	own = b_norm_global(b, GLOBAL_PER_LAYER_PROJ_NORM, own, NORM_RMS);
	own = g_scale(g, g_add(g, own, rows));
	return g_cont(g, g_permute(g, own, 0, 2, 1, 3));
}

int b_per_layer(struct build *b, int layer, int x, int own)
{
	struct graph *g = b->g;

	x = g_unary(g, b_mm(b, layer, SLOT_INP_GATE, x), UN_GELU);
	x = b_mm(b, layer, SLOT_PROJ, g_mul(g, x, own));
	return b_norm(b, layer, SLOT_POST_NORM, x, NORM_RMS);
}

int b_plane(struct build *b, int x)
{
	struct graph *g = b->g;

	return g_view_2d(g, x, g_ne(g, x, 0), g_ne(g, x, 1), g_nb(g, x, 1));
}

int b_query(struct build *b, int layer, int x)
{
	const struct layer *l = &b->s->layers[layer];
	int q;

	if (shape_weight(b->s, (uint32_t)layer, SLOT_ATTN_QKV))
		q = b_cut(b, b_mm(b, layer, SLOT_ATTN_QKV, x), (int64_t)l->head_k * l->n_head);
	else
		q = b_mm(b, layer, SLOT_ATTN_Q, x);
	return g_reshape_3d(b->g, q, l->head_k, l->n_head, b->n_tokens);
}
