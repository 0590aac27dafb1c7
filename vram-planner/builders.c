/* SPDX-License-Identifier: MIT */
/* The graphs of families; each source is the engine's own file for it, at v0.5.0 unless told. */
#include <string.h>

#include "vram-planner/build_priv.h"

/* clang-format off */
static const struct builder builders[] = {
	{ "bert",            build_bert, 0, "models/bert.cpp" },
	{ "cohere2",         build_dense, 0, "models/cohere2.cpp" },
	{ "command-r",       build_dense, 0, "models/command-r.cpp" },
	{ "deepseek2",       build_mla, 0, "models/deepseek2.cpp" },
	{ "deepseek32",      build_dsa, 0, "models/deepseek32.cpp" },
	{ "deepseek4",       build_deepseek4, TOKENS_ONLY, "models/deepseek4.cpp" },
	{ "ernie4_5",        build_dense, 0, "models/ernie4-5.cpp" },
	{ "ernie4_5-moe",    build_dense, 0, "models/ernie4-5-moe.cpp" },
	{ "exaone4",         build_dense, 0, "models/exaone4.cpp" },
	{ "falcon-h1",       build_falcon_h1, 0, "models/falcon-h1.cpp" },
	{ "gemma-embedding", build_gemma_embedding, 0, "models/gemma-embedding.cpp" },
	{ "gemma2",          build_dense, DENSE_EMBD_SCALED | DENSE_Q_SCALED | DENSE_GELU | SCALES_ALIKE,
	  "models/gemma2.cpp" },
	{ "gemma3",          build_dense, DENSE_EMBD_SCALED | DENSE_Q_SCALED | DENSE_GELU,
	  "models/gemma3.cpp" },
	{ "gemma3n",         build_gemma3n, 0, "models/gemma3n.cpp" },
	{ "gemma4",          build_gemma4, KEEPS_LATE, "models/gemma4.cpp" },
	{ "glm-dsa",         build_dsa, 0, "models/glm-dsa.cpp" },
	{ "glm4moe",         build_dense, DENSE_POST_IS_FFN_NORM, "models/glm4-moe.cpp" },
	{ "gpt-oss",         build_dense, DENSE_POST_IS_FFN_NORM | KEEPS_LATE | BEFORE_NORM,
	  "models/openai-moe.cpp" },
	{ "granitehybrid",   build_granite_hybrid, 0, "models/granite-hybrid.cpp" },
	{ "grok",            build_grok, 0, "models/grok.cpp" },
	{ "hunyuan-dense",   build_dense, DENSE_NORM_AFTER_ROPE, "models/hunyuan-vl.cpp" },
	{ "hunyuan-moe",     build_dense, DENSE_NORM_AFTER_ROPE, "models/hunyuan-moe.cpp" },
	{ "jamba",           build_jamba, 0, "models/jamba.cpp" },
	{ "kimi-linear",     build_kimi_linear, 0, "models/kimi-linear.cpp" },
	{ "lfm2",            build_lfm2, 0, "models/lfm2.cpp" },
	{ "lfm2moe",         build_lfm2, 0, "models/lfm2moe.cpp" },
	{ "llama",           build_dense, 0, "models/llama.cpp" },
	{ "llama4",          build_llama4, 0, "models/llama4.cpp" },
	{ "mamba",           build_mamba, 0, "models/mamba.cpp" },
	{ "mamba2",          build_mamba, 0, "models/mamba2.cpp" },
	{ "minimax-m2",      build_dense, DENSE_NORM_ROWS, "models/minimax-m2.cpp" },
	{ "mistral3",        build_dense, 0, "models/mistral3.cpp" },
	{ "nemotron_h",      build_nemotron_h, KEEPS_LATE, "models/nemotron-h.cpp" },
	{ "nemotron_h_moe",  build_nemotron_h, KEEPS_LATE, "models/nemotron-h-moe.cpp" },
	{ "olmo2",           build_dense, DENSE_NORM_ROWS, "models/olmo2.cpp" },
	{ "olmoe",           build_dense, DENSE_NORM_ROWS, "models/olmoe.cpp" },
	{ "phi3",            build_dense, DENSE_Q_SCALED | DENSE_GATE_IN_UP | DENSE_RESIDUAL_FIRST,
	  "models/phi3.cpp" },
	{ "qwen2",           build_dense, 0, "models/qwen2.cpp" },
	{ "qwen3",           build_dense, 0, "models/qwen3.cpp" },
	{ "qwen35",          build_qwen3next, KEEPS_LATE, "models/qwen35.cpp" },
	{ "qwen35moe",       build_qwen3next, KEEPS_LATE, "models/qwen35moe.cpp" },
	{ "qwen3moe",        build_dense, 0, "models/qwen3moe.cpp" },
	{ "qwen3next",       build_qwen3next, KEEPS_LATE, "models/qwen3next.cpp" },
	{ "rwkv7",           build_rwkv7, 0, "models/rwkv7.cpp" },
	{ "seed_oss",        build_dense, DENSE_POST_IS_FFN_NORM, "models/seed-oss.cpp" },
	{ "smollm3",         build_dense, 0, "models/smollm3.cpp" },
};
/* clang-format on */

const struct builder *builder_find(const char *arch)
{
	for (size_t i = 0; i < sizeof(builders) / sizeof(builders[0]); i++) {
		if (strcmp(builders[i].arch, arch) == 0)
			return &builders[i];
	}
	return NULL;
}
