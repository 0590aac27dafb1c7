/* SPDX-License-Identifier: MIT */
/* Encoders: every token sees every other, nothing is cached, and the answer is an embedding. */
#include "vram-planner/build_priv.h"

/* Norms come after what they norm (post-norm), and positions are a table. */
static int bert_layer(struct build *b, int il, int x)
{
	static const struct ffn ffn = { SLOT_FFN_UP, SLOT_FFN_GATE, SLOT_FFN_DOWN, ACT_GELU, true };
	struct qkv p = b_qkv(b, il, x);
	struct attn at = { .q = p.q, .k = p.k, .v = p.v };
	int cur = b_keep(b, il, b_attn(b, il, &at));

	x = b_keep(b, il, x);
	cur = g_add(b->g, cur, x);
	x = b_norm(b, il, SLOT_ATTN_OUTPUT_NORM, cur, NORM_LAYER);
	cur = g_add(b->g, b_ffn(b, il, x, &ffn), x);
	return b_norm(b, il, SLOT_LAYER_OUTPUT_NORM, cur, NORM_LAYER);
}

void build_bert(struct build *b)
{
	struct graph *g = b->g;
	int table = b_global(b, GLOBAL_POSITION_EMBD), types = b_global(b, GLOBAL_TOKEN_TYPES);
	int places = g_get_rows(g, table, b_positions(b));
	int x;

	if (b->engine->tables_first)
		g_expand(g, places);
	x = b_embed(b);
	if (types)
		x = g_add(g, x, g_view_1d(g, types, b->s->n_embd));
	x = g_add(g, places, x);
	x = b_norm_global(b, GLOBAL_TOKEN_EMBD_NORM, x, NORM_LAYER);
	for (uint32_t il = 0; il < b->s->n_run; il++)
		x = bert_layer(b, (int)il, x);
	b_finish(b, x, G_NONE);
}

static int gemma_layer(struct build *b, int il, int x)
{
	struct graph *g = b->g;
	int cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);
	struct qkv p = b_qkv(b, il, cur);
	struct attn at = { .v = p.v };

	at.q = g_scale(g, b_rope(b, il, b_norm(b, il, SLOT_ATTN_Q_NORM, p.q, NORM_RMS)));
	at.k = b_rope(b, il, b_norm(b, il, SLOT_ATTN_K_NORM, p.k, NORM_RMS));
	cur = b_keep(b, il, b_attn(b, il, &at));
	x = b_keep(b, il, x);
	x = g_add(g, b_norm(b, il, SLOT_POST_ATTENTION_NORM, cur, NORM_RMS), x);
	cur = b_ffn(b, il, b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS), &ffn_gelu);
	cur = b_norm(b, il, SLOT_POST_FFW_NORM, cur, NORM_RMS);
	return g_add(g, cur, x);
}

/* Gemma 3 without a cache and without logits. */
void build_gemma_embedding(struct build *b)
{
	int x = b_embed_scaled(b);

	for (uint32_t il = 0; il < b->s->n_run; il++)
		x = gemma_layer(b, (int)il, x);
	b_finish(b, b_norm_global(b, GLOBAL_OUTPUT_NORM, x, NORM_RMS), G_NONE);
}
