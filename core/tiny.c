/* SPDX-License-Identifier: MIT */
/* Uses ggml only, to write the file. */
#include "core/tiny.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <ggml.h>
#include <gguf.h>

#define TINY_WIDTH 256
#define TINY_BYTES (UINT64_C(8) << 20) /* all its tensors, and the tables of them */

/* The names and shapes that the engine wants of a Llama; 0 columns: a vector. */
static const struct {
	const char *name;
	int64_t columns, rows;
} tiny_ends[] = {
	{ "token_embd.weight", TINY_WIDTH, TINY_BATCH },
	{ "output_norm.weight", TINY_WIDTH, 0 },
	{ "output.weight", TINY_WIDTH, TINY_BATCH },
}, tiny_layer[] = {
	{ "attn_norm", TINY_WIDTH, 0 },
	{ "attn_q", TINY_WIDTH, TINY_WIDTH },
	{ "attn_k", TINY_WIDTH, TINY_WIDTH },
	{ "attn_v", TINY_WIDTH, TINY_WIDTH },
	{ "attn_output", TINY_WIDTH, TINY_WIDTH },
	{ "ffn_norm", TINY_WIDTH, 0 },
	{ "ffn_gate", TINY_WIDTH, 2 * TINY_WIDTH },
	{ "ffn_up", TINY_WIDTH, 2 * TINY_WIDTH },
	{ "ffn_down", 2 * TINY_WIDTH, TINY_WIDTH },
};

/* Zeros: what is computed does not matter. */
static void add_tensor(struct gguf_context *m, struct ggml_context *c, const char *name,
		       int64_t columns, int64_t rows)
{
	enum ggml_type type = rows ? GGML_TYPE_F16 : GGML_TYPE_F32;
	struct ggml_tensor *t = ggml_new_tensor_2d(c, type, columns, rows ? rows : 1);

	memset(t->data, 0, ggml_nbytes(t));
	ggml_set_name(t, name);
	gguf_add_tensor(m, t);
}

static void describe_tiny(struct gguf_context *m, struct ggml_context *c)
{
	static const struct {
		const char *key;
		uint32_t v;
	} numbers[] = {
		{ "llama.vocab_size", TINY_BATCH },
		{ "llama.context_length", 2 * TINY_BATCH },
		{ "llama.embedding_length", TINY_WIDTH },
		{ "llama.block_count", TINY_LAYERS },
		{ "llama.feed_forward_length", 2 * TINY_WIDTH },
		{ "llama.attention.head_count", 4 },
	};

	gguf_set_val_str(m, "general.architecture", "llama");
	gguf_set_val_str(m, "tokenizer.ggml.model", "no_vocab");
	gguf_set_val_f32(m, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		gguf_set_val_u32(m, numbers[i].key, numbers[i].v);
	for (size_t i = 0; i < sizeof(tiny_ends) / sizeof(tiny_ends[0]); i++)
		add_tensor(m, c, tiny_ends[i].name, tiny_ends[i].columns, tiny_ends[i].rows);
	for (int l = 0; l < TINY_LAYERS; l++) {
		for (size_t i = 0; i < sizeof(tiny_layer) / sizeof(tiny_layer[0]); i++) {
			char name[64];

			snprintf(name, sizeof(name), "blk.%d.%s.weight", l, tiny_layer[i].name);
			add_tensor(m, c, name, tiny_layer[i].columns, tiny_layer[i].rows);
		}
	}
}

bool tiny_write(const char *path)
{
	struct ggml_init_params ip = { .mem_size = TINY_BYTES };
	struct ggml_context *c = ggml_init(ip);
	struct gguf_context *m = gguf_init_empty();
	bool written = false;

	if (c && m) {
		describe_tiny(m, c);
		written = gguf_write_to_file(m, path, false);
	}
	gguf_free(m);
	ggml_free(c);
	return written;
}
