/* SPDX-License-Identifier: MIT */
/* Reads the engine's log: layers, buffers, errors. The patterns are those of llama.cpp v0.5.0. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/enginelog.h"

/* The last word before "buffer size", as printed by llama-model.cpp, llama-context.cpp,
 * llama-kv-cache.cpp, llama-adapter.cpp, llama-memory-recurrent.cpp and llama-kv-cache-dsv4.cpp. */
static const struct {
	const char *word;
	enum buffer_kind kind;
} words[] = {
	{ "model", BUFFER_WEIGHTS }, { "KV", BUFFER_KV },           { "RS", BUFFER_KV },
	{ "state", BUFFER_KV },      { "compute", BUFFER_COMPUTE }, { "output", BUFFER_OUTPUT },
	{ "LoRA", BUFFER_WEIGHTS },
};

/* How the backends say that an allocation failed (ggml-backend, ggml-cuda, ggml-vulkan, ggml-alloc). */
static const char *const no_memory_words[] = {
	"out of memory",          "OutOfDeviceMemory",
	"OutOfHostMemory",        "failed to allocate",
	"unable to allocate",     "cudaMalloc failed",
	"failed to alloc",        "Device memory allocation of size",
	"cannot allocate memory", "std::bad_alloc",
	"Cannot allocate memory", /* the C library's words for ENOMEM, of a mapping */
};

static const char *const kind_names[] = {
	[BUFFER_WEIGHTS] = "weights", [BUFFER_KV] = "kv",       [BUFFER_COMPUTE] = "compute",
	[BUFFER_OUTPUT] = "output",   [BUFFER_OTHER] = "other",
};

const char *buffer_kind_name(enum buffer_kind k)
{
	return (unsigned)k < BUFFER_KIND_COUNT ? kind_names[k] : "other";
}

void enginelog_init(struct enginelog *l)
{
	memset(l, 0, sizeof(*l));
}

void enginelog_calm(struct enginelog *l)
{
	l->no_memory = false;
	l->error[0] = l->last_error[0] = 0;
}

/* Copy the word at s (up to a space, a comma or the end) into out. Returns what follows it. */
static const char *word(const char *s, char *out, size_t size)
{
	size_t n = strcspn(s, " ,\t");

	if (size > 0) {
		size_t keep = n < size ? n : size - 1;

		memcpy(out, s, keep);
		out[keep] = 0;
		text_clean(out);
	}
	return s + n;
}

/* Digits at *s into *v; false when there are none or too many to be sane. Moves *s behind them. */
static bool digits(const char **s, uint64_t *v)
{
	const char *p = *s;

	*v = 0;
	while (*p >= '0' && *p <= '9' && p - *s < 12)
		*v = *v * 10 + (uint64_t)(*p++ - '0');
	if (p == *s || (*p >= '0' && *p <= '9'))
		return false;
	*s = p;
	return true;
}

/* "    4.20 MiB" -> bytes. The engine prints exactly two decimals. */
static bool mebibytes(const char *s, uint64_t *bytes)
{
	uint64_t whole, hundredths;

	s += strspn(s, " ");
	if (!digits(&s, &whole) || *s++ != '.')
		return false;
	const char *fraction = s;
	if (!digits(&s, &hundredths) || s - fraction != 2 || strncmp(s, " MiB", 4) != 0)
		return false;
	/* At most 10^12 MiB: no overflow below 2^64 */
	if (whole > UINT64_C(1) << 40)
		return false;
	*bytes = (whole << 20) + ((hundredths << 20) + 50) / 100;
	return true;
}

/* "load_tensors: loading model tensors, this can take a while... (load_mode = mmap)" */
static void start_line(struct enginelog *l, const char *line)
{
	static const char sign[] = "load_tensors: loading model tensors";

	if (strncmp(line, sign, sizeof(sign) - 1) != 0)
		return;
	memset(l->layers, 0, sizeof(l->layers));
	l->n_layers = l->n_buffers = l->n_left_out = l->n_caches = 0;
	l->cache_bytes = 0;
}

/* "load_tensors: layer   3 assigned to device CUDA0, is_swa = 0" */
static void layer_line(struct enginelog *l, const char *line)
{
	static const char before[] = "load_tensors: layer ", between[] = " assigned to device ";
	uint64_t layer;

	if (strncmp(line, before, sizeof(before) - 1) != 0)
		return;
	const char *s = line + sizeof(before) - 1;
	s += strspn(s, " ");
	if (!digits(&s, &layer) || strncmp(s, between, sizeof(between) - 1) != 0)
		return;
	if (layer >= ENGINELOG_LAYERS_MAX) {
		l->n_left_out++;
		return;
	}
	word(s + sizeof(between) - 1, l->layers[layer], sizeof(l->layers[layer]));
	if (layer >= l->n_layers)
		l->n_layers = (uint32_t)layer + 1;
}

/* "load_tensors:        CUDA0 model buffer size =     4.20 MiB" */
static void buffer_line(struct enginelog *l, const char *line)
{
	static const char sign[] = " buffer size = ";
	struct engine_buffer b = { .kind = BUFFER_OTHER };
	const char *at = strstr(line, sign), *s = strstr(line, ": ");

	if (!at || !s || s > at || !mebibytes(at + sizeof(sign) - 1, &b.bytes))
		return;
	s += 2 + strspn(s + 2, " ");
	s = word(s, b.name, sizeof(b.name));
	if (s >= at || b.name[0] == 0)
		return;
	const char *last = at;
	while (last > s && last[-1] != ' ')
		last--;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].word) == (size_t)(at - last) &&
		    strncmp(last, words[i].word, (size_t)(at - last)) == 0)
			b.kind = words[i].kind;
	if (l->n_buffers == ENGINELOG_BUFFERS_MAX) {
		l->n_left_out++;
		return;
	}
	l->buffers[l->n_buffers++] = b;
}

/*
 * "llama_kv_cache: size =  256.00 MiB (  2048 cells, ...", "llama_memory_recurrent: size = ...", and
 * of DeepSeek V4's states "llama_dsv4_comp_state: csa ratio = 4, ..., size =    1.00 MiB"
 */
static void cache_line(struct enginelog *l, const char *line)
{
	static const char sign[] = "size = ", later[] = ", size = ";
	const char *s = strstr(line, ": "), *at;
	uint64_t bytes;

	if (strncmp(line, "llama_", 6) != 0 || !s)
		return;
	s += 2;
	if (strncmp(s, sign, sizeof(sign) - 1) == 0)
		at = s + sizeof(sign) - 1;
	else if ((at = strstr(s, later)) != NULL)
		at += sizeof(later) - 1;
	/* "creating SWA KV cache, size = 1024 cells" is no size */
	if (!at || !mebibytes(at, &bytes) ||
	    __builtin_add_overflow(l->cache_bytes, bytes, &l->cache_bytes))
		return;
	l->n_caches++;
}

static void error_line(struct enginelog *l, const char *line)
{
	for (size_t i = 0; i < sizeof(no_memory_words) / sizeof(no_memory_words[0]); i++)
		if (strstr(line, no_memory_words[i]))
			l->no_memory = true;
	text_copy(l->last_error, sizeof(l->last_error), line);
	text_trim(text_clean(l->last_error));
	if (l->error[0] == 0)
		memcpy(l->error, l->last_error, sizeof(l->error));
}

static void end_line(struct enginelog *l)
{
	l->line[l->len] = 0;
	if (l->line_is_error && l->line[strspn(l->line, " \t.")] != 0)
		error_line(l, l->line);
	start_line(l, l->line);
	layer_line(l, l->line);
	buffer_line(l, l->line);
	cache_line(l, l->line);
	l->len = 0;
	l->line_is_error = false;
}

void enginelog_feed(struct enginelog *l, bool is_error, const char *text)
{
	if (is_error)
		l->line_is_error = true;
	for (; *text; text++) {
		if (*text == '\n')
			end_line(l);
		else if (l->len < sizeof(l->line) - 1)
			l->line[l->len++] = *text;
	}
}
