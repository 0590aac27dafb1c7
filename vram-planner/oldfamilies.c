/* SPDX-License-Identifier: MIT */
/*
 * The model families whose memory rules are verified, and the reading of a header by them. An
 * architecture without a row is answered "unknown", never guessed. To add one: a row here and its
 * measured truth in tests/models (docs/adding.md).
 */
#include <inttypes.h>
#include <string.h>

#include "vram-planner/cost_priv.h"

#define WIDTH_MAX (1 << 20) /* of any row; keeps every sum of cost.c within 64 bits */

/*
 * Rules from llama.cpp v0.5.0, src/models/<arch>.cpp (load_arch_hparams) and src/llama-kv-cache*.cpp.
 * "truth": every measured row of that model agrees to the byte in weights and caches.
 */
/* clang-format off */
static const struct oldfamily families[] = {
	{ "llama",        OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: llama-3.2-1b, llama-3.1-8b, mistral-small-24b" },
	{ "mistral3",     OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "mistral3.cpp: llama's tensors and cache" },
	{ "qwen2",        OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "qwen2.cpp: llama's tensors, with biases, and cache" },
	{ "qwen3",        OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: qwen3-0.6b" },
	{ "qwen3moe",     OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: qwen3-30b-a3b" },
	{ "gemma2",       OLDWINDOW_ALWAYS, 4096, 2,  0, false, false, 0, "truth: gemma-2-9b" },
	{ "gemma3",       OLDWINDOW_IF_KEY,    0, 6,  0, false, false, 0, "truth: gemma-3-4b" },
	{ "cohere2",      OLDWINDOW_ALWAYS,    0, 4,  0, false, true,  1, "truth: command-r7b" },
	{ "smollm3",      OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: smollm3-3b" },
	{ "exaone4",      OLDWINDOW_ALWAYS, 4096, 4, 64, true,  false, 0,  "truth: exaone-4-32b; other sizes do not slide" },
	{ "ernie4_5",     OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: ernie-4.5-0.3b" },
	{ "ernie4_5-moe", OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: ernie-4.5-21b-a3b" },
	{ "olmoe",        OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: olmoe-1b-7b" },
	{ "minimax-m2",   OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: minimax-m2" },
	{ "gpt-oss",      OLDWINDOW_ALWAYS,    0, 2,  0, false, false, 0, "truth: gpt-oss-20b" },
	{ "phi3",         OLDWINDOW_NONE,      0, 0,  0, false, false, 0, "truth: phi-4-14b; its sliding window is switched off" },
	{ "llama4",       OLDWINDOW_FIXED,  8192, 4,  0, false, false, 1, "truth: llama-4-scout (chunked attention)" },
	{ "glm4moe",      OLDWINDOW_NONE,      0, 0,  0, true,  false, 0,  "truth: glm-4.5-air" },
};
/* clang-format on */

const struct oldfamily *oldfamily_at(uint32_t i)
{
	return i < sizeof(families) / sizeof(families[0]) ? &families[i] : NULL;
}

const struct oldfamily *oldfamily_find(const char *arch)
{
	const struct oldfamily *f;

	for (uint32_t i = 0; (f = oldfamily_at(i)); i++) {
		if (strcmp(f->arch, arch) == 0)
			return f;
	}
	return NULL;
}

/* A key within [1, max]; `fallback` when absent and not 0. */
static int need(const struct model *m, const char *key, uint64_t max, uint32_t fallback,
		uint32_t *v, struct err *e)
{
	uint64_t found;

	if (!model_u64_at(m, key, 0, &found)) {
		*v = fallback;
		if (fallback)
			return 0;
		return err_set(e, -EBADMSG, "the header lacks %s.%s, which every %s model has",
			       model_arch(m), key, model_arch(m));
	}
	if (found == 0 || found > max)
		return err_set(e, -EBADMSG, "%s.%s is %" PRIu64 "; 1 to %" PRIu64 " makes sense",
			       model_arch(m), key, found, max);
	*v = (uint32_t)found;
	return 0;
}

static bool tensor_ends(const struct tensor *t, const char *end)
{
	size_t n = strlen(end);

	return t->name_len >= n && memcmp(t->name + t->name_len - n, end, n) == 0;
}

static uint32_t optional(const struct model *m, const char *key, uint32_t i)
{
	uint64_t v;

	return model_u64_at(m, key, i, &v) && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static int read_layers(struct oldshape *s, const struct model *m, struct err *e)
{
	uint32_t nextn = optional(m, "nextn_predict_layers", 0);
	int rc = need(m, "block_count", LAYERS_MAX, 0, &s->n_layer, e);

	if (rc)
		return rc;
	if (nextn && !s->family->nextn)
		return err_set(e, -ENOTSUP,
			       "%s with prediction layers (nextn_predict_layers) is not verified",
			       model_arch(m));
	if (nextn >= s->n_layer)
		return err_set(e, -EBADMSG,
			       "%s.nextn_predict_layers is %" PRIu32 " of %" PRIu32 " layers",
			       model_arch(m), nextn, s->n_layer);
	s->n_run = s->n_layer - nextn;
	return 0;
}

static int read_heads(struct oldshape *s, const struct model *m, struct err *e)
{
	int rc = need(m, "attention.head_count", 65536, 0, &s->n_head, e);

	if (!rc)
		rc = need(m, "attention.key_length", 65536, s->n_embd / s->n_head, &s->head_k, e);
	if (!rc)
		rc = need(m, "attention.value_length", 65536, s->n_embd / s->n_head, &s->head_v, e);
	if (rc)
		return rc;
	if (model_u64(m, "attention.key_length_swa", &(uint64_t) { 0 }) ||
	    model_u64(m, "attention.key_length_mla", &(uint64_t) { 0 }))
		return err_set(e, -ENOTSUP, "%s with heads of several sizes is not verified",
			       model_arch(m));
	for (uint32_t i = 0; i < s->n_layer; i++) {
		uint64_t n = 0;

		if (!model_u64_at(m, "attention.head_count_kv", i, &n) &&
		    !model_u64_at(m, "attention.head_count", i, &n))
			return err_set(e, -EBADMSG,
				       "the header has no head count for layer %" PRIu32, i);
		if (n == 0 || n > 65536)
			return err_set(e, n ? -EBADMSG : -ENOTSUP,
				       "layer %" PRIu32 " has %" PRIu64 " key-value heads", i, n);
		s->n_head_kv[i] = (uint32_t)n;
		if (n * s->head_k > WIDTH_MAX || n * s->head_v > WIDTH_MAX)
			return err_set(e, -EBADMSG,
				       "layer %" PRIu32 " has absurdly wide keys or values", i);
	}
	return 0;
}

/* Which layers slide: an array of flags in the header, else the period of the family. */
static int read_pattern(struct oldshape *s, const struct model *m, struct err *e)
{
	const char *key = "attention.sliding_window_pattern";
	uint64_t n = 0, period = s->family->period;
	bool listed = model_has_array(m, key, &n);

	if (listed && n < s->n_run)
		return err_set(e, -EBADMSG, "%s.%s has %" PRIu64 " entries for %" PRIu32 " layers",
			       model_arch(m), key, n, s->n_run);
	if (!listed)
		model_u64(m, key, &period);
	for (uint32_t i = 0; i < s->n_run; i++) {
		uint64_t v = period == 0 || i % period < period - 1;

		if (listed && !model_u64_at(m, key, i, &v))
			return err_set(e, -EBADMSG, "%s.%s holds no flags", model_arch(m), key);
		s->slides[i] = v != 0;
	}
	return 0;
}

static int read_window(struct oldshape *s, const struct model *m, struct err *e)
{
	const struct oldfamily *f = s->family;
	uint64_t v = f->window;
	bool found = model_u64(m, "attention.sliding_window", &v);

	if (f->kind == OLDWINDOW_NONE || (f->only_layers && s->n_run != f->only_layers))
		return 0;
	if (f->kind == OLDWINDOW_IF_KEY && (!found || v == 0))
		return 0;
	if (f->kind == OLDWINDOW_FIXED) {
		if (found && v == 0)
			return 0;
		v = f->window;
	}
	if (v == 0 && !found)
		return err_set(e, -EBADMSG, "the header lacks %s.attention.sliding_window",
			       model_arch(m));
	if (v > INT32_MAX)
		return err_set(e, -EBADMSG, "%s.attention.sliding_window is absurd: %" PRIu64,
			       model_arch(m), v);
	s->window = (uint32_t)v;
	return read_pattern(s, m, e);
}

/*
 * The widest inner row of a token: the dense one, or what its experts take together. From the tensors,
 * as the keys may name a width that no layer has (llama4's feed_forward_length).
 */
static int read_inner(struct oldshape *s, const struct model *m, struct err *e)
{
	uint64_t widest = 0;

	s->n_used = optional(m, "expert_used_count", 0);
	for (uint32_t i = 0; i < model_n_tensors(m); i++) {
		const struct tensor *t = model_tensor(m, i);
		uint64_t width = 0;

		if (t->layer < 0 || t->layer >= (int32_t)s->n_run)
			continue;
		if (tensor_ends(t, ".ffn_down.weight") || tensor_ends(t, ".ffn_down_shexp.weight"))
			width = t->ne[0];
		if (tensor_ends(t, ".ffn_down_exps.weight")) {
			width = t->ne[0] * s->n_used;
			s->n_ff_exp = (uint32_t)t->ne[0];
		}
		if (t->ne[0] > WIDTH_MAX || width > WIDTH_MAX)
			return err_set(e, -EBADMSG, "layer %" PRId32 " has an absurd width",
				       t->layer);
		widest = width > widest ? width : widest;
	}
	s->n_ff = (uint32_t)widest;
	if (widest == 0)
		return err_set(e, -ENOTSUP, "%s without ffn_down tensors is not verified",
			       model_arch(m));
	return 0;
}

static int read_vocabulary(struct oldshape *s, const struct model *m, struct err *e)
{
	const struct tensor *t = model_find_tensor(m, "token_embd.weight");

	if (!t || t->ne[0] != s->n_embd || t->ne[1] == 0 || t->ne[1] > INT32_MAX)
		return err_set(e, -EBADMSG,
			       "the file has no tensor token_embd.weight with rows of %" PRIu32
			       " weights",
			       s->n_embd);
	s->n_vocab = (uint32_t)t->ne[1];
	s->tied = !model_find_tensor(m, "output.weight");
	return 0;
}

int oldshape_read(struct oldshape *s, const struct model *m, struct err *e)
{
	uint64_t shards;

	*s = (struct oldshape) { .family = oldfamily_find(model_arch(m)) };
	if (!s->family)
		return err_set(
			e, -ENOTSUP,
			"berth has no verified memory rules for the architecture '%s' and does not "
			"guess; docs/adding.md says how to add it",
			model_arch(m));
	if (model_u64(m, "split.count", &shards) && shards > model_n_shards(m))
		return err_set(e, -ENOTSUP,
			       "the file is one of %" PRIu64 " shards; open it by its file name",
			       shards);
	int rc = read_layers(s, m, e);

	if (!rc)
		rc = need(m, "embedding_length", WIDTH_MAX, 0, &s->n_embd, e);
	if (!rc)
		rc = need(m, "context_length", INT32_MAX, 0, &s->n_ctx_train, e);
	if (!rc)
		rc = read_heads(s, m, e);
	if (!rc)
		rc = read_window(s, m, e);
	if (!rc)
		rc = read_vocabulary(s, m, e);
	if (!rc)
		rc = read_inner(s, m, e);
	return rc;
}
