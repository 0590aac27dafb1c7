/* SPDX-License-Identifier: MIT */
#include "vram-planner/gguf_write.h"

#include <stdlib.h>
#include <string.h>

#include "vram-planner/model.h"
#include "vram-planner/round.h"

#define ALIGNMENT 32 /* the format's default */
#define COUNTS_AT 8  /* tensors, then pairs */

static void put(struct gguf_writer *w, const void *p, size_t n)
{
	if (w->failed)
		return;
	if (n > w->room - w->n) {
		size_t room = 2 * (w->n + n) + 4096;
		uint8_t *grown = realloc(w->bytes, room);

		if (!grown) {
			w->failed = true;
			return;
		}
		w->bytes = grown;
		w->room = room;
	}
	memcpy(w->bytes + w->n, p, n);
	w->n += n;
}

static void put_u32(struct gguf_writer *w, uint32_t v)
{
	put(w, &v, sizeof(v));
}

static void put_u64(struct gguf_writer *w, uint64_t v)
{
	put(w, &v, sizeof(v));
}

static void put_text(struct gguf_writer *w, const char *s)
{
	put_u64(w, strlen(s));
	put(w, s, strlen(s));
}

void gguf_write_begin(struct gguf_writer *w)
{
	*w = (struct gguf_writer) { 0 };
	put(w, "GGUF", 4);
	put_u32(w, 3);
	put_u64(w, 0);
	put_u64(w, 0);
}

/* The numbers are the format's value types. */
static void put_key(struct gguf_writer *w, const char *key, uint32_t type)
{
	put_text(w, key);
	put_u32(w, type);
	w->n_kvs++;
}

void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
	put_key(w, key, 4);
	put_u32(w, v);
}

void gguf_write_f32(struct gguf_writer *w, const char *key, float v)
{
	put_key(w, key, 6);
	put(w, &v, sizeof(v));
}

void gguf_write_text(struct gguf_writer *w, const char *key, const char *v)
{
	put_key(w, key, 8);
	put_text(w, v);
}

void gguf_write_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
		       const uint64_t *ne)
{
	uint64_t weights = 1, bytes;

	put_text(w, name);
	put_u32(w, n_dims);
	for (uint32_t i = 0; i < n_dims; i++) {
		put_u64(w, ne[i]);
		w->failed = w->failed || __builtin_mul_overflow(weights, ne[i], &weights);
	}
	put_u32(w, type);
	put_u64(w, w->data_bytes);
	w->n_tensors++;
	if (w->failed || !quant_bytes(type, weights, &bytes) || bytes > INT64_MAX / 4 ||
	    __builtin_add_overflow(w->data_bytes, round_up(bytes, ALIGNMENT), &w->data_bytes))
		w->failed = true;
}

uint8_t *gguf_write_end(struct gguf_writer *w, uint64_t *n, uint64_t *total)
{
	if (!w->failed) {
		memcpy(w->bytes + COUNTS_AT, &w->n_tensors, 8);
		memcpy(w->bytes + COUNTS_AT + 8, &w->n_kvs, 8);
		*n = w->n;
		*total = round_up(w->n, ALIGNMENT) + w->data_bytes;
		return w->bytes;
	}
	free(w->bytes);
	return NULL;
}
