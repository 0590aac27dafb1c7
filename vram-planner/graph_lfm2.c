/* SPDX-License-Identifier: MIT */
/* LFM2: short convolutions with a few layers of attention among them (lfm2.cpp). */
#include "vram-planner/build_priv.h"
#include "vram-planner/moe.h"
#include "vram-planner/mamba.h"

/* A third of the input projection, [n_embd, tokens, sequences]. */
static int third(struct graph *g, int x)
{
	return g_view_3d(g, x, g_ne(g, x, 0) / 3, g_ne(g, x, 1), g_ne(g, x, 2), g_nb(g, x, 1),
			 g_nb(g, x, 2));
}

/* A window of `n` positions of all channels. */
static int window(struct graph *g, int x, int64_t n)
{
	return g_view_3d(g, x, n, g_ne(g, x, 1), g_ne(g, x, 2), g_nb(g, x, 1), g_nb(g, x, 2));
}

/* Models that are not causal look at both sides: half of the window is padded behind. */
static int both_sides(struct graph *g, int before, int x, int64_t n)
{
	int left = g_cont(g, window(g, before, n));

	return g_pad(g, g_concat(g, left, x, 0), n, 0, 0, 0);
}

static int short_conv(struct build *b, int il, const struct states *st, int x)
{
	struct graph *g = b->g;
	int64_t n_embd = b->s->n_embd, behind = (int64_t)b->s->shortconv_cache - 1;
	int cache = b_cache(b, il, CACHE_CONV), all, gate, before;

	x = g_reshape_3d(g, x, n_embd, b->n_seq_tokens, b->n_seqs);
	all = b_mm(b, il, SLOT_SHORTCONV_IN_PROJ, x);
	gate = third(g, all);
	x = g_transpose(g, g_mul(g, third(g, all), third(g, all)));
	before = g_reshape_3d(g, b_state_rows(b, st, cache), behind, n_embd, b->n_seqs);
	x = b->s->causal ? g_concat(g, before, x, 0)
			 : both_sides(g, before, x, (int64_t)b->s->shortconv_cache / 2);

	for (int64_t i = b->s->causal ? b_snapshots_kept(b) : 1; i > 0; i--)
		b_state_store(b, cache, window(g, x, behind));
	x = g_ssm_conv(g, x, b_weight(b, il, SLOT_SHORTCONV_CONV));
	x = b_mm(b, il, SLOT_SHORTCONV_OUT_PROJ, g_mul(g, gate, x));
	return g_reshape_2d(g, x, g_ne(g, x, 0), b->n_tokens);
}

void build_lfm2(struct build *b)
{
	struct graph *g = b->g;
	int x = b_embed(b);
	struct states st = b_states(b);

	for (int il = 0; il < (int)b->s->n_run; il++) {
		int cur = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_RMS);

		if (b->s->layers[il].mixer == MIXER_SHORTCONV)
			cur = short_conv(b, il, &st, cur);
		else
			cur = b_attn_layer(b, il, cur);
		cur = b_keep(b, il, cur);
		x = g_add(g, b_keep(b, il, x), cur);
		cur = b_norm(b, il, SLOT_FFN_NORM, x, NORM_RMS);
		x = g_add(g, x, b_moe_or_ffn(b, il, cur));
	}
	/* The final norm has an odd name; with embeddings this family computes no logits. */
	x = b_norm_global(b, GLOBAL_TOKEN_EMBD_NORM, x, NORM_RMS);
	b_finish(b, x, b->a->embeddings ? G_NONE : b_lm_head(b, x));
}
