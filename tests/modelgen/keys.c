/* SPDX-License-Identifier: MIT */
/* The keys of the file, in the engine's names, and the file as a whole. */
#include <string.h>

#include "tests/modelgen/modelgen_priv.h"

/* Writes keys of the family, and counts all. */
struct keys {
	struct gguf *g;
	const char *arch;
	uint32_t n;
	char name[96];
};

static const char *of_arch(struct keys *k, const char *part)
{
	k->n++;
	snprintf(k->name, sizeof(k->name), "%s.%s", k->arch, part);
	return k->name;
}

static const char *plain(struct keys *k, const char *name)
{
	k->n++;
	return name;
}

static void write_attention_keys(struct keys *k, const struct shape *s)
{
	struct gguf *g = k->g;

	gguf_kv_u32(g, of_arch(k, "attention.head_count"), (uint32_t)s->o.heads);
	if (s->arch->convolves) {
		uint32_t heads[LAYERS_MAX];

		for (uint64_t i = 0; i < s->o.layers; i++)
			heads[i] = layer_convolves(s, i) ? 0 : (uint32_t)s->o.kv_heads;
		gguf_kv_u32s(g, of_arch(k, "attention.head_count_kv"), heads, s->o.layers);
		gguf_kv_u32(g, of_arch(k, "shortconv.l_cache"), SHORT_CONV);
	} else {
		gguf_kv_u32(g, of_arch(k, "attention.head_count_kv"), (uint32_t)s->o.kv_heads);
	}
	gguf_kv_u32(g, of_arch(k, "attention.key_length"), (uint32_t)s->head);
	gguf_kv_u32(g, of_arch(k, "attention.value_length"), (uint32_t)s->head);
	if (s->arch->slides)
		gguf_kv_u32(g, of_arch(k, "attention.sliding_window"), (uint32_t)s->o.window);
	if (s->arch->rope_base == 0)
		return;
	gguf_kv_u32(g, of_arch(k, "rope.dimension_count"), (uint32_t)s->head);
	gguf_kv_f32(g, of_arch(k, "rope.freq_base"), s->arch->rope_base);
}

static void write_scan_keys(struct keys *k, const struct shape *s)
{
	gguf_kv_u32(k->g, of_arch(k, "ssm.conv_kernel"), SSM_CONV);
	gguf_kv_u32(k->g, of_arch(k, "ssm.inner_size"), (uint32_t)ssm_inner(s));
	gguf_kv_u32(k->g, of_arch(k, "ssm.state_size"), SSM_STATE);
	gguf_kv_u32(k->g, of_arch(k, "ssm.time_step_rank"), (uint32_t)ssm_rank(s));
	/* as the converters write it: no attention, no feed-forward part */
	gguf_kv_u32(k->g, of_arch(k, "attention.head_count"), 0);
}

static void write_expert_keys(struct keys *k, const struct shape *s)
{
	gguf_kv_u32(k->g, of_arch(k, "expert_count"), (uint32_t)s->o.experts);
	gguf_kv_u32(k->g, of_arch(k, "expert_used_count"), (uint32_t)s->o.experts_used);
	gguf_kv_u32(k->g, of_arch(k, "expert_feed_forward_length"),
		    (uint32_t)(s->o.ff / s->o.experts_used));
}

static void write_arch_keys(struct keys *k, const struct shape *s)
{
	const struct options *o = &s->o;
	struct gguf *g = k->g;

	gguf_kv_u32(g, of_arch(k, "vocab_size"), (uint32_t)o->vocab);
	gguf_kv_u32(g, of_arch(k, "context_length"), (uint32_t)o->ctx);
	gguf_kv_u32(g, of_arch(k, "embedding_length"), (uint32_t)o->embd);
	gguf_kv_u32(g, of_arch(k, "block_count"), (uint32_t)o->layers);
	gguf_kv_u32(g, of_arch(k, "feed_forward_length"), s->arch->scans ? 0 : (uint32_t)o->ff);
	if (s->arch->encodes) {
		gguf_kv_f32(g, of_arch(k, "attention.layer_norm_epsilon"), 1e-12f);
		gguf_kv_bool(g, of_arch(k, "attention.causal"), false);
		gguf_kv_u32(g, of_arch(k, "pooling_type"), 1); /* the mean of all tokens */
	} else {
		gguf_kv_f32(g, of_arch(k, "attention.layer_norm_rms_epsilon"), 1e-6f);
	}
	if (s->arch->scans)
		write_scan_keys(k, s);
	else
		write_attention_keys(k, s);
	if (s->arch->experts)
		write_expert_keys(k, s);
}

/* An encoder's tokenizer takes the longest piece that fits, and knows no bytes. */
static void write_encoder_tokens(struct keys *k)
{
	struct gguf *g = k->g;

	gguf_kv_u32(g, plain(k, "tokenizer.ggml.token_type_count"), 1);
	gguf_kv_u32(g, plain(k, "tokenizer.ggml.cls_token_id"), 1);
	gguf_kv_u32(g, plain(k, "tokenizer.ggml.seperator_token_id"), 2); /* so spelt */
	gguf_kv_u32(g, plain(k, "tokenizer.ggml.padding_token_id"), 0);
	gguf_kv_u32(g, plain(k, "tokenizer.ggml.mask_token_id"), 0);
}

static void write_tokenizer(struct keys *k, const struct shape *s)
{
	bool encodes = s->arch->encodes;
	struct gguf *g = k->g;
	uint64_t n = s->o.vocab;

	gguf_kv_string(g, plain(k, "tokenizer.ggml.model"), encodes ? "bert" : "llama");
	gguf_kv_string(g, plain(k, "tokenizer.ggml.pre"), "default");
	gguf_array(g, plain(k, "tokenizer.ggml.tokens"), GGUF_STRING, n);
	for (uint64_t i = 0; i < n; i++)
		gguf_string(g, s->pieces[i].text);
	gguf_array(g, plain(k, "tokenizer.ggml.scores"), GGUF_F32, n);
	for (uint64_t i = 0; i < n; i++)
		gguf_bytes(g, &s->pieces[i].score, sizeof(float));
	gguf_array(g, plain(k, "tokenizer.ggml.token_type"), GGUF_I32, n);
	for (uint64_t i = 0; i < n; i++) {
		int32_t unused = 5;

		gguf_bytes(g,
			   encodes && s->pieces[i].kind == PIECE_BYTE ? &unused
								      : &s->pieces[i].type,
			   sizeof(int32_t));
	}
	gguf_kv_u32(g, plain(k, "tokenizer.ggml.unknown_token_id"), 0);
	gguf_kv_u32(g, plain(k, "tokenizer.ggml.bos_token_id"), 1);
	gguf_kv_u32(g, plain(k, "tokenizer.ggml.eos_token_id"), 2);
	if (s->o.gaps) {
		gguf_kv_u32(g, plain(k, "tokenizer.ggml.fim_pre_token_id"), (uint32_t)n - 3);
		gguf_kv_u32(g, plain(k, "tokenizer.ggml.fim_suf_token_id"), (uint32_t)n - 2);
		gguf_kv_u32(g, plain(k, "tokenizer.ggml.fim_mid_token_id"), (uint32_t)n - 1);
	}
	gguf_kv_bool(g, plain(k, "tokenizer.ggml.add_bos_token"), true);
	gguf_kv_bool(g, plain(k, "tokenizer.ggml.add_eos_token"), false);
	gguf_kv_bool(g, plain(k, "tokenizer.ggml.add_space_prefix"), !encodes);
	if (encodes)
		write_encoder_tokens(k);
}

static uint32_t write_keys(struct gguf *g, const struct shape *s)
{
	struct keys k = { .g = g, .arch = s->arch->name };

	gguf_kv_string(g, plain(&k, "general.architecture"), s->arch->name);
	gguf_kv_string(g, plain(&k, "general.name"), "random words");
	gguf_kv_string(g, plain(&k, "general.description"),
		       "random weights: the text means nothing");
	gguf_kv_u32(g, plain(&k, "general.file_type"), s->file_type);
	gguf_kv_u32(g, plain(&k, "general.quantization_version"), 2);
	gguf_kv_u32(g, plain(&k, "general.alignment"), GGUF_ALIGN);
	write_arch_keys(&k, s);
	write_tokenizer(&k, s);
	return k.n;
}

/* The count of keys stands before them: write them once into nothing to count. */
static uint32_t count_keys(const struct shape *s)
{
	struct gguf g = { .failed = true };

	return write_keys(&g, s);
}

void write_model(struct gguf *g, const struct shape *s)
{
	gguf_bytes(g, "GGUF", 4);
	gguf_u32(g, 3);
	gguf_u64(g, s->n_tensors);
	gguf_u64(g, count_keys(s));
	write_keys(g, s);
	for (uint32_t i = 0; i < s->n_tensors; i++) {
		const struct tensor_out *t = &s->tensors[i];

		gguf_string(g, t->name);
		gguf_u32(g, t->n_dims);
		for (uint32_t d = 0; d < t->n_dims; d++)
			gguf_u64(g, t->ne[d]);
		gguf_u32(g, t->type);
		gguf_u64(g, t->offset);
	}
	gguf_align(g);
	for (uint32_t i = 0; i < s->n_tensors && !s->o.header_only; i++)
		weights_write(g, &s->tensors[i], s->o.seed);
}
