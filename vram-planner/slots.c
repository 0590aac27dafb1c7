/* SPDX-License-Identifier: MIT */
/*
 * The names of tensors (GGUF's own), and how the engine tries them: llama.cpp v0.5.0, llama-arch.cpp,
 * LLM_TENSOR_NAMES and LLM_TENSOR_INFOS.
 */
#include "vram-planner/slots.h"

#include <string.h>

/* clang-format off */
/* Sorted by name, as the enum is. */
static const struct {
	const char *name;
	enum probe probe;
} slots[SLOTS] = {
	[SLOT_ALTUP_CORRECT_COEF] = { "altup_correct_coef", PROBE_MUL_MAT },
	[SLOT_ALTUP_CORRECT_SCALE] = { "altup_correct_scale", PROBE_MUL },
	[SLOT_ALTUP_PREDICT_COEF] = { "altup_predict_coef", PROBE_MUL_MAT },
	[SLOT_ALTUP_ROUTER] = { "altup_router", PROBE_MUL_MAT },
	[SLOT_ALTUP_ROUTER_NORM] = { "altup_router_norm", PROBE_MUL },
	[SLOT_ATTN_COMPRESSOR_APE] = { "attn_compressor_ape", PROBE_GET_ROWS },
	[SLOT_ATTN_COMPRESSOR_GATE] = { "attn_compressor_gate", PROBE_MUL_MAT },
	[SLOT_ATTN_COMPRESSOR_KV] = { "attn_compressor_kv", PROBE_MUL_MAT },
	[SLOT_ATTN_COMPRESSOR_NORM] = { "attn_compressor_norm", PROBE_MUL },
	[SLOT_ATTN_GATE] = { "attn_gate", PROBE_MUL_MAT },
	[SLOT_ATTN_K] = { "attn_k", PROBE_MUL_MAT },
	[SLOT_ATTN_K_B] = { "attn_k_b", PROBE_MUL_MAT },
	[SLOT_ATTN_K_NORM] = { "attn_k_norm", PROBE_MUL },
	[SLOT_ATTN_KV] = { "attn_kv", PROBE_MUL_MAT },
	[SLOT_ATTN_KV_A_MQA] = { "attn_kv_a_mqa", PROBE_MUL_MAT },
	[SLOT_ATTN_KV_A_NORM] = { "attn_kv_a_norm", PROBE_MUL },
	[SLOT_ATTN_KV_B] = { "attn_kv_b", PROBE_MUL_MAT },
	[SLOT_ATTN_NORM] = { "attn_norm", PROBE_MUL },
	[SLOT_ATTN_NORM_2] = { "attn_norm_2", PROBE_MUL },
	[SLOT_ATTN_OUTPUT] = { "attn_output", PROBE_MUL_MAT },
	[SLOT_ATTN_OUTPUT_A] = { "attn_output_a", PROBE_MUL_MAT },
	[SLOT_ATTN_OUTPUT_B] = { "attn_output_b", PROBE_MUL_MAT },
	[SLOT_ATTN_OUTPUT_NORM] = { "attn_output_norm", PROBE_MUL },
	[SLOT_ATTN_Q] = { "attn_q", PROBE_MUL_MAT },
	[SLOT_ATTN_Q_A] = { "attn_q_a", PROBE_MUL_MAT },
	[SLOT_ATTN_Q_A_NORM] = { "attn_q_a_norm", PROBE_MUL },
	[SLOT_ATTN_Q_B] = { "attn_q_b", PROBE_MUL_MAT },
	[SLOT_ATTN_Q_NORM] = { "attn_q_norm", PROBE_MUL },
	[SLOT_ATTN_QKV] = { "attn_qkv", PROBE_MUL_MAT },
	[SLOT_ATTN_SINKS] = { "attn_sinks", PROBE_SCALE },
	[SLOT_ATTN_V] = { "attn_v", PROBE_MUL_MAT },
	[SLOT_ATTN_V_B] = { "attn_v_b", PROBE_MUL_MAT },
	[SLOT_CHANNEL_MIX_KEY] = { "channel_mix_key", PROBE_MUL_MAT },
	[SLOT_CHANNEL_MIX_LERP_K] = { "channel_mix_lerp_k", PROBE_MUL },
	[SLOT_CHANNEL_MIX_VALUE] = { "channel_mix_value", PROBE_MUL_MAT },
	[SLOT_EXP_PROBS_B] = { "exp_probs_b", PROBE_ADD },
	[SLOT_EXP_PROBS_B_VL] = { "exp_probs_b_vl", PROBE_ADD },
	[SLOT_FFN_DOWN] = { "ffn_down", PROBE_MUL_MAT },
	[SLOT_FFN_DOWN_EXPS] = { "ffn_down_exps", PROBE_MUL_MAT_ID },
	[SLOT_FFN_DOWN_SHEXP] = { "ffn_down_shexp", PROBE_MUL_MAT },
	[SLOT_FFN_GATE] = { "ffn_gate", PROBE_MUL_MAT },
	[SLOT_FFN_GATE_EXPS] = { "ffn_gate_exps", PROBE_MUL_MAT_ID },
	[SLOT_FFN_GATE_INP] = { "ffn_gate_inp", PROBE_MUL_MAT },
	[SLOT_FFN_GATE_INP_SHEXP] = { "ffn_gate_inp_shexp", PROBE_MUL_MAT },
	[SLOT_FFN_GATE_SHEXP] = { "ffn_gate_shexp", PROBE_MUL_MAT },
	[SLOT_FFN_GATE_TID2EID] = { "ffn_gate_tid2eid", PROBE_GET_ROWS },
	[SLOT_FFN_GATE_UP_EXPS] = { "ffn_gate_up_exps", PROBE_MUL_MAT_ID },
	[SLOT_FFN_LATENT_DOWN] = { "ffn_latent_down", PROBE_MUL_MAT },
	[SLOT_FFN_LATENT_UP] = { "ffn_latent_up", PROBE_MUL_MAT },
	[SLOT_FFN_NORM] = { "ffn_norm", PROBE_MUL },
	[SLOT_FFN_UP] = { "ffn_up", PROBE_MUL_MAT },
	[SLOT_FFN_UP_EXPS] = { "ffn_up_exps", PROBE_MUL_MAT_ID },
	[SLOT_FFN_UP_SHEXP] = { "ffn_up_shexp", PROBE_MUL_MAT },
	[SLOT_HC_ATTN_BASE] = { "hc_attn_base", PROBE_ADD },
	[SLOT_HC_ATTN_FN] = { "hc_attn_fn", PROBE_MUL_MAT },
	[SLOT_HC_ATTN_SCALE] = { "hc_attn_scale", PROBE_MUL },
	[SLOT_HC_FFN_BASE] = { "hc_ffn_base", PROBE_ADD },
	[SLOT_HC_FFN_FN] = { "hc_ffn_fn", PROBE_MUL_MAT },
	[SLOT_HC_FFN_SCALE] = { "hc_ffn_scale", PROBE_MUL },
	[SLOT_INDEXER_ATTN_K] = { "indexer.attn_k", PROBE_MUL_MAT },
	[SLOT_INDEXER_ATTN_Q_B] = { "indexer.attn_q_b", PROBE_MUL_MAT },
	[SLOT_INDEXER_K_NORM] = { "indexer.k_norm", PROBE_MUL },
	[SLOT_INDEXER_PROJ] = { "indexer.proj", PROBE_MUL_MAT },
	[SLOT_INDEXER_COMPRESSOR_APE] = { "indexer_compressor_ape", PROBE_GET_ROWS },
	[SLOT_INDEXER_COMPRESSOR_GATE] = { "indexer_compressor_gate", PROBE_MUL_MAT },
	[SLOT_INDEXER_COMPRESSOR_KV] = { "indexer_compressor_kv", PROBE_MUL_MAT },
	[SLOT_INDEXER_COMPRESSOR_NORM] = { "indexer_compressor_norm", PROBE_MUL },
	[SLOT_INP_GATE] = { "inp_gate", PROBE_MUL_MAT },
	[SLOT_LAUREL_L] = { "laurel_l", PROBE_MUL_MAT },
	[SLOT_LAUREL_POST_NORM] = { "laurel_post_norm", PROBE_MUL },
	[SLOT_LAUREL_R] = { "laurel_r", PROBE_MUL_MAT },
	[SLOT_LAYER_OUTPUT_NORM] = { "layer_output_norm", PROBE_MUL },
	[SLOT_LAYER_OUTPUT_SCALE] = { "layer_output_scale", PROBE_MUL },
	[SLOT_NEXTN_EH_PROJ] = { "nextn.eh_proj", PROBE_MUL_MAT },
	[SLOT_NEXTN_EMBED_TOKENS] = { "nextn.embed_tokens", PROBE_GET_ROWS },
	[SLOT_NEXTN_ENORM] = { "nextn.enorm", PROBE_MUL },
	[SLOT_NEXTN_HNORM] = { "nextn.hnorm", PROBE_MUL },
	[SLOT_NEXTN_SHARED_HEAD_HEAD] = { "nextn.shared_head_head", PROBE_MUL_MAT },
	[SLOT_NEXTN_SHARED_HEAD_NORM] = { "nextn.shared_head_norm", PROBE_MUL },
	[SLOT_POST_ATTENTION_NORM] = { "post_attention_norm", PROBE_MUL },
	[SLOT_POST_FFW_NORM] = { "post_ffw_norm", PROBE_MUL },
	[SLOT_POST_FFW_NORM_1] = { "post_ffw_norm_1", PROBE_MUL },
	[SLOT_POST_FFW_NORM_2] = { "post_ffw_norm_2", PROBE_MUL },
	[SLOT_POST_NORM] = { "post_norm", PROBE_MUL },
	[SLOT_PRE_FFW_NORM_2] = { "pre_ffw_norm_2", PROBE_MUL },
	[SLOT_PROJ] = { "proj", PROBE_MUL_MAT },
	[SLOT_SHORTCONV_CONV] = { "shortconv.conv", PROBE_SSM_CONV },
	[SLOT_SHORTCONV_IN_PROJ] = { "shortconv.in_proj", PROBE_MUL_MAT },
	[SLOT_SHORTCONV_OUT_PROJ] = { "shortconv.out_proj", PROBE_MUL_MAT },
	[SLOT_SSM_A] = { "ssm_a", PROBE_SSM_SCAN },
	[SLOT_SSM_ALPHA] = { "ssm_alpha", PROBE_MUL_MAT },
	[SLOT_SSM_B_NORM] = { "ssm_b_norm", PROBE_MUL },
	[SLOT_SSM_BA] = { "ssm_ba", PROBE_MUL_MAT },
	[SLOT_SSM_BETA] = { "ssm_beta", PROBE_MUL_MAT },
	[SLOT_SSM_C_NORM] = { "ssm_c_norm", PROBE_MUL },
	[SLOT_SSM_CONV1D] = { "ssm_conv1d", PROBE_SSM_CONV },
	[SLOT_SSM_CONV1D_K] = { "ssm_conv1d_k", PROBE_MUL },
	[SLOT_SSM_CONV1D_Q] = { "ssm_conv1d_q", PROBE_MUL },
	[SLOT_SSM_CONV1D_V] = { "ssm_conv1d_v", PROBE_MUL },
	[SLOT_SSM_D] = { "ssm_d", PROBE_MUL },
	[SLOT_SSM_DT] = { "ssm_dt", PROBE_MUL_MAT },
	[SLOT_SSM_DT_NORM] = { "ssm_dt_norm", PROBE_MUL },
	[SLOT_SSM_F_A] = { "ssm_f_a", PROBE_MUL_MAT },
	[SLOT_SSM_F_B] = { "ssm_f_b", PROBE_MUL_MAT },
	[SLOT_SSM_G_A] = { "ssm_g_a", PROBE_MUL_MAT },
	[SLOT_SSM_G_B] = { "ssm_g_b", PROBE_MUL_MAT },
	[SLOT_SSM_IN] = { "ssm_in", PROBE_MUL_MAT },
	[SLOT_SSM_NORM] = { "ssm_norm", PROBE_MUL },
	[SLOT_SSM_OUT] = { "ssm_out", PROBE_MUL_MAT },
	[SLOT_SSM_X] = { "ssm_x", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_A0] = { "time_mix_a0", PROBE_ADD },
	[SLOT_TIME_MIX_A1] = { "time_mix_a1", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_A2] = { "time_mix_a2", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_G1] = { "time_mix_g1", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_G2] = { "time_mix_g2", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_K_A] = { "time_mix_k_a", PROBE_MUL },
	[SLOT_TIME_MIX_K_K] = { "time_mix_k_k", PROBE_MUL },
	[SLOT_TIME_MIX_KEY] = { "time_mix_key", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_LERP_FUSED] = { "time_mix_lerp_fused", PROBE_ADD },
	[SLOT_TIME_MIX_LN] = { "time_mix_ln", PROBE_MUL },
	[SLOT_TIME_MIX_OUTPUT] = { "time_mix_output", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_R_K] = { "time_mix_r_k", PROBE_MUL },
	[SLOT_TIME_MIX_RECEPTANCE] = { "time_mix_receptance", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_V0] = { "time_mix_v0", PROBE_ADD },
	[SLOT_TIME_MIX_V1] = { "time_mix_v1", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_V2] = { "time_mix_v2", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_VALUE] = { "time_mix_value", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_W0] = { "time_mix_w0", PROBE_ADD },
	[SLOT_TIME_MIX_W1] = { "time_mix_w1", PROBE_MUL_MAT },
	[SLOT_TIME_MIX_W2] = { "time_mix_w2", PROBE_MUL_MAT },
};

static const struct {
	const char *name;
	enum probe probe;
	enum tensor_class class;
} globals[GLOBALS] = {
	[GLOBAL_ALTUP_PROJ] = { "altup_proj", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_ALTUP_UNEMBD_PROJ] = { "altup_unembd_proj", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_CLS] = { "cls", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_CLS_NORM] = { "cls.norm", PROBE_MUL, TENSOR_OUTPUT },
	[GLOBAL_CLS_OUTPUT] = { "cls.output", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_DENSE_2] = { "dense_2", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_DENSE_3] = { "dense_3", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_OUTPUT] = { "output", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_OUTPUT_HC_BASE] = { "output_hc_base", PROBE_ADD, TENSOR_OUTPUT },
	[GLOBAL_OUTPUT_HC_FN] = { "output_hc_fn", PROBE_MUL_MAT, TENSOR_OUTPUT },
	[GLOBAL_OUTPUT_HC_SCALE] = { "output_hc_scale", PROBE_MUL, TENSOR_OUTPUT },
	[GLOBAL_OUTPUT_NORM] = { "output_norm", PROBE_MUL, TENSOR_OUTPUT },
	[GLOBAL_PER_LAYER_MODEL_PROJ] = { "per_layer_model_proj", PROBE_MUL_MAT, TENSOR_FIRST },
	[GLOBAL_PER_LAYER_PROJ_NORM] = { "per_layer_proj_norm", PROBE_MUL, TENSOR_FIRST },
	[GLOBAL_PER_LAYER_TOKEN_EMBD] = { "per_layer_token_embd", PROBE_GET_ROWS, TENSOR_INPUT },
	[GLOBAL_POSITION_EMBD] = { "position_embd", PROBE_GET_ROWS, TENSOR_INPUT },
	[GLOBAL_ROPE_FACTORS_LONG] = { "rope_factors_long", PROBE_ROPE, TENSOR_EVERY },
	[GLOBAL_ROPE_FACTORS_SHORT] = { "rope_factors_short", PROBE_ROPE, TENSOR_EVERY },
	[GLOBAL_ROPE_FREQS] = { "rope_freqs", PROBE_ROPE, TENSOR_EVERY },
	[GLOBAL_TOKEN_EMBD] = { "token_embd", PROBE_GET_ROWS, TENSOR_INPUT },
	[GLOBAL_TOKEN_EMBD_NORM] = { "token_embd_norm", PROBE_MUL, TENSOR_FIRST },
	[GLOBAL_TOKEN_TYPES] = { "token_types", PROBE_GET_ROWS, TENSOR_INPUT },
};

static const char *const endings[PARTS] = {
	[PART_WEIGHT] = ".weight",
	[PART_BIAS] = ".bias",
	[PART_SCALE] = ".scale",
	[PART_INPUT_SCALE] = ".input_scale",
};
/* clang-format on */

/* Cut the ending from a name of *len bytes. */
static enum part cut_ending(const char *name, size_t *len)
{
	for (int part = 0; part < PARTS; part++) {
		size_t n = strlen(endings[part]);

		if (*len > n && memcmp(name + *len - n, endings[part], n) == 0) {
			*len -= n;
			return (enum part)part;
		}
	}
	return PART_WEIGHT;
}

/* Order of a name of n bytes and a whole one. */
static int compare(const char *name, size_t n, const char *whole)
{
	size_t whole_n = strlen(whole); /* names of a file may hold zeros */
	int d = memcmp(name, whole, n < whole_n ? n : whole_n);

	return d ? d : (n > whole_n) - (n < whole_n);
}

bool slot_find(const struct tensor *t, enum slot *slot, enum part *part)
{
	const char *dot = memchr(t->name, '.', t->name_len);
	int low = 0, high = SLOTS;

	if (t->layer < 0 || !dot) /* "blk.7.": gguf.c has checked it */
		return false;
	dot = memchr(dot + 1, '.', t->name_len - (size_t)(dot + 1 - t->name));
	if (!dot)
		return false;
	size_t len = t->name_len - (size_t)(dot + 1 - t->name);

	*part = cut_ending(dot + 1, &len);
	while (low < high) {
		int mid = low + (high - low) / 2, d = compare(dot + 1, len, slots[mid].name);

		if (d == 0) {
			*slot = (enum slot)mid;
			return true;
		}
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

bool global_find(const struct tensor *t, enum global *global, enum part *part)
{
	size_t len = t->name_len;

	*part = cut_ending(t->name, &len);
	for (int i = 0; i < GLOBALS; i++) {
		if (compare(t->name, len, globals[i].name) == 0) {
			*global = (enum global)i;
			return true;
		}
	}
	return false;
}

const char *slot_name(enum slot slot)
{
	return slots[slot].name;
}

const char *global_name(enum global global)
{
	return globals[global].name;
}

/* Biases are added, whatever is done with their weight. */
static enum probe probe_of(enum probe weight, enum part part)
{
	if (part != PART_BIAS)
		return weight;
	return weight == PROBE_MUL_MAT_ID ? PROBE_ADD_ID : PROBE_ADD;
}

enum probe slot_probe(enum slot slot, enum part part)
{
	return probe_of(slots[slot].probe, part);
}

enum probe global_probe(enum global global, enum part part)
{
	return probe_of(globals[global].probe, part);
}

enum tensor_class global_class(enum global global)
{
	return globals[global].class;
}
