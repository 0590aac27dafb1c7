/* SPDX-License-Identifier: MIT */
/* modelgen: writes a small GGUF model with random weights. See modelgen_priv.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/modelgen/modelgen_priv.h"

#define TENSORS_MAX (3 + 256 * 13)

struct arch {
	const char *name;
	bool norms_qk;   /* q and k are normalised per head */
	bool norms_post; /* a norm after attention and after the feed-forward part */
	bool tied;       /* the output is the embedding */
	bool slides;     /* all but every 6th layer see a window only */
	float rope_base;
};

/* What the engine's loaders ask of each (llama.cpp v0.5.0, src/models/ARCH.cpp). */
static const struct arch archs[] = {
	{ "llama", .rope_base = 10000 },
	{ "qwen3", .norms_qk = true, .rope_base = 1000000 },
	{ "gemma3", .norms_qk = true, .norms_post = true, .tied = true, .slides = true,
	  .rope_base = 1000000 },
};

static const struct {
	const char *name;
	enum ggml_type type;
	uint32_t file_type; /* general.file_type: the engine's llama_ftype */
} types[] = {
	{ "f32", GGML_F32, 0 },
	{ "f16", GGML_F16, 1 },
	{ "q8_0", GGML_Q8_0, 7 },
};

struct options {
	const char *out, *arch_name, *type_name, *size_name;
	uint64_t layers, embd, ff, heads, kv_heads, vocab, ctx, window, seed;
	bool header_only;
};

/* Ready-made shapes: about 10, 31 and 81 MB as f16, half of that as q8_0. */
static const struct {
	const char *name;
	uint64_t layers, embd, ff, heads, kv_heads, vocab;
} sizes[] = {
	{ "tiny", 8, 256, 512, 8, 4, 512 },
	{ "small", 12, 320, 960, 8, 4, 1024 },
	{ "demo", 16, 448, 1344, 8, 4, 2048 },
};

/* clang-format off */
static const struct {
	const char *name;
	size_t offset;
	uint64_t min, max; /* max 0: a text */
	const char *help;
} options[] = {
	{ "-o", offsetof(struct options, out), 0, 0, "FILE to write" },
	{ "--arch", offsetof(struct options, arch_name), 0, 0, "llama, qwen3 or gemma3 (llama)" },
	{ "--type", offsetof(struct options, type_name), 0, 0, "of the matrices: f32, f16 or q8_0 (f16)" },
	{ "--size", offsetof(struct options, size_name), 0, 0, "tiny, small or demo; the options below override it" },
	{ "--layers", offsetof(struct options, layers), 1, 256, "repeating layers (8)" },
	{ "--embd", offsetof(struct options, embd), 32, 8192, "width (256)" },
	{ "--ff", offsetof(struct options, ff), 32, 32768, "width of the feed-forward part (512)" },
	{ "--heads", offsetof(struct options, heads), 1, 256, "attention heads (8)" },
	{ "--kv-heads", offsetof(struct options, kv_heads), 1, 256, "heads of keys and values (4)" },
	{ "--vocab", offsetof(struct options, vocab), VOCAB_MIN, VOCAB_MAX, "tokens (512)" },
	{ "--ctx", offsetof(struct options, ctx), 32, 1 << 20, "context it was made for (2048)" },
	{ "--window", offsetof(struct options, window), 32, 1 << 20, "sliding window of gemma3 (512)" },
	{ "--seed", offsetof(struct options, seed), 0, UINT32_MAX, "of the weights (42)" },
};
/* clang-format on */

enum { EXIT_WRONG = 2, EXIT_CANNOT = 5 }; /* as base/err.h numbers them */

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The model to write: the options, resolved. */
struct shape {
	struct options o;
	const struct arch *arch;
	enum ggml_type type;
	uint32_t file_type;
	uint64_t head;
	struct piece *pieces;
	float *lean_in, *lean_out; /* column 0 of the embedding and of the output */
	float *lean_none;          /* zeros: what reads the stream does not see the constant */
	struct tensor_out *tensors;
	uint32_t n_tensors;
	uint64_t data_bytes;
};

static int usage(void)
{
	printf("usage: modelgen -o FILE [options]\n"
	       "Write a small GGUF model with random weights, the same bytes for the same options.\n");
	for (size_t i = 0; i < N_OF(options); i++)
		printf("  %-10s  %s\n", options[i].name, options[i].help);
	printf("  --header-only  leave the weights out\n");
	return 0;
}

/* Says what is wrong in one sentence; returns the exit code. */
static int __attribute__((format(printf, 2, 3))) wrong(int code, const char *fmt, ...)
{
	va_list ap;

	fputs("modelgen: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

static int read_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *v)
{
	char *end;

	errno = 0;
	*v = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || *v < min || *v > max)
		return wrong(EXIT_WRONG, "%s wants a whole number from %llu to %llu, not '%s'",
			     name, (unsigned long long)min, (unsigned long long)max, text);
	return 0;
}

static int read_option(struct options *o, const char *name, const char *value)
{
	for (size_t i = 0; i < N_OF(options); i++) {
		char *member = (char *)o + options[i].offset;

		if (strcmp(name, options[i].name))
			continue;
		if (!value)
			return wrong(EXIT_WRONG, "%s wants a value", name);
		if (options[i].max)
			return read_number(name, value, options[i].min, options[i].max,
					   (uint64_t *)(void *)member);
		memcpy(member, &value, sizeof(value));
		return 0;
	}
	return wrong(EXIT_WRONG, "unknown option '%s'; try --help", name);
}

static int apply_size(struct options *o)
{
	const char *name = o->size_name ? o->size_name : "tiny";

	for (size_t i = 0; i < N_OF(sizes); i++) {
		if (strcmp(sizes[i].name, name))
			continue;
		o->layers = sizes[i].layers;
		o->embd = sizes[i].embd;
		o->ff = sizes[i].ff;
		o->heads = sizes[i].heads;
		o->kv_heads = sizes[i].kv_heads;
		o->vocab = sizes[i].vocab;
		return 0;
	}
	return wrong(EXIT_WRONG, "--size is tiny, small or demo, not '%s'", name);
}

/* Twice over the arguments: --size first, then what overrides it. Returns -1 after --help. */
static int read_options(struct options *o, int argc, char **argv)
{
	struct options first = { 0 };

	for (int pass = 0; pass < 2; pass++) {
		for (int i = 1; i < argc; i++) {
			int rc;

			if (!strcmp(argv[i], "--help"))
				return usage(), -1;
			if (!strcmp(argv[i], "--header-only")) {
				o->header_only = true;
				continue;
			}
			rc = read_option(pass ? o : &first, argv[i], argv[i + 1]);
			if (rc)
				return rc;
			i++;
		}
		o->size_name = first.size_name;
		if (pass == 0 && apply_size(o))
			return EXIT_WRONG;
	}
	return 0;
}

static int resolve(struct shape *s)
{
	const struct options *o = &s->o;

	for (size_t i = 0; i < N_OF(archs); i++)
		if (!strcmp(archs[i].name, o->arch_name))
			s->arch = &archs[i];
	if (!s->arch)
		return wrong(EXIT_WRONG, "--arch is llama, qwen3 or gemma3, not '%s'",
			     o->arch_name);
	s->file_type = UINT32_MAX;
	for (size_t i = 0; i < N_OF(types); i++) {
		if (strcmp(types[i].name, o->type_name))
			continue;
		s->type = types[i].type;
		s->file_type = types[i].file_type;
	}
	if (s->file_type == UINT32_MAX)
		return wrong(EXIT_WRONG, "--type is f32, f16 or q8_0, not '%s'", o->type_name);
	if (o->embd % o->heads || o->embd / o->heads % 2)
		return wrong(EXIT_WRONG, "--embd %llu does not give %llu heads an even width each",
			     (unsigned long long)o->embd, (unsigned long long)o->heads);
	if (o->heads % o->kv_heads)
		return wrong(EXIT_WRONG, "--heads %llu is no multiple of --kv-heads %llu",
			     (unsigned long long)o->heads, (unsigned long long)o->kv_heads);
	s->head = o->embd / o->heads;
	if (s->type == GGML_Q8_0 && (o->embd % 32 || o->ff % 32))
		return wrong(EXIT_WRONG,
			     "q8_0 packs 32 weights: --embd and --ff must be multiples of 32");
	if (!o->out)
		return wrong(EXIT_WRONG, "give the file to write with -o FILE");
	return 0;
}

/* 1 / sqrt(n) by Newton's method: the same bits everywhere, and no libm. */
static float shrink(uint64_t n)
{
	double x = 1;

	for (int i = 0; i < 64; i++)
		x = (x + (double)n / x) / 2;
	return (float)(1 / x);
}

static void add(struct shape *s, enum ggml_type type, const char *name, uint64_t columns,
		uint64_t rows, struct draw draw)
{
	struct tensor_out *t = &s->tensors[s->n_tensors++];

	snprintf(t->name, sizeof(t->name), "%s.weight", name);
	t->type = type;
	t->ne[0] = columns;
	t->ne[1] = rows;
	t->n_dims = rows > 1 ? 2 : 1;
	t->offset = s->data_bytes;
	t->draw = draw;
	s->data_bytes += (row_bytes(type, columns) * rows + GGUF_ALIGN - 1) / GGUF_ALIGN *
			 GGUF_ALIGN;
}

static void add_norm(struct shape *s, const char *name, uint64_t n, float fixed)
{
	add(s, GGML_F32, name, n, 1, (struct draw) { .fixed = fixed });
}

/*
 * Gains: sharp attention (q and k above unit width) makes the next token depend on the whole text, or
 * greedy sampling would soon run in a circle. What a block adds to the stream leaves row 0 alone.
 */
static void add_layer(struct shape *s, uint64_t il)
{
	const struct options *o = &s->o;
	uint64_t kv = o->kv_heads * s->head;
	float in = shrink(o->embd);
	float post = 32 * shrink(2 * o->layers); /* keeps the stream far above the embedding */
	char name[48];

#define NAME(part) (snprintf(name, sizeof(name), "blk.%u.%s", (unsigned)il, part), name)
	add_norm(s, NAME("attn_norm"), o->embd, 1);
	add(s, s->type, NAME("attn_q"), o->embd, o->embd,
	    (struct draw) { .std = 2 * in, .column0 = s->lean_none });
	add(s, s->type, NAME("attn_k"), o->embd, kv,
	    (struct draw) { .std = 2 * in, .column0 = s->lean_none });
	add(s, s->type, NAME("attn_v"), o->embd, kv,
	    (struct draw) { .std = in, .column0 = s->lean_none });
	add(s, s->type, NAME("attn_output"), o->embd, o->embd,
	    (struct draw) { .std = 1.5f * in, .row0_zero = true });
	if (s->arch->norms_qk) {
		add_norm(s, NAME("attn_q_norm"), s->head, 2);
		add_norm(s, NAME("attn_k_norm"), s->head, 2);
	}
	if (s->arch->norms_post)
		add_norm(s, NAME("post_attention_norm"), o->embd, post);
	add_norm(s, NAME("ffn_norm"), o->embd, 1);
	add(s, s->type, NAME("ffn_gate"), o->embd, o->ff,
	    (struct draw) { .std = in, .column0 = s->lean_none });
	add(s, s->type, NAME("ffn_up"), o->embd, o->ff,
	    (struct draw) { .std = in, .column0 = s->lean_none });
	add(s, s->type, NAME("ffn_down"), o->ff, o->embd,
	    (struct draw) { .std = 1.5f * shrink(o->ff), .row0_zero = true });
	if (s->arch->norms_post)
		add_norm(s, NAME("post_ffw_norm"), o->embd, post);
#undef NAME
}

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

static void add_tensors(struct shape *s)
{
	const struct options *o = &s->o;
	float sharp = 3 * shrink(o->embd); /* logits of deviation 3 */

	lean(s);
	add(s, s->type, "token_embd", o->embd, o->vocab,
	    (struct draw) { .std = s->arch->tied ? sharp : 1, .column0 = s->lean_in });
	for (uint64_t i = 0; i < o->layers; i++)
		add_layer(s, i);
	add_norm(s, "output_norm", o->embd, 1);
	if (!s->arch->tied)
		add(s, s->type, "output", o->embd, o->vocab,
		    (struct draw) { .std = sharp, .column0 = s->lean_out });
}

static uint32_t write_arch_keys(struct gguf *g, const struct shape *s)
{
	const struct options *o = &s->o;
	uint32_t n = 0;
	char key[96];

#define KEY(part) (n++, snprintf(key, sizeof(key), "%s.%s", s->arch->name, part), key)
	gguf_kv_u32(g, KEY("vocab_size"), (uint32_t)o->vocab);
	gguf_kv_u32(g, KEY("context_length"), (uint32_t)o->ctx);
	gguf_kv_u32(g, KEY("embedding_length"), (uint32_t)o->embd);
	gguf_kv_u32(g, KEY("block_count"), (uint32_t)o->layers);
	gguf_kv_u32(g, KEY("feed_forward_length"), (uint32_t)o->ff);
	gguf_kv_u32(g, KEY("attention.head_count"), (uint32_t)o->heads);
	gguf_kv_u32(g, KEY("attention.head_count_kv"), (uint32_t)o->kv_heads);
	gguf_kv_u32(g, KEY("attention.key_length"), (uint32_t)s->head);
	gguf_kv_u32(g, KEY("attention.value_length"), (uint32_t)s->head);
	gguf_kv_f32(g, KEY("attention.layer_norm_rms_epsilon"), 1e-6f);
	gguf_kv_u32(g, KEY("rope.dimension_count"), (uint32_t)s->head);
	gguf_kv_f32(g, KEY("rope.freq_base"), s->arch->rope_base);
	if (s->arch->slides)
		gguf_kv_u32(g, KEY("attention.sliding_window"), (uint32_t)o->window);
#undef KEY
	return n;
}

static uint32_t write_tokenizer(struct gguf *g, const struct shape *s)
{
	uint64_t n = s->o.vocab;

	gguf_kv_string(g, "tokenizer.ggml.model", "llama");
	gguf_kv_string(g, "tokenizer.ggml.pre", "default");
	gguf_array(g, "tokenizer.ggml.tokens", GGUF_STRING, n);
	for (uint64_t i = 0; i < n; i++)
		gguf_string(g, s->pieces[i].text);
	gguf_array(g, "tokenizer.ggml.scores", GGUF_F32, n);
	for (uint64_t i = 0; i < n; i++)
		gguf_bytes(g, &s->pieces[i].score, sizeof(float));
	gguf_array(g, "tokenizer.ggml.token_type", GGUF_I32, n);
	for (uint64_t i = 0; i < n; i++)
		gguf_bytes(g, &s->pieces[i].type, sizeof(int32_t));
	gguf_kv_u32(g, "tokenizer.ggml.unknown_token_id", 0);
	gguf_kv_u32(g, "tokenizer.ggml.bos_token_id", 1);
	gguf_kv_u32(g, "tokenizer.ggml.eos_token_id", 2);
	gguf_kv_bool(g, "tokenizer.ggml.add_bos_token", true);
	gguf_kv_bool(g, "tokenizer.ggml.add_eos_token", false);
	gguf_kv_bool(g, "tokenizer.ggml.add_space_prefix", true);
	return 11;
}

static uint32_t write_keys(struct gguf *g, const struct shape *s)
{
	gguf_kv_string(g, "general.architecture", s->arch->name);
	gguf_kv_string(g, "general.name", "random words");
	gguf_kv_string(g, "general.description", "random weights: the text means nothing");
	gguf_kv_u32(g, "general.file_type", s->file_type);
	gguf_kv_u32(g, "general.quantization_version", 2);
	gguf_kv_u32(g, "general.alignment", GGUF_ALIGN);
	return 6 + write_arch_keys(g, s) + write_tokenizer(g, s);
}

/* The count of keys stands before them: write them once into nothing to count. */
static uint32_t count_keys(const struct shape *s)
{
	struct gguf g = { .failed = true };

	return write_keys(&g, s);
}

static void write_model(struct gguf *g, const struct shape *s)
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
		weights_write(g, &s->tensors[i], s->o.seed, i);
}

/* The file appears complete, by rename, or not at all. */
static int write_file(const struct shape *s)
{
	struct gguf g = { 0 };
	char temp[4096];

	if (snprintf(temp, sizeof(temp), "%s.%d.tmp", s->o.out, (int)getpid()) >= (int)sizeof(temp))
		return wrong(EXIT_WRONG, "the path given with -o is too long");
	g.f = fopen(temp, "wbx");
	if (!g.f)
		return wrong(EXIT_CANNOT, "cannot write %s: %s", temp, strerror(errno));
	write_model(&g, s);
	if (fclose(g.f) || g.failed || rename(temp, s->o.out)) {
		int rc = errno;

		unlink(temp);
		return wrong(EXIT_CANNOT, "cannot write %s: %s", s->o.out, strerror(rc));
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct shape s = { .o = { .arch_name = "llama",
				  .type_name = "f16",
				  .ctx = 2048,
				  .window = 512,
				  .seed = 42 } };
	int rc = read_options(&s.o, argc, argv);

	if (rc)
		return rc < 0 ? 0 : rc;
	rc = resolve(&s);
	if (rc)
		return rc;
	s.pieces = calloc(s.o.vocab, sizeof(*s.pieces));
	s.lean_in = calloc(s.o.vocab, sizeof(float));
	s.lean_out = calloc(s.o.vocab, sizeof(float));
	s.lean_none = calloc(s.o.ff > s.o.embd ? s.o.ff : s.o.embd, sizeof(float));
	s.tensors = calloc(TENSORS_MAX, sizeof(*s.tensors));
	if (s.pieces && s.lean_in && s.lean_out && s.lean_none && s.tensors) {
		vocab_fill(s.pieces, (uint32_t)s.o.vocab);
		add_tensors(&s);
		rc = write_file(&s);
	} else {
		rc = wrong(EXIT_CANNOT, "out of memory");
	}
	free(s.pieces);
	free(s.lean_in);
	free(s.lean_out);
	free(s.lean_none);
	free(s.tensors);
	return rc;
}
