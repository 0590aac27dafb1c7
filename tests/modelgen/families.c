/* SPDX-License-Identifier: MIT */
/* The families of models: which tensors each has, as the engine's loaders ask for them. */
#include <stdarg.h>
#include <string.h>

#include "tests/modelgen/modelgen_priv.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static void add_usual_layer(struct shape *s, uint64_t il);
static void add_mamba_layer(struct shape *s, uint64_t il);
static void add_bert_layer(struct shape *s, uint64_t il);
static void add_bert_first(struct shape *s);

/* What the engine's loaders ask of each (llama.cpp v0.5.0, src/models/ARCH.cpp). */
static const struct arch archs[] = {
	{ "llama", add_usual_layer, .rope_base = 10000 },
	{ "qwen3", add_usual_layer, .norms_qk = true, .rope_base = 1000000 },
	{ "gemma3", add_usual_layer, .norms_qk = true, .norms_post = true, .tied = true,
	  .slides = true, .rope_base = 1000000 },
	{ "qwen3moe", add_usual_layer, .norms_qk = true, .experts = true, .rope_base = 1000000 },
	{ "lfm2", add_usual_layer, .output_norm = "token_embd_norm", .norms_qk = true,
	  .convolves = true, .rope_base = 1000000 },
	{ "mamba", add_mamba_layer, .scans = true },
	{ "bert", add_bert_layer, .add_first = add_bert_first, .encodes = true },
};

const struct arch *arch_find(const char *name)
{
	for (size_t i = 0; i < N_OF(archs); i++)
		if (!strcmp(archs[i].name, name))
			return &archs[i];
	return NULL;
}

bool layer_convolves(const struct shape *s, uint64_t il)
{
	return s->arch->convolves && il % 3 != 2;
}

uint64_t ssm_inner(const struct shape *s)
{
	return 2 * s->o.embd; /* the engine takes no other factor */
}

uint64_t ssm_rank(const struct shape *s)
{
	return (s->o.embd + 15) / 16;
}

/* 1 / sqrt(n) by Newton's method: the same bits everywhere, and no libm. */
static float shrink(uint64_t n)
{
	double x = 1;

	for (int i = 0; i < 64; i++)
		x = (x + (double)n / x) / 2;
	return (float)(1 / x);
}

/* `ne` says columns, rows and matrices. Rows that Q8_0 cannot pack stay as F16. */
static void add(struct shape *s, const char *name, enum ggml_type type, const uint64_t ne[3],
		struct draw draw)
{
	struct tensor_out *t = &s->tensors[s->n_tensors++];

	if (type == GGML_Q8_0 && ne[0] % 32)
		type = GGML_F16;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->type = type;
	memcpy(t->ne, ne, sizeof(t->ne));
	t->n_dims = ne[2] > 1 ? 3 : ne[1] > 1 ? 2 : 1;
	t->offset = s->data_bytes;
	t->draw = draw;
	s->data_bytes += (row_bytes(type, ne[0]) * ne[1] * ne[2] + GGUF_ALIGN - 1) / GGUF_ALIGN *
			 GGUF_ALIGN;
}

static void add_vector(struct shape *s, const char *name, uint64_t n, float mean, float std)
{
	add(s, name, GGML_F32, (const uint64_t[]) { n, 1, 1 },
	    (struct draw) { .mean = mean, .std = std });
}

/* A matrix that reads the stream: it does not see the constant in it. */
static void add_reader(struct shape *s, const char *name, uint64_t rows, uint64_t matrices,
		       float gain)
{
	add(s, name, s->type, (const uint64_t[]) { s->o.embd, rows, matrices },
	    (struct draw) { .std = gain * shrink(s->o.embd), .column0_zero = true });
}

/*
 * A matrix whose result is added to the stream: it leaves the constant alone. Layers that decide
 * nothing write next to nothing.
 */
static void add_writer(struct shape *s, uint64_t il, const char *name, uint64_t columns,
		       uint64_t matrices, float gain)
{
	if (il >= s->o.deciding)
		gain /= 64;
	add(s, name, s->type, (const uint64_t[]) { columns, s->o.embd, matrices },
	    (struct draw) { .std = gain * shrink(columns), .row0_zero = true });
}

#define NAME(part) (snprintf(name, sizeof(name), "blk.%u.%s", (unsigned)il, part), name)

/* --- attention or a convolution, then a feed-forward part --- */

/*
 * Gains: sharp attention (q and k above unit width) makes the next token depend on the whole text, or
 * greedy sampling would soon run in a circle.
 */
static void add_attention(struct shape *s, uint64_t il)
{
	uint64_t kv = s->o.kv_heads * s->head;
	char name[64];

	add_reader(s, NAME("attn_q.weight"), s->o.embd, 1, 2);
	add_reader(s, NAME("attn_k.weight"), kv, 1, 2);
	add_reader(s, NAME("attn_v.weight"), kv, 1, 1);
	add_writer(s, il, NAME("attn_output.weight"), s->o.embd, 1, 1.5f);
	if (s->arch->norms_qk) {
		add_vector(s, NAME("attn_q_norm.weight"), s->head, 2, 0);
		add_vector(s, NAME("attn_k_norm.weight"), s->head, 2, 0);
	}
}

static void add_short_conv(struct shape *s, uint64_t il)
{
	char name[64];

	add(s, NAME("shortconv.conv.weight"), GGML_F32,
	    (const uint64_t[]) { SHORT_CONV, s->o.embd, 1 }, (struct draw) { .std = 1 });
	add_reader(s, NAME("shortconv.in_proj.weight"), 3 * s->o.embd, 1, 1);
	add_writer(s, il, NAME("shortconv.out_proj.weight"), s->o.embd, 1, 1.5f);
}

static void add_feed_forward(struct shape *s, uint64_t il)
{
	uint64_t n = s->arch->experts ? s->o.experts : 1;
	uint64_t width = s->arch->experts ? s->o.ff / s->o.experts_used : s->o.ff;
	char name[64];

	add_vector(s, NAME("ffn_norm.weight"), s->o.embd, 1, 0);
	if (s->arch->experts)
		add(s, NAME("ffn_gate_inp.weight"), GGML_F32,
		    (const uint64_t[]) { s->o.embd, n, 1 },
		    (struct draw) { .std = 2 * shrink(s->o.embd), .column0_zero = true });
	add_reader(s, NAME(n > 1 ? "ffn_gate_exps.weight" : "ffn_gate.weight"), width, n, 1);
	add_reader(s, NAME(n > 1 ? "ffn_up_exps.weight" : "ffn_up.weight"), width, n, 1);
	add_writer(s, il, NAME(n > 1 ? "ffn_down_exps.weight" : "ffn_down.weight"), width, n, 1.5f);
}

static void add_usual_layer(struct shape *s, uint64_t il)
{
	/* keeps the stream far above the embedding */
	float post = il < s->o.deciding ? 32 * shrink(2 * s->o.layers) : 1.0f / 64;
	char name[64];

	add_vector(s, NAME("attn_norm.weight"), s->o.embd, 1, 0);
	if (layer_convolves(s, il))
		add_short_conv(s, il);
	else
		add_attention(s, il);
	if (s->arch->norms_post)
		add_vector(s, NAME("post_attention_norm.weight"), s->o.embd, post, 0);
	add_feed_forward(s, il);
	if (s->arch->norms_post)
		add_vector(s, NAME("post_ffw_norm.weight"), s->o.embd, post, 0);
}

/* --- mamba --- */

static void add_mamba_layer(struct shape *s, uint64_t il)
{
	uint64_t inner = ssm_inner(s), rank = ssm_rank(s);
	char name[64];

	add_vector(s, NAME("attn_norm.weight"), s->o.embd, 1, 0);
	add_reader(s, NAME("ssm_in.weight"), 2 * inner, 1, 1);
	add(s, NAME("ssm_conv1d.weight"), GGML_F32, (const uint64_t[]) { SSM_CONV, inner, 1 },
	    (struct draw) { .std = 1 });
	add_vector(s, NAME("ssm_conv1d.bias"), inner, 0, 0.1f);
	add(s, NAME("ssm_x.weight"), s->type, (const uint64_t[]) { inner, rank + 2 * SSM_STATE, 1 },
	    (struct draw) { .std = 0.7f * shrink(inner) });
	add(s, NAME("ssm_dt.weight"), s->type, (const uint64_t[]) { rank, inner, 1 },
	    (struct draw) { .std = shrink(rank) });
	add_vector(s, NAME("ssm_dt.bias"), inner, -3, 0.5f);
	/* below zero all of it: the state fades, in some places quickly, in others slowly */
	add(s, NAME("ssm_a"), GGML_F32, (const uint64_t[]) { SSM_STATE, inner, 1 },
	    (struct draw) { .mean = -4, .std = 2 });
	add_vector(s, NAME("ssm_d"), inner, 1, 0);
	add_writer(s, il, NAME("ssm_out.weight"), inner, 1, 1.5f);
}

/* --- bert --- */

static void add_bert_linear(struct shape *s, uint64_t il, const char *part, uint64_t columns,
			    uint64_t rows)
{
	char name[64], weight[48], bias[48];

	snprintf(weight, sizeof(weight), "%s.weight", part);
	snprintf(bias, sizeof(bias), "%s.bias", part);
	add(s, NAME(weight), s->type, (const uint64_t[]) { columns, rows, 1 },
	    (struct draw) { .std = 1.5f * shrink(columns) });
	add_vector(s, NAME(bias), rows, 0, 0.1f);
}

static void add_bert_norm(struct shape *s, const char *part)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.weight", part);
	add_vector(s, name, s->o.embd, 1, 0);
	snprintf(name, sizeof(name), "%s.bias", part);
	add_vector(s, name, s->o.embd, 0, 0.1f);
}

static void add_bert_layer(struct shape *s, uint64_t il)
{
	uint64_t embd = s->o.embd, kv = s->o.kv_heads * s->head;
	char name[64];

	add_bert_linear(s, il, "attn_q", embd, embd);
	add_bert_linear(s, il, "attn_k", embd, kv);
	add_bert_linear(s, il, "attn_v", embd, kv);
	add_bert_linear(s, il, "attn_output", embd, embd);
	add_bert_norm(s, NAME("attn_output_norm"));
	add_bert_linear(s, il, "ffn_up", embd, s->o.ff);
	add_bert_linear(s, il, "ffn_down", s->o.ff, embd);
	add_bert_norm(s, NAME("layer_output_norm"));
}

static void add_bert_first(struct shape *s)
{
	const uint64_t positions[] = { s->o.embd, s->o.ctx, 1 };

	add_vector(s, "token_types.weight", s->o.embd, 0, 0.1f);
	add(s, "position_embd.weight", s->type, positions, (struct draw) { .std = 0.5f });
	add_bert_norm(s, "token_embd_norm");
}

/* --- all --- */

/*
 * Which pieces the output prefers: a word by far, then an invented one, a beginning, a single
 * character; bytes and control tokens (the end of text among them) practically never.
 */
static void lean(struct shape *s)
{
	static const float untied[PIECE_KINDS] = { -12, -12, -5, -4, -4, 0 };
	static const float tied[PIECE_KINDS] = { 0, 0, 1.8f, 2, 2.2f, 4 };

	for (uint64_t i = 0; i < s->o.vocab; i++) {
		enum piece_kind kind = s->pieces[i].kind;

		s->lean_in[i] = s->arch->tied ? tied[kind] : 6;
		s->lean_out[i] = untied[kind];
	}
}

void add_tensors(struct shape *s)
{
	const struct arch *a = s->arch;
	const uint64_t words[] = { s->o.embd, s->o.vocab, 1 };
	float sharp = 3 * shrink(s->o.embd); /* logits of deviation 3 */
	char norm[64];

	lean(s);
	add(s, "token_embd.weight", s->type, words,
	    (struct draw) { .std = a->tied ? sharp : 1,
			    .column0 = a->encodes ? NULL : s->lean_in });
	if (a->add_first)
		a->add_first(s);
	for (uint64_t i = 0; i < s->o.layers; i++)
		a->add_layer(s, i);
	if (a->encodes)
		return;
	snprintf(norm, sizeof(norm), "%s.weight", a->output_norm ? a->output_norm : "output_norm");
	add_vector(s, norm, s->o.embd, 1, 0);
	if (!a->tied)
		add(s, "output.weight", s->type, words,
		    (struct draw) { .std = sharp, .column0 = s->lean_out });
}
