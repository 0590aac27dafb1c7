/* SPDX-License-Identifier: MIT */
/* The numbers of a header that hold for the whole model. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/shape_priv.h"

#define WIDTH_MAX (1u << 20) /* of any row; keeps sizes within 64 bits */
#define COUNT_MAX (1u << 16)
#define ANY_MAX   INT32_MAX

/* Keys of the metadata ("<arch>.<key>"), and the largest value that makes sense. Absent: 0. */
#define NUMBER(name, field, most)                                                                  \
	{                                                                                          \
		name, offsetof(struct shape, field), most                                          \
	}
static const struct {
	const char *key;
	size_t at;
	uint32_t most;
} numbers[] = {
	NUMBER("context_length", n_ctx_train, ANY_MAX),
	NUMBER("embedding_length", n_embd, WIDTH_MAX),
	NUMBER("embedding_length_out", n_embd_out, WIDTH_MAX),
	NUMBER("attention.key_length", head_k, COUNT_MAX),
	NUMBER("attention.value_length", head_v, COUNT_MAX),
	NUMBER("attention.key_length_swa", head_k_swa, COUNT_MAX),
	NUMBER("attention.value_length_swa", head_v_swa, COUNT_MAX),
	NUMBER("attention.key_length_mla", head_k_mla, COUNT_MAX),
	NUMBER("attention.value_length_mla", head_v_mla, COUNT_MAX),
	NUMBER("rope.dimension_count", n_rot, COUNT_MAX),
	NUMBER("rope.dimension_count_swa", n_rot_swa, COUNT_MAX),
	NUMBER("rope.scaling.original_context_length", n_ctx_orig, ANY_MAX),
	NUMBER("attention.kv_lora_rank", n_lora_kv, WIDTH_MAX),
	NUMBER("attention.indexer.head_count", indexer_heads, COUNT_MAX),
	NUMBER("attention.indexer.key_length", indexer_head, COUNT_MAX),
	NUMBER("attention.indexer.top_k", indexer_top_k, ANY_MAX),
	NUMBER("attention.output_group_count", o_groups, COUNT_MAX),
	NUMBER("attention.output_lora_rank", o_lora, WIDTH_MAX),
	NUMBER("hyper_connection.count", hc_count, 64),
	NUMBER("hyper_connection.sinkhorn_iterations", hc_iterations, COUNT_MAX),
	NUMBER("hash_layer_count", hash_layers, LAYERS_MAX),
	NUMBER("expert_count", n_expert, 1024), /* LLAMA_MAX_EXPERTS */
	NUMBER("expert_shared_feed_forward_length", n_ff_shexp, WIDTH_MAX),
	NUMBER("expert_shared_count", n_shared, COUNT_MAX),
	NUMBER("expert_group_count", n_groups, COUNT_MAX),
	NUMBER("expert_group_used_count", n_groups_used, COUNT_MAX),
	NUMBER("leading_dense_block_count", n_dense_lead, ANY_MAX),
	NUMBER("ssm.conv_kernel", ssm_conv, COUNT_MAX),
	NUMBER("ssm.inner_size", ssm_inner, WIDTH_MAX),
	NUMBER("ssm.state_size", ssm_state, COUNT_MAX),
	NUMBER("ssm.time_step_rank", ssm_dt_rank, WIDTH_MAX),
	NUMBER("ssm.group_count", ssm_groups, COUNT_MAX),
	NUMBER("kda.head_dim", kda_head, COUNT_MAX),
	NUMBER("shortconv.l_cache", shortconv_cache, COUNT_MAX),
	NUMBER("wkv.head_size", wkv_head, COUNT_MAX),
	NUMBER("token_shift_count", token_shift, COUNT_MAX),
	NUMBER("embedding_length_per_layer_input", n_embd_per_layer, WIDTH_MAX),
};
#undef NUMBER

#define SCALE(name, field)                                                                         \
	{                                                                                          \
		name, offsetof(struct shape, field)                                                \
	}
static const struct {
	const char *key;
	size_t at;
} scales[] = {
	SCALE("attn_logit_softcapping", attn_softcap),
	SCALE("final_logit_softcapping", final_softcap),
	SCALE("logit_scale", logit_scale),
	SCALE("residual_scale", residual_scale),
	SCALE("embedding_scale", embedding_scale),
	SCALE("attention.temperature_scale", attn_temp_scale),
	SCALE("expert_weights_scale", expert_scale),
};
#undef SCALE

/*
 * Numbers that the engine takes when the header is silent, or whatever it says (forced), from
 * load_arch_hparams and the defaults of llama_hparams.
 */
#define GIVEN(arch, field, v)                                                                      \
	{                                                                                          \
		arch, offsetof(struct shape, field), v, false                                      \
	}
#define FORCED(arch, field, v)                                                                     \
	{                                                                                          \
		arch, offsetof(struct shape, field), v, true                                       \
	}
static const struct {
	const char *arch;
	size_t at;
	uint32_t v;
	bool forced;
} constants[] = {
	GIVEN("rwkv7", token_shift, 2),       FORCED("gemma3n", n_kv_from_start, 20),
	FORCED("gemma3n", n_altup, 4),        FORCED("gemma3n", n_embd_per_layer, 256),
	FORCED("smollm3", n_no_rope_step, 4), FORCED("llama4", n_no_rope_step, 4),
};
#undef GIVEN
#undef FORCED

/* The same of scales. */
#define GIVEN(arch, field, v)                                                                      \
	{                                                                                          \
		arch, offsetof(struct shape, field), v                                             \
	}
static const struct {
	const char *arch;
	size_t at;
	float v;
} given_scales[] = {
	GIVEN("gemma2", attn_softcap, 50.0f),         GIVEN("gemma2", final_softcap, 30.0f),
	GIVEN("gemma3n", final_softcap, 30.0f),       GIVEN("gemma4", final_softcap, 30.0f),
	GIVEN("grok", attn_softcap, 30.0f),           GIVEN("grok", logit_scale, 0.5773502692f),
	GIVEN("grok", embedding_scale, 78.38367177f), GIVEN("llama4", attn_temp_scale, 0.1f),
};
#undef GIVEN

static uint32_t *number_at(struct shape *s, size_t at)
{
	return (uint32_t *)(void *)((char *)s + at);
}

static float *scale_at(struct shape *s, size_t at)
{
	return (float *)(void *)((char *)s + at);
}

static int read_numbers(struct shape *s, struct err *e)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t v;

		if (!model_u64(s->model, numbers[i].key, &v))
			continue;
		if (v > numbers[i].most)
			return err_set(e, -EBADMSG,
				       "%s.%s is %" PRIu64 "; at most %" PRIu32 " makes sense",
				       s->arch, numbers[i].key, v, numbers[i].most);
		*number_at(s, numbers[i].at) = (uint32_t)v;
	}
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		uint32_t *v = number_at(s, constants[i].at);

		if (strcmp(constants[i].arch, s->arch) == 0 && (*v == 0 || constants[i].forced))
			*v = constants[i].v;
	}
	return 0;
}

static void read_scales(struct shape *s)
{
	for (size_t i = 0; i < sizeof(given_scales) / sizeof(given_scales[0]); i++) {
		if (strcmp(given_scales[i].arch, s->arch) == 0)
			*scale_at(s, given_scales[i].at) = given_scales[i].v;
	}
	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		double v;

		if (model_f64_at(s->model, scales[i].key, 0, &v) && isfinite((float)v))
			*scale_at(s, scales[i].at) = (float)v;
	}
}

static bool flag(const struct shape *s, const char *key, bool fallback)
{
	uint64_t v;

	return model_u64(s->model, key, &v) ? v != 0 : fallback;
}

/* The layers of the trunk, and the prediction layers after them. */
static int read_depth(struct shape *s, struct err *e)
{
	uint64_t n = 0, nextn = 0;
	char probe[64];

	if (!model_u64(s->model, "block_count", &n))
		return err_set(e, -EBADMSG, "the header lacks %s.block_count", s->arch);
	if (n == 0 || n > LAYERS_MAX)
		return err_set(e, -EBADMSG, "%s.block_count is %" PRIu64 "; 1 to %d makes sense",
			       s->arch, n, LAYERS_MAX);
	model_u64(s->model, "nextn_predict_layers", &nextn);
	if (nextn >= n)
		return err_set(e, -EBADMSG,
			       "%s.nextn_predict_layers is %" PRIu64 " of %" PRIu64 " layers",
			       s->arch, nextn, n);
	snprintf(probe, sizeof(probe), "blk.%" PRIu64 ".nextn.eh_proj.weight", n - nextn);
	if ((s->family->quirks & QUIRK_NEXTN_BY_TENSOR) && !model_find_tensor(s->model, probe))
		nextn = 0;
	s->n_layer = (uint32_t)n;
	s->n_nextn = (uint32_t)nextn;
	s->n_run = s->n_layer - s->n_nextn;
	return 0;
}

/* Head sizes have defaults that hang on each other (llama_model_base::load_hparams). */
static void read_heads(struct shape *s)
{
	uint64_t n = 0;

	model_u64_at(s->model, "attention.head_count", 0, &n);
	s->n_head = n <= COUNT_MAX ? (uint32_t)n : 0;
	n = s->n_head;
	model_u64_at(s->model, "attention.head_count_kv", 0, &n);
	s->n_head_kv = n <= COUNT_MAX ? (uint32_t)n : 0;
	if (s->n_head == 0) {
		s->head_k = s->head_v = s->n_rot = 0;
	} else {
		s->head_k = s->head_k ? s->head_k : s->n_embd / s->n_head;
		s->head_v = s->head_v ? s->head_v : s->n_embd / s->n_head;
		s->n_rot = s->n_rot ? s->n_rot : s->head_k;
	}
	s->head_k_swa = s->head_k_swa ? s->head_k_swa : s->head_k;
	s->head_v_swa = s->head_v_swa ? s->head_v_swa : s->head_v;
	s->n_rot_swa = s->n_rot_swa ? s->n_rot_swa : s->n_rot;
}

static uint32_t read_positions(const struct shape *s)
{
	uint64_t a = 0, b = 0;

	model_u64_at(s->model, "rope.dimension_sections", 0, &a);
	model_u64_at(s->model, "rope.dimension_sections", 1, &b);
	if (s->family->quirks & QUIRK_SECTIONS)
		return 4;
	return (s->family->quirks & QUIRK_SECTIONS_IF_KEY) && a && b ? 4 : 1;
}

/* deepseek2 without the key: GLM 4.7's small model is told by its size (load_arch_hparams). */
static enum gating read_gating(const struct shape *s)
{
	uint64_t v = GATING_NONE;

	model_u64(s->model, "expert_gating_func", &v);
	if (v > GATING_NONE && v <= GATING_SQRT_SOFTPLUS)
		return (enum gating)v;
	if (strcmp(s->arch, "deepseek2") == 0 && (s->n_run == 47 || s->n_run == 48) &&
	    s->n_vocab == 154880)
		return GATING_SIGMOID;
	return s->family->gating;
}

static int read_vocabulary(struct shape *s, struct err *e)
{
	const struct tensor *t = model_find_tensor(s->model, "token_embd.weight");

	if (!t || t->ne[0] != s->n_embd || t->ne[1] == 0 || t->ne[1] > INT32_MAX)
		return err_set(e, -EBADMSG,
			       "token_embd.weight is missing or does not have rows of %" PRIu32,
			       s->n_embd);
	s->n_vocab = (uint32_t)t->ne[1];
	s->tied = !(s->family->quirks & QUIRK_NO_LOGITS) &&
		  !model_find_tensor(s->model, "output.weight");
	return 0;
}

/* What follows from other numbers. */
static void derive(struct shape *s)
{
	unsigned quirks = s->family->quirks;
	uint64_t v = 0;

	s->norm = s->family->norm;
	s->memory = s->family->memory;
	s->n_ctx_orig = s->n_ctx_orig ? s->n_ctx_orig : s->n_ctx_train;
	if (!s->n_embd_out)
		s->n_embd_out = s->memory == MEMORY_DSV4 ? s->hc_count * s->n_embd : s->n_embd;
	s->causal = flag(s, "attention.causal", true) && !(quirks & QUIRK_ENCODER);
	model_u64(s->model, "pooling_type", &v);
	s->pooling = v <= POOLING_RANK ? (enum pooling)v : POOLING_NONE;
	s->n_pos = read_positions(s);
	if (s->unverified && s->wkv_head && !s->token_shift)
		s->token_shift = 2;
	if (!(quirks & QUIRK_SOFTCAP))
		s->attn_softcap = 0;
	s->no_flash_attn = quirks & QUIRK_NO_FLASH;
	s->keeps_rollback = quirks & QUIRK_ROLLBACK;
	s->expert_norm = flag(s, "expert_weights_norm", false);
	s->ssm_norm_bcdt = flag(s, "ssm.dt_b_c_rms", false);
	s->chunked = s->family->window == WINDOW_CHUNKS;
	/* llama4 with 128 experts alone does not norm its queries and keys. */
	s->qk_norm_whole = s->chunked && s->n_expert != 128;
	if (quirks & QUIRK_SHARED_CACHE && !s->n_kv_from_start) {
		model_u64(s->model, "attention.shared_kv_layers", &v);
		s->n_kv_from_start = v < s->n_layer ? s->n_layer - (uint32_t)v : 0;
	}
	if (!(quirks & QUIRK_SHARED_CACHE))
		s->n_kv_from_start = s->n_layer;
}

int shape_keys(struct shape *s, struct err *e)
{
	int rc = read_depth(s, e);

	if (!rc)
		rc = read_numbers(s, e);
	if (rc)
		return rc;
	if (s->n_embd == 0 || s->n_ctx_train == 0)
		return err_set(e, -EBADMSG, "the header lacks %s.%s, which every model has",
			       s->arch, s->n_embd ? "context_length" : "embedding_length");
	read_scales(s);
	read_heads(s);
	rc = read_vocabulary(s, e);
	if (rc)
		return rc;
	derive(s);
	s->gating = read_gating(s);
	return 0;
}
