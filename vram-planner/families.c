/* SPDX-License-Identifier: MIT */
/*
 * The architectures whose memory rules are verified. One without a row is bounded from above and marked
 * as unverified, never guessed. To add one: a row here (docs/adding.md).
 *
 * Rules from llama.cpp v0.5.0: src/models/<arch>.cpp, load_arch_hparams and load_arch_tensors; the kind
 * of memory from llama_model::create_memory. "truth": each measured row of that model agrees to the
 * byte in weights and caches; "own": rows measured on headers of our own
 * making do.
 */
#include <string.h>

#include "vram-planner/family_priv.h"

/* clang-format off */
static const struct family families[] = {
	{ .arch = "bert", .memory = MEMORY_NONE, .mixer = MIXER_ATTENTION, .norm = NORM_LAYER,
	  .rope = ROPE_NONE, .quirks = QUIRK_NO_LOGITS, .source = "truth: bge-m3" },
	{ .arch = "cohere2", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .norm = NORM_LAYER,
	  .window = WINDOW_ALWAYS, .period = 4, .rope = ROPE_SLIDING, .source = "truth: command-r7b" },
	{ .arch = "command-r", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION, .norm = NORM_LAYER,
	  .source = "own: command-r-35b, command-r-plus-104b; one norm a layer" },
	{ .arch = "deepseek2", .memory = MEMORY_KV, .mixer = MIXER_MLA, .gating = GATING_SOFTMAX,
	  .source = "truth: deepseek-r1, deepseek-v2-lite" },
	{ .arch = "deepseek32", .memory = MEMORY_DSA, .mixer = MIXER_MLA, .quirks = QUIRK_PROBS_STAY,
	  .source = "truth: deepseek-v3.2" },
	{ .arch = "deepseek4", .memory = MEMORY_DSV4, .mixer = MIXER_DSV4, .window = WINDOW_ALL,
	  .quirks = QUIRK_LONG_GRAPH | QUIRK_ROLLBACK | QUIRK_NEXTN_BY_TENSOR,
	  .source = "truth: deepseek-v4-flash" },
	{ .arch = "ernie4_5", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "truth: ernie-4.5-0.3b" },
	{ .arch = "ernie4_5-moe", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "truth: ernie-4.5-21b-a3b" },
	{ .arch = "exaone4", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_ALWAYS,
	  .tokens = 4096, .period = 4, .only_layers = 64, .rope = ROPE_SLIDING, .nextn = NEXTN_SKIPPED,
	  .source = "truth: exaone-4-32b; other sizes do not slide" },
	{ .arch = "falcon-h1", .memory = MEMORY_HYBRID, .mixer = MIXER_BOTH,
	  .source = "truth: falcon-h1-7b" },
	{ .arch = "gemma-embedding", .memory = MEMORY_NONE, .mixer = MIXER_ATTENTION, .window = WINDOW_ALWAYS,
	  .period = 6, .quirks = QUIRK_ENCODER,
	  .source = "own: embeddinggemma-300m; gemma3 without a cache" },
	{ .arch = "gemma2", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_ALWAYS,
	  .tokens = 4096, .period = 2, .quirks = QUIRK_SOFTCAP, .source = "truth: gemma-2-9b" },
	{ .arch = "gemma3", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_IF_KEY,
	  .period = 6, .source = "truth: gemma-3-4b" },
	{ .arch = "gemma3n", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_ALWAYS,
	  .period = 5, .quirks = QUIRK_OUTPUT_FIRST | QUIRK_SHARED_CACHE, .source = "truth: gemma-3n-e4b" },
	{ .arch = "gemma4", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_LISTED,
	  .quirks = QUIRK_OUTPUT_FIRST | QUIRK_SHARED_CACHE | QUIRK_ROPE_WHERE_FULL,
	  .source = "truth: gemma-4-31b" },
	{ .arch = "glm-dsa", .memory = MEMORY_DSA, .mixer = MIXER_MLA, .gating = GATING_SIGMOID,
	  .quirks = QUIRK_PROBS_STAY,
	  .source = "own: glm-5, glm-5.2; deepseek32's caches, indexers in some layers only" },
	{ .arch = "glm4moe", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION, .gating = GATING_SIGMOID,
	  .quirks = QUIRK_SECTIONS_IF_KEY, .source = "truth: glm-4.5-air" },
	{ .arch = "gpt-oss", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_ALWAYS,
	  .period = 2, .source = "truth: gpt-oss-20b" },
	{ .arch = "granitehybrid", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_MAMBA2,
	  .layout = LAYOUT_HEADS, .rope = ROPE_KEY, .quirks = QUIRK_INNER_TWICE,
	  .source = "own: granite-4.0-h-1b, granite-4.0-h-small" },
	{ .arch = "grok", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION, .quirks = QUIRK_NO_FLASH | QUIRK_SOFTCAP,
	  .source = "own: grok-1, grok-2; llama_init_from_model switches flash attention off" },
	{ .arch = "hunyuan-dense", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "own: hunyuan-7b; llama's cache" },
	{ .arch = "hunyuan-moe", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "own: hunyuan-a13b; llama's cache" },
	{ .arch = "jamba", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_MAMBA,
	  .layout = LAYOUT_HEADS, .rope = ROPE_NONE, .quirks = QUIRK_INNER_TWICE,
	  .source = "truth: jamba-mini-52b" },
	{ .arch = "kimi-linear", .memory = MEMORY_HYBRID, .mixer = MIXER_MLA, .state = MIXER_KDA,
	  .layout = LAYOUT_HEADS, .rope = ROPE_NONE, .quirks = QUIRK_LONG_GRAPH,
	  .source = "own: kimi-linear-48b-a3b" },
	{ .arch = "lfm2", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_SHORTCONV,
	  .layout = LAYOUT_HEADS, .window = WINDOW_ATTENTION, .quirks = QUIRK_ROLLBACK | QUIRK_NORM_IS_OUTPUT,
	  .source = "truth: lfm2-1.2b" },
	{ .arch = "lfm2moe", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_SHORTCONV,
	  .layout = LAYOUT_HEADS, .quirks = QUIRK_ROLLBACK | QUIRK_NORM_IS_OUTPUT,
	  .source = "own: lfm2-8b-a1b" },
	{ .arch = "llama", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "truth: llama-3.2-1b, llama-3.1-8b, mistral-small-24b" },
	{ .arch = "llama4", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_CHUNKS,
	  .tokens = 8192, .period = 4, .rope = ROPE_STEP, .source = "truth: llama-4-scout" },
	{ .arch = "mamba", .memory = MEMORY_RECURRENT, .mixer = MIXER_MAMBA, .rope = ROPE_NONE,
	  .quirks = QUIRK_INNER_TWICE, .source = "truth: mamba-2.8b" },
	{ .arch = "mamba2", .memory = MEMORY_RECURRENT, .mixer = MIXER_MAMBA2, .rope = ROPE_NONE,
	  .source = "own: mamba-codestral-7b, mamba2-2.7b; mamba's states with groups" },
	{ .arch = "minimax-m2", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "truth: minimax-m2" },
	{ .arch = "mistral3", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "own: devstral-small-2-24b, ministral-3-8b; llama's tensors and cache" },
	{ .arch = "nemotron_h", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_MAMBA2,
	  .layout = LAYOUT_HEADS_FF, .rope = ROPE_NONE, .quirks = QUIRK_ROLLBACK,
	  .source = "truth: nemotron-nano-9b-v2" },
	{ .arch = "nemotron_h_moe", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_MAMBA2,
	  .layout = LAYOUT_HEADS_FF, .rope = ROPE_NONE, .quirks = QUIRK_ROLLBACK,
	  .source = "own: nemotron-3-nano-30b-a3b" },
	{ .arch = "olmo2", .memory = MEMORY_WINDOWED, .mixer = MIXER_ATTENTION, .window = WINDOW_IF_KEY,
	  .period = 4, .source = "own: olmo-2-7b, olmo-3-32b, olmo-3-7b" },
	{ .arch = "olmoe", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION, .source = "truth: olmoe-1b-7b" },
	{ .arch = "phi3", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "truth: phi-4-14b; its sliding window is switched off" },
	{ .arch = "qwen2", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "own: qwen2.5-0.5b, qwen2.5-72b, qwen2.5-7b; llama's tensors with biases" },
	{ .arch = "qwen3", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION, .source = "truth: qwen3-0.6b" },
	{ .arch = "qwen35", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_DELTA,
	  .layout = LAYOUT_INTERVAL, .quirks = QUIRK_LONG_GRAPH | QUIRK_ROLLBACK | QUIRK_SECTIONS,
	  .source = "own: qwen3.5-27b, qwen3.5-9b" },
	{ .arch = "qwen35moe", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_DELTA,
	  .layout = LAYOUT_INTERVAL, .quirks = QUIRK_LONG_GRAPH | QUIRK_ROLLBACK | QUIRK_SECTIONS,
	  .source = "truth: qwen3.5-35b-a3b" },
	{ .arch = "qwen3moe", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "truth: qwen3-30b-a3b" },
	{ .arch = "qwen3next", .memory = MEMORY_HYBRID, .mixer = MIXER_ATTENTION, .state = MIXER_DELTA,
	  .layout = LAYOUT_INTERVAL, .quirks = QUIRK_LONG_GRAPH, .source = "truth: qwen3-next-80b" },
	{ .arch = "rwkv7", .memory = MEMORY_RECURRENT, .mixer = MIXER_RWKV7, .norm = NORM_LAYER,
	  .rope = ROPE_NONE, .source = "truth: rwkv7-2.9b" },
	{ .arch = "seed_oss", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION,
	  .source = "own: seed-oss-36b; llama's cache" },
	{ .arch = "smollm3", .memory = MEMORY_KV, .mixer = MIXER_ATTENTION, .rope = ROPE_STEP,
	  .source = "truth: smollm3-3b" },
};
/* clang-format on */

const struct family family_unknown = {
	.arch = "",
	.memory = MEMORY_KV,
	.mixer = MIXER_ATTENTION,
	.source = "no rules: every layer is taken to keep a full cache",
};

const struct family *family_at(uint32_t i)
{
	return i < sizeof(families) / sizeof(families[0]) ? &families[i] : NULL;
}

const struct family *family_find(const char *arch)
{
	const struct family *f;

	for (uint32_t i = 0; (f = family_at(i)); i++) {
		if (strcmp(f->arch, arch) == 0)
			return f;
	}
	return NULL;
}

const char *shape_arch_at(uint32_t i)
{
	const struct family *f = family_at(i);

	return f ? f->arch : NULL;
}
