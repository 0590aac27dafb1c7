/* SPDX-License-Identifier: MIT */
/* What checkpoints call their tensors (transformers' modules), and what GGUF does. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vram-planner/hf.h"

/* clang-format off */
const struct hf_row hf_rows[] = {
	/* of the whole model */
	{ "embed_tokens",                   "token_embd",      D_EMBD,  D_VOCAB },
	{ "lm_head",                        "output",          D_EMBD,  D_VOCAB },
	{ "norm",                           "output_norm",     D_EMBD,  D_NONE },
	/* of a layer */
	{ "input_layernorm",                "attn_norm",       D_EMBD,  D_NONE },
	{ "post_attention_layernorm",       "ffn_norm",        D_EMBD,  D_NONE }, /* or post_attention_norm */
	{ "pre_feedforward_layernorm",      "ffn_norm",        D_EMBD,  D_NONE },
	{ "post_feedforward_layernorm",     "post_ffw_norm",   D_EMBD,  D_NONE },
	{ "self_attn.q_proj",               "attn_q",          D_EMBD,  D_Q },
	{ "self_attn.k_proj",               "attn_k",          D_EMBD,  D_KV },
	{ "self_attn.v_proj",               "attn_v",          D_EMBD,  D_KV },
	{ "self_attn.o_proj",               "attn_output",     D_O,     D_EMBD },
	{ "self_attn.qkv_proj",             "attn_qkv",        D_EMBD,  D_QKV },
	{ "self_attn.q_norm",               "attn_q_norm",     D_NORM_Q, D_NONE },
	{ "self_attn.k_norm",               "attn_k_norm",     D_NORM_K, D_NONE },
	{ "self_attn.q_a_proj",             "attn_q_a",        D_EMBD,  D_QLORA },
	{ "self_attn.q_a_layernorm",        "attn_q_a_norm",   D_QLORA, D_NONE },
	{ "self_attn.q_b_proj",             "attn_q_b",        D_QLORA, D_Q },
	{ "self_attn.kv_a_proj_with_mqa",   "attn_kv_a_mqa",   D_EMBD,  D_KVA },
	{ "self_attn.kv_a_layernorm",       "attn_kv_a_norm",  D_KVLORA, D_NONE },
	{ "self_attn.kv_b_proj",            "attn_kv_b",       D_KVLORA, D_KVB }, /* in two parts */
	{ "mlp.gate_proj",                  "ffn_gate",        D_EMBD,  D_FF },
	{ "mlp.up_proj",                    "ffn_up",          D_EMBD,  D_FF },
	{ "mlp.down_proj",                  "ffn_down",        D_FF,    D_EMBD },
	{ "mlp.gate_up_proj",               "ffn_up",          D_EMBD,  D_FF2 },
	{ "mlp.gate",                       "ffn_gate_inp",    D_EMBD,  D_EXPERTS },
	{ "block_sparse_moe.gate",          "ffn_gate_inp",    D_EMBD,  D_EXPERTS },
	{ "mlp.gate.e_score_correction",    "exp_probs_b",     D_NONE,  D_EXPERTS },
	{ "block_sparse_moe.e_score_correction", "exp_probs_b", D_NONE, D_EXPERTS },
	{ "mlp.experts.*.gate_proj",        "ffn_gate_exps",   D_EMBD,  D_EXP },
	{ "mlp.experts.*.up_proj",          "ffn_up_exps",     D_EMBD,  D_EXP },
	{ "mlp.experts.*.down_proj",        "ffn_down_exps",   D_EXP,   D_EMBD },
	{ "block_sparse_moe.experts.*.w1",  "ffn_gate_exps",   D_EMBD,  D_EXP },
	{ "block_sparse_moe.experts.*.w3",  "ffn_up_exps",     D_EMBD,  D_EXP },
	{ "block_sparse_moe.experts.*.w2",  "ffn_down_exps",   D_EXP,   D_EMBD },
	{ "mlp.shared_experts.gate_proj",   "ffn_gate_shexp",  D_EMBD,  D_SHEXP },
	{ "mlp.shared_experts.up_proj",     "ffn_up_shexp",    D_EMBD,  D_SHEXP },
	{ "mlp.shared_experts.down_proj",   "ffn_down_shexp",  D_SHEXP, D_EMBD },
	{ "eh_proj",                        "nextn.eh_proj",   D_EMBD2, D_EMBD },
	{ "enorm",                          "nextn.enorm",     D_EMBD,  D_NONE },
	{ "hnorm",                          "nextn.hnorm",     D_EMBD,  D_NONE },
	{ "shared_head.norm",               "nextn.shared_head_norm", D_EMBD, D_NONE },
	{ "shared_head.head",               "nextn.shared_head_head", D_EMBD, D_VOCAB },
};
/* clang-format on */

const uint32_t hf_n_rows = sizeof(hf_rows) / sizeof(hf_rows[0]);

#define ROWS_OF_MODEL 3

/* Parts that GGUF keeps elsewhere or computes anew. */
static const char *const ignored[] = { "vision_tower.",    "multi_modal_projector.",
				       "visual.",          "vision_model.",
				       "audio_tower.",     "rotary_emb.inv_freq",
				       "weight_scale_inv", "_scale_inv",
				       "k_scale",          "v_scale" };

/* In front of layers and the rest, by what wraps the text model. */
static const char *const fronts[] = { "model.language_model.", "language_model.model.",
				      "language_model.", "model.", "" };

static const char *skip_front(const char *name)
{
	for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
		size_t n = strlen(fronts[i]);

		if (strncmp(name, fronts[i], n) == 0)
			return name + n;
	}
	return name;
}

/* "layers.17." -> 17; the rest in *after. -1: no layer's. */
static int32_t layer_of(const char *name, const char **after)
{
	char *end;

	*after = name;
	if (strncmp(name, "layers.", 7) != 0 || !isdigit((unsigned char)name[7]))
		return -1;
	unsigned long v = strtoul(name + 7, &end, 10);

	if (*end != '.' || v >= HF_LAYERS_MAX)
		return -1;
	*after = end + 1;
	return (int32_t)v;
}

/* Whether `name` is `from` with one of the endings; a star stands for the expert's number. */
static bool is_row(const char *from, const char *name, struct hf_place *p)
{
	const char *star = strchr(from, '*');

	p->expert = -1;
	if (star) {
		size_t n = (size_t)(star - from);
		char *end;

		if (strncmp(name, from, n) != 0 || !isdigit((unsigned char)name[n]))
			return false;
		p->expert = (int64_t)strtoul(name + n, &end, 10);
		if (p->expert > 100000)
			return false;
		name = end;
		from = star + 1;
	}
	size_t n = strlen(from);

	if (strncmp(name, from, n) != 0)
		return false;
	p->bias = strcmp(name + n, ".bias") == 0 || strcmp(name + n, "_bias") == 0;
	return p->bias || strcmp(name + n, ".weight") == 0;
}

enum hf_mapped hf_map(struct hf_place *p, const struct hf_config *c, const char *name)
{
	const char *after;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		if (strstr(name, ignored[i]))
			return HF_IGNORED;
	}
	*p = (struct hf_place) { .layer = layer_of(skip_front(name), &after) };
	if (p->layer >= 0 && (uint32_t)p->layer >= c->n_layer)
		return HF_IGNORED; /* prediction layers that the family does not load */
	/* A prediction layer's own copy of the embedding is the model's. */
	if (p->layer >= 0 && strcmp(after, "embed_tokens.weight") == 0)
		return HF_IGNORED;
	for (uint32_t i = p->layer < 0 ? 0 : ROWS_OF_MODEL;
	     i < (p->layer < 0 ? ROWS_OF_MODEL : hf_n_rows); i++) {
		p->row = i;
		if (is_row(hf_rows[i].from, after, p))
			return HF_PLACED;
	}
	return HF_UNKNOWN;
}

uint64_t hf_dim(const struct hf_config *c, enum hf_dim d)
{
	uint64_t q = (uint64_t)c->n_head * c->head, kv = (uint64_t)c->n_head_kv * c->head;
	bool mla = c->family->mla;

	switch (d) {
	case D_NONE:
	case D_ONE:
		return d == D_ONE;
	case D_EMBD:
		return c->n_embd;
	case D_EMBD2:
		return 2 * (uint64_t)c->n_embd;
	case D_VOCAB:
		return c->n_vocab;
	case D_Q:
		return mla ? (uint64_t)c->n_head * (c->head_nope + c->head_rope) : q;
	case D_KV:
		return kv;
	case D_QKV:
		return q + 2 * kv;
	case D_O:
		return mla ? (uint64_t)c->n_head * c->head_v : q;
	case D_NORM_Q:
		return c->family->whole_norm ? q : c->head;
	case D_NORM_K:
		return c->family->whole_norm ? kv : c->head;
	case D_FF:
		return c->n_ff;
	case D_FF2:
		return 2 * (uint64_t)c->n_ff;
	case D_EXP:
		return c->n_ff_exp ? c->n_ff_exp : c->n_ff;
	case D_SHEXP:
		return c->n_ff_shexp ? c->n_ff_shexp : (uint64_t)c->n_shared * c->n_ff_exp;
	case D_EXPERTS:
		return c->n_expert;
	case D_QLORA:
		return c->q_lora;
	case D_KVLORA:
		return c->kv_lora;
	case D_KVA:
		return (uint64_t)c->kv_lora + c->head_rope;
	case D_KVB:
		return (uint64_t)c->n_head * (c->head_nope + c->head_v);
	}
	return 0;
}
