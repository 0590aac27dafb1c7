/* SPDX-License-Identifier: MIT */
/* What a loaded model is, its vocabulary and templates, and what changes it. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "core/engine_priv.h"
#include "core/steer.h"

int32_t engine_n_vocab(const struct engine *g)
{
	return llama_vocab_n_tokens(llama_model_get_vocab(g->model));
}

uint64_t engine_weights_bytes(const struct engine *g)
{
	return llama_model_size(g->model);
}

uint32_t engine_n_ctx(const struct engine *g)
{
	return llama_n_ctx_seq(g->context);
}

long engine_tokens(const struct engine *g, const char *text, size_t length, bool special,
		   int32_t **tokens, struct err *e)
{
	const struct llama_vocab *vocab = llama_model_get_vocab(g->model);
	int32_t n;

	*tokens = NULL;
	if (length > INT32_MAX / 2)
		return err_set(e, -E2BIG, "the prompt has %zu bytes, too many", length);
	/* The answer to "how many" is negative */
	n = -llama_tokenize(vocab, text, (int32_t)length, NULL, 0, special, special);
	if (n <= 0)
		return 0;
	*tokens = calloc((size_t)n, sizeof(**tokens));
	if (!*tokens)
		return err_set(e, -ENOMEM, "out of memory");
	return llama_tokenize(vocab, text, (int32_t)length, *tokens, n, special, special);
}

/* The tokens by which a model was taught gaps: before the prefix, the suffix, and what it says itself. */
static bool gap_tokens(const struct llama_vocab *vocab, int32_t marks[3])
{
	marks[0] = llama_vocab_fim_pre(vocab);
	marks[1] = llama_vocab_fim_suf(vocab);
	marks[2] = llama_vocab_fim_mid(vocab);
	return marks[0] >= 0 && marks[1] >= 0 && marks[2] >= 0;
}

long engine_gap(const struct engine *g, const char *prefix, const char *suffix, int32_t **tokens,
		struct err *e)
{
	const struct llama_vocab *vocab = llama_model_get_vocab(g->model);
	own_free int32_t *before = NULL, *after = NULL;
	int32_t marks[3], *all;
	long k, m, n = 0;

	*tokens = NULL;
	if (!gap_tokens(vocab, marks))
		return err_set(e, -ENOSYS, "this model has no tokens for gaps");
	k = engine_tokens(g, prefix, strlen(prefix), false, &before, e);
	m = k < 0 ? k : engine_tokens(g, suffix, strlen(suffix), false, &after, e);
	if (m < 0)
		return m;
	all = calloc((size_t)(k + m) + 4, sizeof(*all));
	if (!all)
		return err_set(e, -ENOMEM, "out of memory");
	if (llama_vocab_get_add_bos(vocab))
		all[n++] = llama_vocab_bos(vocab);
	all[n++] = marks[0];
	for (long i = 0; i < k; i++)
		all[n++] = before[i];
	all[n++] = marks[1];
	for (long i = 0; i < m; i++)
		all[n++] = after[i];
	all[n++] = marks[2];
	*tokens = all;
	return n;
}

long engine_tokenize(const struct engine *g, const char *text, int32_t **tokens, struct err *e)
{
	return engine_tokens(g, text, strlen(text), true, tokens, e);
}

bool engine_is_end(const struct engine *g, int32_t token)
{
	return llama_vocab_is_eog(llama_model_get_vocab(g->model), token);
}

size_t engine_piece(const struct engine *g, int32_t token, char *buf, size_t size)
{
	int32_t n = llama_token_to_piece(llama_model_get_vocab(g->model), token, buf, (int32_t)size,
					 0, false);

	return n > 0 ? (size_t)n : 0;
}

int engine_same_tokens(const struct engine *g, const struct engine *draft, struct err *e)
{
	const struct llama_vocab *a = llama_model_get_vocab(g->model),
				 *b = llama_model_get_vocab(draft->model);
	int32_t n = llama_vocab_n_tokens(a), m = llama_vocab_n_tokens(b);

	if (llama_vocab_type(a) != llama_vocab_type(b))
		return err_set(e, -EINVAL,
			       "the draft cuts text into tokens in another way than the model");
	for (int32_t i = 0; i < n && i < m; i++) {
		const char *x = llama_vocab_get_text(a, i), *y = llama_vocab_get_text(b, i);
		char mean[2][48];

		if (strcmp(x, y) == 0)
			continue;
		text_copy(mean[0], sizeof(mean[0]), x);
		text_copy(mean[1], sizeof(mean[1]), y);
		return err_set(e, -EINVAL,
			       "the draft has another vocabulary than the model: its token %d is "
			       "\"%s\", the model's is \"%s\"",
			       i, text_clean(mean[1]), text_clean(mean[0]));
	}
	return 0;
}

static void meta(const struct engine *g, const char *key, char *buf, size_t size)
{
	buf[0] = 0;
	llama_model_meta_val_str(g->model, key, buf, size);
	text_clean(buf);
}

void engine_facts(const struct engine *g, struct engine_facts *f)
{
	const struct llama_model *m = g->model;

	memset(f, 0, sizeof(*f));
	meta(g, "general.name", f->name, sizeof(f->name));
	meta(g, "general.architecture", f->arch, sizeof(f->arch));
	text_copy(f->quant, sizeof(f->quant), llama_ftype_name(llama_model_ftype(m)));
	f->size_bytes = llama_model_size(m);
	f->n_params = llama_model_n_params(m);
	f->n_ctx = engine_n_ctx(g);
	f->n_ctx_train = (uint32_t)llama_model_n_ctx_train(m);
	f->n_embd = (uint32_t)llama_model_n_embd_out(m);
	f->n_layer = (uint32_t)llama_model_n_layer(m);
	f->n_vocab = (uint32_t)engine_n_vocab(g);
	f->n_seq = llama_n_seq_max(g->context);
	f->n_batch = llama_n_batch(g->context);
	f->n_ubatch = llama_n_ubatch(g->context);
	f->n_outputs = g->n_outputs;
	f->n_window = g->slides ? (uint32_t)llama_model_n_swa(m) : 0;
	f->rewinds = !llama_model_is_recurrent(m) && !llama_model_is_hybrid(m);
	f->unified = g->unified;
	f->embeds = g->embeds;
	f->pools = llama_pooling_type(g->context) != LLAMA_POOLING_TYPE_NONE;
	f->fills = gap_tokens(llama_model_get_vocab(m), (int32_t[3]) { 0 });
	f->ranks = llama_pooling_type(g->context) == LLAMA_POOLING_TYPE_RANK;
	f->template = llama_model_chat_template(m, NULL);
}

static enum failure add_loras(struct engine *g, const struct adapters *loras, struct err *e)
{
	struct llama_adapter_lora *list[ADAPTERS_MAX];
	float scales[ADAPTERS_MAX];

	for (uint32_t i = 0; i < loras->n; i++) {
		char what[PATH_MAX + 64];

		engine_calm(g);
		snprintf(what, sizeof(what), "the LoRA adapter %s does not load", loras->v[i].path);
		list[i] = llama_adapter_lora_init(g->model, loras->v[i].path); /* the model's */
		if (!list[i])
			return engine_failed(g, FAILURE_LOAD, what, e);
		scales[i] = loras->v[i].scale;
	}
	if (loras->n && llama_set_adapters_lora(g->context, list, loras->n, scales))
		return engine_failed(g, FAILURE_LOAD, "the engine refuses the LoRA adapters", e);
	return FAILURE_NONE;
}

static enum failure add_vectors(struct engine *g, const struct adapters *vectors, struct err *e)
{
	uint32_t n_embd = (uint32_t)llama_model_n_embd(g->model);
	uint32_t n_layer = (uint32_t)llama_model_n_layer(g->model);
	size_t size = (size_t)n_embd * (n_layer - 1);
	own_free float *sum = calloc(size + 1, sizeof(*sum));

	if (!sum) {
		err_set(e, -ENOMEM, "out of memory");
		return FAILURE_OOM;
	}
	for (uint32_t i = 0; i < vectors->n; i++) {
		if (steer_add(sum, vectors->v[i].path, vectors->v[i].scale, n_layer, n_embd, e))
			return FAILURE_PLAN;
	}
	if (llama_set_adapter_cvec(g->context, sum, size, (int32_t)n_embd, 1, (int32_t)n_layer))
		return engine_failed(g, FAILURE_LOAD, "the engine refuses the control vector", e);
	return FAILURE_NONE;
}

enum failure engine_adapt(struct engine *g, const struct adapters *loras,
			  const struct adapters *vectors, struct err *e)
{
	enum failure f = add_loras(g, loras, e);

	return f || !vectors->n ? f : add_vectors(g, vectors, e);
}

int engine_chat(const char *template, const struct request_message *messages, size_t n, char **text)
{
	own_free struct llama_chat_message *list = calloc(n + 1, sizeof(*list));
	int32_t length;

	*text = NULL;
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct llama_chat_message) { messages[i].role, messages[i].content };
	length = llama_chat_apply_template(template, list, n, true, NULL, 0);
	if (length < 0)
		return -ENOENT;
	*text = calloc((size_t)length + 1, 1);
	if (!*text)
		return -ENOMEM;
	llama_chat_apply_template(template, list, n, true, *text, length);
	return 0;
}
