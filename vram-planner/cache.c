/* SPDX-License-Identifier: MIT */
/*
 * Caches and states as the engine makes them: llama.cpp v0.5.0, llama-kv-cache*.cpp (the constructors),
 * llama-memory-recurrent.cpp and llama_hparams::n_embd_r, n_embd_s.
 */
#include "vram-planner/cache.h"

#include "vram-planner/round.h"

#define CELLS_PAD 256

enum { F32 = 0 }; /* ggml type of states */

/* No sum of caches wraps: what is beyond 64 bits fits nowhere. */
static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static void add(uint64_t *sum, uint64_t v)
{
	if (__builtin_add_overflow(*sum, v, sum))
		*sum = UINT64_MAX;
}

/* --- sizes --- */

uint32_t cache_streams(const struct shape *s, const struct ask *a)
{
	return s->memory == MEMORY_DSV4 ? a->n_seq : ask_streams(a);
}

uint32_t cache_cells_sliding(const struct shape *s, const struct ask *a)
{
	struct ask apart = *a;

	if (s->memory == MEMORY_DSV4) /* never shared between sequences, whatever is asked */
		apart.unified = false;
	return ask_cells_window(&apart, s->window);
}

uint32_t cache_cells(const struct shape *s, const struct ask *a, uint32_t layer)
{
	return s->layers[layer].slides ? cache_cells_sliding(s, a) : a->n_ctx_seq;
}

uint32_t cache_cells_compressed(const struct ask *a, uint32_t compress)
{
	return (uint32_t)round_up(((uint64_t)a->n_ctx_seq + compress - 1) / compress, CELLS_PAD);
}

/* Without flash attention V lies transposed, and every layer's is as wide as the widest. */
static uint64_t value_width(const struct shape *s, const struct ask *a, uint32_t layer)
{
	const struct layer *l = &s->layers[layer];
	uint64_t most = 0;

	if (a->flash_attn && !s->no_flash_attn)
		return (uint64_t)l->head_v * l->n_head_kv;
	for (uint32_t i = 0; i < s->n_layer; i++) {
		uint64_t width = (uint64_t)s->layers[i].head_v * s->layers[i].n_head_kv;

		most = width > most ? width : most;
	}
	return most;
}

static uint32_t less_one(uint32_t v)
{
	return v ? v - 1 : 0;
}

static uint64_t conv_width(const struct shape *s, enum mixer mixer)
{
	switch (mixer) {
	case MIXER_RWKV7:
		return (uint64_t)s->token_shift * s->n_embd;
	case MIXER_SHORTCONV:
		return (uint64_t)s->n_embd * less_one(s->shortconv_cache);
	case MIXER_KDA:
		return 3 * (uint64_t)less_one(s->ssm_conv) * s->n_head * s->kda_head;
	default:
		return (uint64_t)less_one(s->ssm_conv) *
		       (s->ssm_inner + 2 * (uint64_t)s->ssm_groups * s->ssm_state);
	}
}

static uint64_t state_width(const struct shape *s, enum mixer mixer)
{
	switch (mixer) {
	case MIXER_RWKV7:
		return (uint64_t)s->n_embd * s->wkv_head;
	case MIXER_SHORTCONV:
		return 0;
	case MIXER_KDA:
		return (uint64_t)s->kda_head * s->kda_head * s->n_head;
	default:
		return (uint64_t)s->ssm_state * s->ssm_inner;
	}
}

/* Without rules: the largest that any kind of layer would make of the keys. */
static uint64_t bound_width(const struct shape *s,
			    uint64_t (*width)(const struct shape *s, enum mixer mixer))
{
	const enum mixer kinds[] = { MIXER_RWKV7, MIXER_SHORTCONV, MIXER_KDA, MIXER_MAMBA2 };
	uint64_t most = 0;

	for (int i = 0; i < 4; i++) {
		uint64_t w = width(s, kinds[i]);

		most = w > most ? w : most;
	}
	return most;
}

/* --- tensors --- */

struct list {
	struct cache_tensor *at;
	uint32_t n;
};

static void put(struct list *l, enum cache_kind kind, uint32_t type, uint64_t width, uint64_t rows,
		uint64_t planes)
{
	struct cache_tensor *t = &l->at[l->n];
	uint64_t row;

	if (width == 0)
		return;
	*t = (struct cache_tensor) { .kind = kind, .type = type, .ne = { width, rows, planes } };
	if (quant_bytes(type, width, &row))
		t->bytes = times(times(row, rows), planes);
	l->n++;
}

static uint32_t states_kept(const struct shape *s, const struct ask *a)
{
	return 1 + (s->keeps_rollback || s->unverified ? a->n_rs_seq : 0);
}

static void put_states(struct list *out, const struct shape *s, const struct ask *a,
		       const struct layer *l)
{
	uint64_t rows = times(a->n_seq, states_kept(s, a));
	bool bound = s->unverified;

	put(out, CACHE_CONV, F32, bound ? bound_width(s, conv_width) : conv_width(s, l->mixer),
	    rows, 1);
	put(out, CACHE_STATE, F32, bound ? bound_width(s, state_width) : state_width(s, l->mixer),
	    rows, 1);
}

static void put_attention(struct list *out, const struct shape *s, const struct ask *a, uint32_t i)
{
	const struct layer *l = &s->layers[i];
	uint64_t cells = cache_cells(s, a, i), streams = cache_streams(s, a);

	put(out, CACHE_K, a->type_k, (uint64_t)l->head_k * l->n_head_kv, cells, streams);
	if (l->mixer == MIXER_ATTENTION || l->mixer == MIXER_BOTH)
		put(out, CACHE_V, a->type_v, value_width(s, a, i), cells, streams);
	if (l->indexer && s->memory != MEMORY_DSV4)
		put(out, CACHE_INDEXER, a->type_k, s->indexer_head, cells, streams);
}

/* A compressed key is made of `compress` tokens, of twice as many where the windows overlap. */
static void put_compressed(struct list *out, const struct shape *s, const struct ask *a, uint32_t i)
{
	const struct layer *l = &s->layers[i];
	uint64_t streams = cache_streams(s, a), planes = times(streams, states_kept(s, a));
	bool overlaps = l->compress == 4;
	uint64_t rows = overlaps ? 2 * l->compress : l->compress, wide = overlaps ? 2 : 1, cells;

	if (l->compress == 0)
		return;
	cells = cache_cells_compressed(a, l->compress);
	put(out, CACHE_COMPRESSED, a->type_k, (uint64_t)l->head_k * l->n_head_kv, cells, streams);
	if (overlaps)
		put(out, CACHE_INDEXER, a->type_k, s->indexer_head, cells, streams);
	if (l->nextn)
		return;
	put(out, CACHE_PARTIAL_KV, F32, wide * l->head_k, rows, planes);
	put(out, CACHE_PARTIAL_SCORE, F32, wide * l->head_k, rows, planes);
	if (!overlaps)
		return;
	put(out, CACHE_INDEXER_PARTIAL_KV, F32, wide * s->indexer_head, rows, planes);
	put(out, CACHE_INDEXER_PARTIAL_SCORE, F32, wide * s->indexer_head, rows, planes);
}

uint32_t cache_tensors(const struct shape *s, const struct ask *a, uint32_t layer,
		       struct cache_tensor out[CACHE_TENSORS_MAX])
{
	const struct layer *l = &s->layers[layer];
	struct list list = { out, 0 };

	if (l->cache == (int32_t)layer)
		put_attention(&list, s, a, layer);
	if (l->cache == (int32_t)layer && s->memory == MEMORY_DSV4)
		put_compressed(&list, s, a, layer);
	if (layer_recurs(l) && !l->nextn)
		put_states(&list, s, a, l);
	return list.n;
}

/* --- sums --- */

int cache_home(const struct placement *p, const struct ask *a, uint32_t layer)
{
	return a->cache_on_host ? HOME_HOST : p->unit[layer];
}

void caches_sum(const struct placement *p, const struct shape *s, const struct ask *a,
		struct caches *c)
{
	const struct backend *host = backend_find("cpu");

	*c = (struct caches) { 0 };
	for (uint32_t i = 0; i < s->n_layer; i++) {
		struct cache_tensor tensors[CACHE_TENSORS_MAX];
		uint32_t n = cache_tensors(s, a, i, tensors);
		int home = cache_home(p, a, i);
		const struct backend *b = home < 0 ? host : p->devices[home].backend;

		for (uint32_t k = 0; k < n; k++)
			add(home < 0 ? &c->host : &c->device[home],
			    placed_bytes(b, tensors[k].type, tensors[k].ne[0], tensors[k].bytes));
	}
}
