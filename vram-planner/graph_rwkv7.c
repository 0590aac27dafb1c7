/* SPDX-License-Identifier: MIT */
/* RWKV-7: time mix over a matrix state, channel mix, both with the token before (rwkv7-base.cpp). */
#include "vram-planner/build_priv.h"
#include "vram-planner/states.h"

struct mixing {
	struct build *b;
	int il;
	int mixed; /* [n_embd, tokens, sequences, 6] */
	int64_t heads, head;
};

/* One of the mixtures of a token with the one before: slices of one tensor, told apart by an offset. */
static int mixture(const struct mixing *m)
{
	return g_view_2d(m->b->g, m->mixed, m->b->s->n_embd, m->b->n_tokens,
			 g_nb(m->b->g, m->mixed, 1));
}

static int by_head(const struct mixing *m, int x)
{
	return g_reshape_3d(m->b->g, x, m->head, m->heads, m->b->n_tokens);
}

/* second x first x in, with a function between them; UN_OTHER: none. */
static int low_rank(const struct mixing *m, enum slot first, enum gunary kind, enum slot second,
		    int in)
{
	struct graph *g = m->b->g;
	int x = g_mul_mat(g, b_weight(m->b, m->il, first), in);

	if (kind != UN_OTHER)
		x = g_unary(g, x, kind);
	return g_mul_mat(g, b_weight(m->b, m->il, second), x);
}

static int plus_weight(const struct mixing *m, int x, enum slot slot)
{
	return g_add(m->b->g, x, b_weight(m->b, m->il, slot));
}

static int times_weight(const struct mixing *m, int x, enum slot slot)
{
	return g_mul(m->b->g, x, b_weight(m->b, m->il, slot));
}

static int decay(const struct mixing *m)
{
	struct graph *g = m->b->g;
	int w = low_rank(m, SLOT_TIME_MIX_W1, UN_TANH, SLOT_TIME_MIX_W2, mixture(m));

	w = plus_weight(m, w, SLOT_TIME_MIX_W0);
	return g_unary(g, g_scale(g, g_unary(g, w, UN_SIGMOID)), UN_EXP);
}

/* Values, drawn towards those of the first layer in all others. */
static int values(const struct mixing *m, int *first)
{
	struct graph *g = m->b->g;
	int in = mixture(m), v = b_mm(m->b, m->il, SLOT_TIME_MIX_VALUE, in), share;

	if (*first == G_NONE) {
		*first = v;
		return v;
	}
	share = low_rank(m, SLOT_TIME_MIX_V1, UN_OTHER, SLOT_TIME_MIX_V2, in);
	share = g_unary(g, plus_weight(m, share, SLOT_TIME_MIX_V0), UN_SIGMOID);
	return g_add(g, v, g_mul(g, g_sub(g, *first, v), share));
}

static int gate(const struct mixing *m)
{
	return low_rank(m, SLOT_TIME_MIX_G1, UN_SIGMOID, SLOT_TIME_MIX_G2, mixture(m));
}

static int learning_rate(const struct mixing *m)
{
	int a = low_rank(m, SLOT_TIME_MIX_A1, UN_OTHER, SLOT_TIME_MIX_A2, mixture(m));

	return g_unary(m->b->g, plus_weight(m, a, SLOT_TIME_MIX_A0), UN_SIGMOID);
}

struct heads {
	int r, w, k, v, a, kk;
};

/* The state is read and written; [n_embd, n_tokens] comes out. */
static int attend(const struct mixing *m, const struct states *st, const struct heads *h)
{
	struct build *b = m->b;
	struct graph *g = b->g;
	int64_t n_embd = b->s->n_embd;
	int cache = b_cache(b, m->il, CACHE_STATE), state = b_state_rows(b, st, cache), y;

	y = g_rwkv_wkv7(g, h->r, h->w, h->k, h->v, g_unary(g, h->kk, UN_NEG), g_mul(g, h->kk, h->a),
			state);
	b_state_store(b, cache, g_view_1d(g, y, n_embd * m->head * b->n_seqs));
	y = g_view_1d(g, y, n_embd * b->n_tokens);
	if (b_weight(b, m->il, SLOT_TIME_MIX_LN) == G_NONE)
		return g_reshape_2d(g, y, n_embd, b->n_tokens);
	y = g_reshape_2d(g, g_norm(g, by_head(m, y)), n_embd, b->n_tokens);
	y = times_weight(m, y, SLOT_TIME_MIX_LN);
	return g_add(g, y, b_bias(b, m->il, SLOT_TIME_MIX_LN));
}

/* What each head's key and receptance agree on, of its value. */
static int bonus(const struct mixing *m, const struct heads *h)
{
	struct graph *g = m->b->g;
	int weight = g_reshape_2d(g, b_weight(m->b, m->il, SLOT_TIME_MIX_R_K), m->head, m->heads);
	int agree = g_sum_rows(g, g_mul(g, g_mul(g, h->k, h->r), weight));

	return g_reshape_2d(g, g_mul(g, h->v, agree), m->b->s->n_embd, m->b->n_tokens);
}

static bool is_gated(struct build *b, int il)
{
	return b_weight(b, il, SLOT_TIME_MIX_G1) != G_NONE &&
	       b_weight(b, il, SLOT_TIME_MIX_G2) != G_NONE;
}

static int time_mix(struct build *b, int il, const struct states *st, int x, int prev, int *first)
{
	struct graph *g = b->g;
	int64_t n_embd = b->s->n_embd, head = b->s->wkv_head;
	struct mixing m = { .b = b, .il = il, .head = head, .heads = head ? n_embd / head : 0 };
	struct heads h;
	bool gated = is_gated(b, il);
	int k, a, ka, out;

	m.mixed = g_repeat_4d(g, g_sub(g, prev, x), n_embd, b->n_seq_tokens, b->n_seqs,
			      gated ? 6 : 5);
	m.mixed = g_add(g, times_weight(&m, m.mixed, SLOT_TIME_MIX_LERP_FUSED), x);

	k = b_mm(b, il, SLOT_TIME_MIX_KEY, mixture(&m));
	a = learning_rate(&m);
	ka = times_weight(&m, k, SLOT_TIME_MIX_K_A);
	h.kk = g_l2_norm(g, by_head(&m, times_weight(&m, k, SLOT_TIME_MIX_K_K)));
	h.k = by_head(&m, g_add(g, k, g_sub(g, g_mul(g, a, ka), ka)));
	h.r = by_head(&m, b_mm(b, il, SLOT_TIME_MIX_RECEPTANCE, mixture(&m)));
	h.w = by_head(&m, decay(&m));
	h.v = by_head(&m, values(&m, first));
	h.a = by_head(&m, a);

	out = g_add(g, attend(&m, st, &h), bonus(&m, &h));
	if (gated)
		out = g_mul(g, out, gate(&m));
	out = b_mm(b, il, SLOT_TIME_MIX_OUTPUT, out);
	return g_reshape_3d(g, out, n_embd, b->n_seq_tokens, b->n_seqs);
}

static int channel_mix(struct build *b, int il, int x, int prev)
{
	struct graph *g = b->g;
	int k = g_mul(g, g_sub(g, prev, x), b_weight(b, il, SLOT_CHANNEL_MIX_LERP_K));

	k = b_mm(b, il, SLOT_CHANNEL_MIX_KEY, g_add(g, k, x));
	return b_mm(b, il, SLOT_CHANNEL_MIX_VALUE, g_sqr(g, g_unary(g, k, UN_RELU)));
}

/* One token of each sequence, or `n`. */
static int tokens(struct graph *g, int x, int64_t n)
{
	return g_view_3d(g, x, g_ne(g, x, 0), n, g_ne(g, x, 2), g_nb(g, x, 1), g_nb(g, x, 2));
}

/* x a token later: what was last of the batch before comes first. */
static int shifted(struct build *b, int before, int x)
{
	return g_concat(b->g, tokens(b->g, before, 1), tokens(b->g, x, b->n_seq_tokens - 1), 1);
}

static int flat_rows(struct build *b, int il, int x)
{
	return b_keep(b, il, g_reshape_2d(b->g, x, b->s->n_embd, b->n_tokens));
}

static int layer(struct build *b, int il, const struct states *st, int x, int *first)
{
	struct graph *g = b->g;
	int64_t n_embd = b->s->n_embd;
	int cache = b_cache(b, il, CACHE_CONV), before, normed, mid, prev, last;

	x = g_reshape_3d(g, x, n_embd, b->n_seq_tokens, b->n_seqs);
	before = g_reshape_3d(g, b_state_rows(b, st, cache), n_embd, b->s->token_shift, b->n_seqs);
	normed = b_norm(b, il, SLOT_ATTN_NORM, x, NORM_LAYER);
	mid = time_mix(b, il, st, normed, shifted(b, before, normed), first);
	mid = g_add(g, mid, x);
	last = tokens(g, normed, 1);

	normed = b_norm(b, il, SLOT_ATTN_NORM_2, mid, NORM_LAYER);
	prev = shifted(b, before, normed);
	last = g_concat(g, last, tokens(g, normed, 1), 1);
	b_state_store(b, cache, g_view_1d(g, last, g_elements(g, last)));

	mid = flat_rows(b, il, mid);
	normed = flat_rows(b, il, normed);
	prev = flat_rows(b, il, prev);
	return g_add(g, channel_mix(b, il, normed, prev), mid);
}

void build_rwkv7(struct build *b)
{
	int first = G_NONE, x = b_embed(b);
	struct states st;

	x = b_norm_global(b, GLOBAL_TOKEN_EMBD_NORM, x, NORM_LAYER);
	st = b_states(b);
	for (int il = 0; il < (int)b->s->n_run; il++)
		x = layer(b, il, &st, x, &first);
	b_result(b, x);
}
