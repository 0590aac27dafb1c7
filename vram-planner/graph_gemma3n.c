/* SPDX-License-Identifier: MIT */
/*
 * Gemma 3n: the stream of a token is carried n_altup times; each layer predicts all copies from a
 * mix of them, computes one of them in full, and corrects the others by what that one missed
 * (AltUp). Beside the attention runs a low-rank path (LAuReL), and every layer is fed its own
 * embedding of the token.
 */
#include "vram-planner/build_priv.h"
#include "vram-planner/per_layer.h"

/*
 * Layers whose gates keep only what is far above the mean: fixed in the engine (models.h, v0.5.0).
 */
#define SPARSE_LAYERS 10

/* The length of each row of x. */
static int magnitude(struct graph *g, int x)
{
	return g_sqrt(g, g_sum_rows(g, g_sqr(g, x)));
}

/* All copies but the computed one: planes 1.. of x [n_embd, tokens, copies]. */
static int other_planes(struct build *b, int x)
{
	struct graph *g = b->g;

	return g_view_3d(g, x, g_ne(g, x, 0), g_ne(g, x, 1), g_ne(g, x, 2) - 1, g_nb(g, x, 1),
			 g_nb(g, x, 2));
}

/* `x`, made as long as `like`. */
static int with_magnitude(struct graph *g, int x, int length)
{
	int by = g_mul(g, x, length);

	return g_div(g, by, magnitude(g, x));
}

static int spread(struct build *b, int x)
{
	struct graph *g = b->g;
	int length = magnitude(g, x);
	int copies = g_repeat_4d(g, x, g_ne(g, x, 0), g_ne(g, x, 1), (int64_t)b->s->n_altup - 1, 1);
	int others = g_mul_mat(g, b_global(b, GLOBAL_ALTUP_PROJ), copies);

	return g_concat(g, x, with_magnitude(g, others, length), 2);
}

static int merge(struct build *b, int x)
{
	struct graph *g = b->g;
	int length = magnitude(g, b_plane(b, x));
	int others = g_mul_mat(g, b_global(b, GLOBAL_ALTUP_UNEMBD_PROJ), other_planes(b, x));
	int sum = b_plane(b, x);

	others = with_magnitude(g, others, length);
	for (uint32_t i = 1; i < b->s->n_altup && sum; i++)
		sum = g_add(g, sum, b_plane(b, others));
	return g_scale(g, sum);
}

/* How much each copy counts: [copies, tokens]. */
static int modalities(struct build *b, int il, int x)
{
	int in = g_scale(b->g, b_norm(b, il, SLOT_ALTUP_ROUTER_NORM, x, NORM_RMS));

	return g_unary(b->g, g_mul_mat(b->g, b_weight(b, il, SLOT_ALTUP_ROUTER), in), UN_TANH);
}

static int predict(struct build *b, int il, int x)
{
	struct graph *g = b->g;
	int64_t n = b->s->n_altup;
	int mix = modalities(b, il, b_plane(b, x));
	int coef = b_mm(b, il, SLOT_ALTUP_PREDICT_COEF, mix);
	int turned = g_cont(g, g_permute(g, x, 1, 2, 0, 3));
	int out = g_mul_mat(g, turned, g_reshape_3d(g, coef, n, n, b->n_tokens));

	out = g_cont(g, g_permute(g, out, 0, 2, 1, 3));
	return g_add(g, out, x);
}

static int correct(struct build *b, int il, int predictions, int active)
{
	struct graph *g = b->g;
	int64_t n = b->s->n_altup;
	int mix = modalities(b, il, active);
	int missed = g_sub(g, active, b_plane(b, predictions));
	int coef = g_scale(g, b_mm(b, il, SLOT_ALTUP_CORRECT_COEF, mix));

	coef = g_cont_3d(g, g_transpose(g, coef), 1, b->n_tokens, n);
	missed = g_repeat_4d(g, missed, b->s->n_embd, b->n_tokens, n, 1);
	return g_add(g, g_mul(g, missed, coef), predictions);
}

static int laurel(struct build *b, int il, int x)
{
	int low = b_mm(b, il, SLOT_LAUREL_R, b_mm(b, il, SLOT_LAUREL_L, x));

	return g_add(b->g, b_norm(b, il, SLOT_LAUREL_POST_NORM, low, NORM_RMS), x);
}

/* Layers without a cache of their own ask that of an earlier layer with a query only. */
static int attend(struct build *b, int il, int x)
{
	const struct layer *l = &b->s->layers[il];
	struct attn at = { 0 };

	if (l->cache == il) {
		struct qkv p = b_qkv(b, il, x);

		at.q = b_rope(b, il, b_norm(b, il, SLOT_ATTN_Q_NORM, p.q, NORM_RMS));
		at.k = b_rope(b, il, b_norm(b, il, SLOT_ATTN_K_NORM, p.k, NORM_RMS));
		at.v = g_rms_norm(b->g, p.v);
	} else {
		at.q = b_query(b, il, x);
		at.q = b_rope(b, il, b_norm(b, il, SLOT_ATTN_Q_NORM, at.q, NORM_RMS));
	}
	return b_attn(b, il, &at);
}

/* What of the gate is far enough above the mean of its row. */
static int sparse(struct graph *g, int x)
{
	int mean = g_mean(g, x);
	int spread = g_sum_rows(g, g_sqr(g, g_sub(g, x, mean)));
	int deviation = g_sqrt(g, g_scale(g, spread));

	return g_unary(g, g_sub(g, x, g_add(g, mean, g_scale(g, deviation))), UN_RELU);
}

static int feed_forward(struct build *b, int il, int x)
{
	struct graph *g = b->g;
	int up = b_mm(b, il, SLOT_FFN_UP, x);
	int gate = b_mm(b, il, SLOT_FFN_GATE, x);

	if (il < SPARSE_LAYERS)
		gate = sparse(g, gate);
	x = b_mm(b, il, SLOT_FFN_DOWN, g_mul(g, up, g_unary(g, gate, UN_GELU)));
	return b_norm(b, il, SLOT_POST_FFW_NORM, x, NORM_RMS);
}

/* The layer's own embedding goes into all copies but the first. */
static int inject(struct build *b, int il, int x, int per_layer)
{
	struct graph *g = b->g;
	int first = g_mul(g, b_plane(b, x), b_weight(b, il, SLOT_ALTUP_CORRECT_SCALE));

	first = b_per_layer(b, il, first, b_plane(b, per_layer));
	return g_concat(g, b_plane(b, x), g_add(g, other_planes(b, x), first), 2);
}

static int layer(struct build *b, int il, int x, int per_layer)
{
	struct graph *g = b->g;
	int predictions = predict(b, il, x);
	int active = b_plane(b, predictions);
	int in = b_norm(b, il, SLOT_ATTN_NORM, active, NORM_RMS);
	int side = laurel(b, il, in);
	int cur = attend(b, il, in);
	int mid;

	cur = b_norm(b, il, SLOT_POST_ATTENTION_NORM, cur, NORM_RMS);
	mid = g_scale(g, g_add(g, g_add(g, cur, active), side));
	cur = feed_forward(b, il, b_norm(b, il, SLOT_FFN_NORM, mid, NORM_RMS));
	cur = correct(b, il, predictions, g_add(g, cur, mid));
	return inject(b, il, cur, per_layer);
}

void build_gemma3n(struct build *b)
{
	int x = b_embed_scaled(b), rows = b_per_layer_rows(b), per_layer;

	rows = g_reshape_3d(b->g, rows, b->s->n_embd_per_layer, b->s->n_run, b->n_tokens);
	rows = g_expand(b->g, g_scale(b->g, rows));
	per_layer = b_per_layer_inputs(b, rows, x);
	x = spread(b, x);
	for (uint32_t il = 0; il < b->s->n_run; il++)
		x = layer(b, (int)il, x, per_layer);
	x = g_get_rows(b->g, merge(b, x), b_out_ids(b));
	b_result(b, x);
}
