/* SPDX-License-Identifier: MIT */
/* Batches computed, and what a sequence has in the cache. */
#include "core/engine_priv.h"

enum failure engine_decode(struct engine *g, int32_t *tokens, uint32_t n, struct err *e)
{
	int32_t rc = llama_decode(g->context, llama_batch_get_one(tokens, (int32_t)n));

	if (rc == 0)
		return FAILURE_NONE;
	if (rc == 1) {
		err_set(e, -ENOSPC, "the context of %u tokens is full", engine_n_ctx(g));
		return FAILURE_CONTEXT;
	}
	return engine_failed(g, FAILURE_DECODE, "the engine failed while computing", e);
}

enum failure engine_compute(struct engine *g, const struct engine_input *in, uint32_t n, bool *full,
			    struct err *e)
{
	struct llama_batch *b = &g->batch;
	int32_t rc;

	engine_hear(g);
	b->n_tokens = (int32_t)n;
	for (uint32_t i = 0; i < n; i++) {
		b->token[i] = in[i].token;
		b->pos[i] = (llama_pos)in[i].pos;
		b->n_seq_id[i] = 1;
		b->seq_id[i][0] = (llama_seq_id)in[i].seq;
		b->logits[i] = in[i].output || g->embeds;
	}
	rc = llama_decode(g->context, *b);
	*full = rc == 1;
	if (rc == 0 || rc == 1)
		return FAILURE_NONE;
	return engine_failed(g, FAILURE_DECODE, "the engine failed while computing", e);
}

uint32_t engine_cut(struct engine *g, uint32_t seq, uint32_t n)
{
	llama_memory_t mem = llama_get_memory(g->context);
	llama_seq_id id = (llama_seq_id)seq;

	if (!mem) /* encoders remember nothing */
		return 0;
	if (n && llama_memory_seq_rm(mem, id, (llama_pos)n, -1)) {
		/* A sliding layer forgets: what token n looks at must still be there, all of it */
		llama_pos first = llama_memory_seq_pos_min(mem, id);
		int32_t window = g->slides ? llama_model_n_swa(g->model) : 0;
		llama_pos needed = window && (llama_pos)n > window ? (llama_pos)n - window + 1 : 0;

		if (llama_memory_seq_pos_max(mem, id) + 1 == (llama_pos)n &&
		    (first <= needed || (!window && first < (llama_pos)n)))
			return n;
	}
	llama_memory_seq_rm(mem, id, -1, -1);
	return 0;
}

uint32_t engine_share(struct engine *g, uint32_t from, uint32_t to, uint32_t n)
{
	llama_memory_t mem = llama_get_memory(g->context);

	if (!mem)
		return 0;
	llama_memory_seq_rm(mem, (llama_seq_id)to, -1, -1);
	/* Between caches of their own only the whole can be copied */
	llama_memory_seq_cp(mem, (llama_seq_id)from, (llama_seq_id)to, -1, -1);
	return engine_cut(g, to, n);
}

const float *engine_vector(struct engine *g, uint32_t seq, int32_t index)
{
	if (llama_pooling_type(g->context) == LLAMA_POOLING_TYPE_NONE)
		return llama_get_embeddings_ith(g->context, index);
	return llama_get_embeddings_seq(g->context, (llama_seq_id)seq);
}
