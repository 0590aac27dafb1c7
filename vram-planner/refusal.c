/* SPDX-License-Identifier: MIT */
/*
 * What the engine refuses: llama_init_from_model says so in words (llama.cpp v0.5.0, llama-context.cpp);
 * the others are aborts, seen with 0.7.0.
 */
#include "vram-planner/refusal.h"

#include "vram-planner/cache.h"
#include "vram-planner/family_priv.h"

struct refusal {
	bool (*applies)(const struct shape *s, const struct ask *a, const struct placement *p);
	const char *why;
};

static bool flash(const struct shape *s, const struct ask *a)
{
	return a->flash_attn && !s->no_flash_attn;
}

static bool quantized_v(const struct shape *s, const struct ask *a, const struct placement *p)
{
	(void)p;
	return !flash(s, a) && quant_is_blocked(a->type_v);
}

static bool grok_quantized_v(const struct shape *s, const struct ask *a, const struct placement *p)
{
	return s->no_flash_attn && a->flash_attn && quantized_v(s, a, p);
}

static bool compressed_types(const struct shape *s, const struct ask *a, const struct placement *p)
{
	(void)p;
	return (s->head_k_mla || s->memory == MEMORY_DSV4) && a->type_k != a->type_v;
}

static bool odd_heads(const struct shape *s, const struct ask *a, const struct placement *p)
{
	uint64_t bytes;

	(void)p;
	for (uint32_t i = 0; i < s->n_run; i++) {
		const struct layer *l = &s->layers[i];

		if (!quant_bytes(a->type_k, l->head_k, &bytes) ||
		    !quant_bytes(a->type_v, l->head_v, &bytes))
			return true;
	}
	return false;
}

/* A row of the indexer's keys, too, must be made of whole blocks. */
static bool odd_indexer(const struct shape *s, const struct ask *a, const struct placement *p)
{
	uint64_t bytes;

	(void)p;
	return !quant_bytes(a->type_k, s->indexer_head, &bytes);
}

/* The scheduler finds no place for an operation on it: "pre-allocated tensor in a buffer that cannot". */
static bool large_cache(const struct shape *s, const struct ask *a, const struct placement *p)
{
	for (uint32_t i = 0; i < s->n_layer; i++) {
		struct cache_tensor tensors[CACHE_TENSORS_MAX];
		int home = cache_home(p, a, i);
		uint64_t most = home < 0 ? 0 : p->devices[home].max_buffer_bytes;
		uint32_t n = most ? cache_tensors(s, a, i, tensors) : 0;

		while (n-- > 0) {
			if (tensors[n].bytes > most)
				return true;
		}
	}
	return false;
}

/* Compressed attention multiplies these with rows that are not contiguous, which AMX cannot. */
static bool compressed_in_tiles(const struct shape *s, const struct ask *a,
				const struct placement *p)
{
	const enum slot slots[] = { SLOT_ATTN_K_B, SLOT_ATTN_V_B, SLOT_ATTN_OUTPUT_A };

	for (uint32_t i = 0; a->extra_buffers && i < s->n_run; i++) {
		for (int k = 0; k < 3; k++) {
			const struct tensor *t = shape_weight(s, i, slots[k]);

			if (t && p->home[shape_index(s, t)] == HOME_EXTRA)
				return true;
		}
	}
	return false;
}

/* Its last reservation is for one sequence, over the caches of all: tokens must divide by them. */
static bool uneven_streams(const struct shape *s, const struct ask *a, const struct placement *p)
{
	bool delta = false;

	(void)p;
	for (uint32_t i = 0; i < s->n_run; i++)
		delta |= s->layers[i].mixer == MIXER_KDA;
	return delta && a->n_ubatch % ask_streams(a);
}

/* The mean is a product over all tokens of a batch: each must be kept. */
static bool partial_mean(const struct shape *s, const struct ask *a, const struct placement *p)
{
	(void)p;
	return a->embeddings && s->pooling == POOLING_MEAN && a->n_outputs < a->n_ubatch;
}

/* It reserves for one token a sequence, too, and each of them is an output. */
static bool few_outputs(const struct shape *s, const struct ask *a, const struct placement *p)
{
	(void)s;
	(void)p;
	return a->n_outputs < a->n_seq;
}

static bool odd_inner(const struct shape *s, const struct ask *a, const struct placement *p)
{
	(void)a;
	(void)p;
	return s->family->quirks & QUIRK_INNER_TWICE && s->ssm_inner != 2 * (uint64_t)s->n_embd;
}

static const struct refusal refusals[] = {
	{ odd_inner,
	  "the engine loads this architecture only with states twice as wide as the model" },
	{ few_outputs, "every sequence needs an output; the engine aborts on fewer" },
	{ grok_quantized_v,
	  "a quantized V cache needs flash attention, which the engine does not use with grok" },
	{ quantized_v, "a quantized V cache needs flash attention" },
	{ compressed_types, "this model's cache of compressed keys needs one type for K and V" },
	{ odd_heads, "the cache type's blocks do not divide the model's head size; use f16" },
	{ odd_indexer, "the cache type's blocks do not divide the indexer's head size; use f16" },
	{ large_cache,
	  "a layer's cache is larger than a buffer of the device may be; use a smaller context" },
	{ compressed_in_tiles,
	  "the engine aborts on compressed attention in AMX buffers; switch extra buffers off" },
	{ uneven_streams,
	  "the batch does not divide by the sequences, on which the engine aborts; use a unified "
	  "cache or another number of sequences" },
	{ partial_mean, "mean pooling needs as many outputs as the batch has tokens" },
};

const char *refusal_find(const struct shape *s, const struct ask *a, const struct placement *p)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].applies(s, a, p))
			return refusals[i].why;
	}
	return NULL;
}

/* --- the graph's tables --- */

/* Tensors that the engine makes of the model: those it loads, and what it loads twice. */
static uint32_t loaded(const struct shape *s, const struct placement *p)
{
	uint32_t n = 0, all = model_n_tensors(s->model);

	for (uint32_t i = 0; i < all; i++)
		n += p->fate[i] != FATE_SKIPPED;
	return n + p->copied;
}

/* Sizes of the engine's hash tables (ggml_hash_size): the least of these that is not smaller. */
static uint32_t table_size(uint64_t least)
{
	static const uint32_t sizes[] = { 1031,  2053,   4099,   8209,   16411,   32771,
					  65537, 131101, 262147, 524309, 1048583, 2097169 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i] >= least)
			return sizes[i];
	}
	return UINT32_MAX;
}

/* llama_context::graph_max_nodes: a budget by the model's tensors, with tokens for some families. */
static uint64_t node_budget(const struct shape *s, const struct ask *a, const struct placement *p)
{
	uint64_t n = loaded(s, p), tokens = a->n_ctx < a->n_ubatch ? a->n_ctx : a->n_ubatch;
	uint64_t least = 1024, each = 8;

	if (s->family->quirks & QUIRK_LONG_GRAPH) {
		least = 40 * tokens;
		each = 32;
	}
	return each * n > least ? each * n : least;
}

const char *refusal_of_graph(const struct shape *s, const struct ask *a, const struct placement *p,
			     uint32_t n_nodes, uint32_t n_leaves)
{
	if ((uint64_t)n_nodes + n_leaves <= table_size(node_budget(s, a, p)))
		return NULL;
	return "the graph has more operations than the engine's tables take, and it aborts; use f16 "
	       "caches or a unified cache";
}
