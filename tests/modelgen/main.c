/* SPDX-License-Identifier: MIT */
/* modelgen: writes a small GGUF model with random weights. See modelgen_priv.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/modelgen/modelgen_priv.h"

static const struct {
	const char *name;
	enum ggml_type type;
	uint32_t file_type; /* general.file_type: the engine's llama_ftype */
} types[] = {
	{ "f32", GGML_F32, 0 },
	{ "f16", GGML_F16, 1 },
	{ "q8_0", GGML_Q8_0, 7 },
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
	{ "--arch", offsetof(struct options, arch_name), 0, 0, "llama, qwen3, gemma3, qwen3moe, lfm2, mamba or bert (llama)" },
	{ "--type", offsetof(struct options, type_name), 0, 0, "of the matrices: f32, f16 or q8_0 (f16)" },
	{ "--size", offsetof(struct options, size_name), 0, 0, "tiny, small or demo; the options below override it" },
	{ "--layers", offsetof(struct options, layers), 1, LAYERS_MAX, "repeating layers (8)" },
	{ "--embd", offsetof(struct options, embd), 32, 8192, "width (256)" },
	{ "--ff", offsetof(struct options, ff), 32, 32768, "width of the feed-forward part (512)" },
	{ "--heads", offsetof(struct options, heads), 1, 256, "attention heads (8)" },
	{ "--kv-heads", offsetof(struct options, kv_heads), 1, 256, "heads of keys and values (4)" },
	{ "--vocab", offsetof(struct options, vocab), VOCAB_MIN, VOCAB_MAX, "tokens (512)" },
	{ "--ctx", offsetof(struct options, ctx), 32, 1 << 20, "context it was made for (2048)" },
	{ "--window", offsetof(struct options, window), 32, 1 << 20, "sliding window of gemma3 (512)" },
	{ "--experts", offsetof(struct options, experts), 2, 256, "experts of qwen3moe (8)" },
	{ "--experts-used", offsetof(struct options, experts_used), 1, 256, "of them a token; each is --ff wide divided by that (2)" },
	{ "--gaps", offsetof(struct options, gaps), 0, 1, "1: its last three tokens ask it to fill a gap (0)" },
	{ "--deciding", offsetof(struct options, deciding), 1, LAYERS_MAX, "layers that matter (all); a model of --layers so many is its draft" },
	{ "--seed", offsetof(struct options, seed), 0, UINT32_MAX, "of the weights (42)" },
};
/* clang-format on */

enum { EXIT_WRONG = 2, EXIT_CANNOT = 5 }; /* as base/err.h numbers them */

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

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

	s->arch = arch_find(o->arch_name);
	if (!s->arch)
		return wrong(
			EXIT_WRONG,
			"--arch is llama, qwen3, gemma3, qwen3moe, lfm2, mamba or bert, not '%s'",
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
	if (s->arch->experts && (o->experts_used > o->experts || o->ff % o->experts_used))
		return wrong(
			EXIT_WRONG,
			"--experts-used %llu is more than --experts %llu, or does not divide --ff %llu",
			(unsigned long long)o->experts_used, (unsigned long long)o->experts,
			(unsigned long long)o->ff);
	if (s->type == GGML_Q8_0 && (o->embd % 32 || o->ff % 32))
		return wrong(EXIT_WRONG,
			     "q8_0 packs 32 weights: --embd and --ff must be multiples of 32");
	if (!o->out)
		return wrong(EXIT_WRONG, "give the file to write with -o FILE");
	return 0;
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
				  .experts = 8,
				  .experts_used = 2,
				  .deciding = LAYERS_MAX,
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
	s.tensors = calloc(TENSORS_MAX, sizeof(*s.tensors));
	if (s.pieces && s.lean_in && s.lean_out && s.tensors) {
		vocab_fill(s.pieces, (uint32_t)s.o.vocab);
		add_tensors(&s);
		rc = write_file(&s);
	} else {
		rc = wrong(EXIT_CANNOT, "out of memory");
	}
	free(s.pieces);
	free(s.lean_in);
	free(s.lean_out);
	free(s.tensors);
	return rc;
}
