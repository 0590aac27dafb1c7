/* SPDX-License-Identifier: MIT */
/* config.json of transformers: its keys, which differ a little from family to family. */
#include <stddef.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "vram-planner/hf.h"

/* clang-format off */
/* model_type, architecture, post_norm, whole_norm, slides, mla */
static const struct hf_family families[] = {
	{ "llama",       "llama",    false, false, false, false },
	{ "mistral",     "llama",    false, false, false, false },
	{ "mixtral",     "llama",    false, false, false, false },
	{ "qwen2",       "qwen2",    false, false, false, false },
	{ "qwen3",       "qwen3",    false, false, false, false },
	{ "qwen3_moe",   "qwen3moe", false, false, false, false },
	{ "gemma2",      "gemma2",   true,  false, true,  false },
	{ "gemma3_text", "gemma3",   true,  false, true,  false },
	{ "gemma3",      "gemma3",   true,  false, true,  false },
	{ "phi3",        "phi3",     false, false, false, false },
	{ "olmo2",       "olmo2",    true,  true,  false, false },
	{ "olmoe",       "olmoe",    false, true,  false, false },
	{ "smollm3",     "smollm3",  false, false, false, false },
	{ "cohere2",     "cohere2",  false, false, true,  false },
	{ "exaone4",     "exaone4",  true,  false, true,  false },
	{ "ernie4_5",    "ernie4_5", false, false, false, false },
	{ "seed_oss",    "seed_oss", true,  false, false, false },
	{ "glm4_moe",    "glm4moe",  true,  false, false, false },
	{ "minimax_m2",  "minimax-m2", false, true, false, false },
	{ "deepseek_v2", "deepseek2", false, false, false, true },
	{ "deepseek_v3", "deepseek2", false, false, false, true },
};
/* clang-format on */

#define NUMBER_MAX 100000000 /* no width, count or context is larger */

/* The names a number goes by; the first that is there counts. */
struct number {
	size_t offset;
	const char *names[4];
	bool needed;
};

#define AT(member) offsetof(struct hf_config, member)

static const struct number numbers[] = {
	{ AT(n_layer), { "num_hidden_layers", "n_layer", "n_layers" }, true },
	{ AT(n_embd), { "hidden_size", "n_embd", "d_model" }, true },
	{ AT(n_vocab), { "vocab_size" }, true },
	{ AT(n_ctx), { "max_position_embeddings", "n_positions", "max_seq_len" }, true },
	{ AT(n_ff), { "intermediate_size", "ffn_hidden_size" }, true },
	{ AT(n_head), { "num_attention_heads", "n_head" }, true },
	{ AT(n_head_kv), { "num_key_value_heads" }, false },
	{ AT(head), { "head_dim" }, false },
	{ AT(window), { "sliding_window" }, false },
	{ AT(n_nextn), { "num_nextn_predict_layers" }, false },
	{ AT(n_expert), { "num_local_experts", "num_experts", "n_routed_experts" }, false },
	{ AT(n_used), { "num_experts_per_tok", "num_experts_per_token" }, false },
	{ AT(n_ff_exp), { "moe_intermediate_size" }, false },
	{ AT(n_shared), { "n_shared_experts" }, false },
	{ AT(n_ff_shexp), { "shared_expert_intermediate_size" }, false },
	{ AT(n_dense_lead), { "first_k_dense_replace" }, false },
	{ AT(q_lora), { "q_lora_rank" }, false },
	{ AT(kv_lora), { "kv_lora_rank" }, false },
	{ AT(head_rope), { "qk_rope_head_dim" }, false },
	{ AT(head_nope), { "qk_nope_head_dim" }, false },
	{ AT(head_v), { "v_head_dim" }, false },
};

static int read_number(struct hf_config *c, const struct number *n, const json_t *o, struct err *e)
{
	uint32_t *to = (uint32_t *)(void *)((char *)c + n->offset);

	for (size_t i = 0; i < 4 && n->names[i]; i++) {
		const json_t *v = json_object_get(o, n->names[i]);

		if (!v || json_is_null(v))
			continue;
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > NUMBER_MAX)
			return err_set(e, -EBADMSG, "%s is no number that a model could have",
				       n->names[i]);
		*to = (uint32_t)json_integer_value(v);
		return 0;
	}
	return n->needed ? err_set(e, -EBADMSG, "it has no %s", n->names[0]) : 0;
}

static const struct hf_family *family_of(const char *model_type)
{
	for (size_t i = 0; model_type && i < sizeof(families) / sizeof(families[0]); i++) {
		if (strcmp(families[i].model_type, model_type) == 0)
			return &families[i];
	}
	return NULL;
}

/* Weights in blocks of another format have no shapes of their own; FP8 has. */
static int check_quantization(const json_t *o, struct err *e)
{
	const json_t *q = json_object_get(o, "quantization_config");
	const char *how = json_string_value(json_object_get(q, "quant_method"));
	char name[40];

	if (!how || strcmp(how, "fp8") == 0)
		return 0;
	text_copy(name, sizeof(name), how);
	return err_set(
		e, -ENODATA,
		"the checkpoint is quantized by %s already; take the original one, or a GGUF",
		text_clean(name));
}

static void settle(struct hf_config *c, const json_t *o)
{
	const json_t *rope = json_object_get(o, "rope_scaling");
	const char *kind = json_string_value(json_object_get(rope, "rope_type"));
	const char *score = json_string_value(json_object_get(o, "scoring_func"));

	if (!c->n_head_kv)
		c->n_head_kv = c->n_head;
	if (!c->head && c->n_head)
		c->head = c->n_embd / c->n_head;
	if (!c->family->slides || json_is_false(json_object_get(o, "use_sliding_window")))
		c->window = 0;
	if (!c->n_expert)
		c->n_used = c->n_ff_exp = c->n_shared = c->n_dense_lead = 0;
	c->rope_base = json_number_value(json_object_get(o, "rope_theta"));
	c->norm_eps = json_number_value(json_object_get(o, "rms_norm_eps"));
	c->rotary = json_number_value(json_object_get(o, "partial_rotary_factor"));
	c->expert_scale = json_number_value(json_object_get(o, "routed_scaling_factor"));
	c->llama3_rope = kind && strcmp(kind, "llama3") == 0;
	c->norm_topk = json_is_true(json_object_get(o, "norm_topk_prob"));
	c->sigmoid = (score && strcmp(score, "sigmoid") == 0) ||
		     strcmp(c->family->arch, "glm4moe") == 0 ||
		     strcmp(c->family->arch, "minimax-m2") == 0;
	/* Only GLM's converter keeps the prediction layers. */
	if (strcmp(c->family->arch, "glm4moe") != 0)
		c->n_nextn = 0;
	c->n_layer += c->n_nextn;
}

static int check(const struct hf_config *c, struct err *e)
{
	if (c->n_layer == 0 || c->n_layer > HF_LAYERS_MAX || !c->n_embd || !c->n_head || !c->head ||
	    !c->n_vocab || c->n_head_kv > c->n_head)
		return err_set(e, -EBADMSG, "its layers, heads or widths are absurd");
	if (c->n_expert && (!c->n_used || c->n_used > c->n_expert))
		return err_set(e, -EBADMSG, "it uses %u of %u experts", c->n_used, c->n_expert);
	if (c->family->mla && (!c->kv_lora || !c->head_rope || !c->head_nope || !c->head_v))
		return err_set(e, -EBADMSG, "a width of its compressed attention is missing");
	return 0;
}

static int parse(struct hf_config *c, const json_t *o, struct err *e)
{
	const char *type = json_string_value(json_object_get(o, "model_type"));
	const json_t *text = json_object_get(o, "text_config");
	char name[40];
	int rc = check_quantization(o, e);

	*c = (struct hf_config) { .family = family_of(type) };
	text_copy(name, sizeof(name), type ? type : "");
	if (rc)
		return rc;
	if (!type)
		return err_set(e, -EBADMSG, "it has no model_type");
	if (!c->family)
		return err_set(e, -ENODATA,
			       "berth knows no mapping for the model type '%s'; convert it to GGUF",
			       text_clean(name));
	if (json_is_object(text)) /* of a model that sees, too: what it is itself is in here */
		o = text;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && !rc; i++)
		rc = read_number(c, &numbers[i], o, e);
	if (rc)
		return rc;
	settle(c, o);
	return check(c, e);
}

int hf_config_parse(struct hf_config *c, const char *json, uint64_t n, struct err *e)
{
	json_t *o = json_parse(json, n, "config.json", e);

	if (!o)
		return -EBADMSG;
	int rc = parse(c, o, e);

	json_decref(o);
	return rc == -EBADMSG ? err_at(e, rc, "config.json") : rc;
}
