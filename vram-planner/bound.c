/* SPDX-License-Identifier: MIT */
/*
 * What a batch could need at most, were nothing known of the graph but its widest tensors: the logits,
 * every matrix's product of one layer at once, the scores of attention with their softmax beside them,
 * masks, f16 copies of a layer's quantized cache, and the largest matrix of the host brought over.
 * tests/unit/bill.c holds it above every known family's graph.
 */
#include "vram-planner/bound.h"

#include "vram-planner/cache.h"

#define SLACK (UINT64_C(16) << 20)

struct widest {
	uint64_t row;    /* of all products of one layer together, floats a token */
	uint64_t matrix; /* bytes of the largest weight but the input's */
};

static uint64_t saturate(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_add_overflow(a, b, &v) ? UINT64_MAX / 4 : v;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_mul_overflow(a, b, &v) || v > UINT64_MAX / 4 ? UINT64_MAX / 4 : v;
}

static void find_widest(struct widest *w, const struct shape *s, const struct placement *p)
{
	uint64_t rows[LAYERS_MAX] = { 0 };

	*w = (struct widest) { 0 };
	for (uint32_t i = 0; i < model_n_tensors(s->model); i++) {
		const struct tensor *t = model_tensor(s->model, i);
		/* Of stacked experts a token goes through a few. */
		uint64_t used = t->ne[2] > 1 && s->n_used_max ? s->n_used_max : t->ne[2];

		if (t->layer >= 0 && t->layer < LAYERS_MAX)
			rows[t->layer] = saturate(rows[t->layer],
						  times(saturate(t->ne[0], t->ne[1]), used));
		if (p->home[i] <= HOME_HOST && p->fate[i] != FATE_INPUT && t->bytes > w->matrix)
			w->matrix = t->bytes;
	}
	for (uint32_t i = 0; i < s->n_layer; i++)
		w->row = rows[i] > w->row ? rows[i] : w->row;
}

static uint64_t cache_of_layer(const struct shape *s, const struct ask *a)
{
	struct cache_tensor all[CACHE_TENSORS_MAX];
	uint64_t most = 0;

	for (uint32_t i = 0; i < s->n_layer; i++) {
		uint32_t n = cache_tensors(s, a, i, all);
		uint64_t sum = 0;

		for (uint32_t k = 0; k < n; k++)
			sum = saturate(sum,
				       times(times(2 * all[k].ne[0], all[k].ne[1]), all[k].ne[2]));
		most = sum > most ? sum : most;
	}
	return most;
}

void compute_bound(struct compute_bytes *c, const struct shape *s, const struct ask *a,
		   const struct placement *p)
{
	uint64_t tokens = a->n_ubatch, cells = (uint64_t)a->n_ctx_seq * ask_streams(a), bytes;
	struct widest w;

	find_widest(&w, s, p);
	bytes = saturate(times(4 * tokens, w.row), times(4 * tokens, 16 * (uint64_t)s->n_embd));
	bytes = saturate(bytes, times(4 * (uint64_t)a->n_outputs, s->n_vocab));
	bytes = saturate(bytes, times(8 * cells, tokens)); /* masks of two kinds, f32 */
	if (!a->flash_attn)
		bytes = saturate(bytes, times(times(8 * cells, tokens), s->n_head));
	bytes = saturate(bytes, cache_of_layer(s, a));
	bytes = saturate(bytes, saturate(w.matrix, SLACK));
	*c = (struct compute_bytes) { .host = bytes };
	c->pipeline = compute_pipeline(s, a, p);
	for (uint32_t i = 0; i < p->n_devices; i++)
		c->device[i] = bytes;
	c->output = times(4 * (uint64_t)a->n_outputs,
			  (uint64_t)s->n_vocab + (a->embeddings ? s->n_embd : 0));
}
