/* SPDX-License-Identifier: MIT */
/* A GGUF header made in memory: for models that are not in the format yet. */
#ifndef BERTH_GGUF_WRITE_H
#define BERTH_GGUF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pairs first, then tensors. `failed` is sticky: no memory, or a size that cannot be. */
struct gguf_writer {
	uint8_t *bytes; /* owned; taken by gguf_write_end() */
	size_t n, room;
	uint64_t n_tensors, n_kvs;
	uint64_t data_bytes; /* of the tensors so far, padded */
	bool failed;
};

void gguf_write_begin(struct gguf_writer *w);
void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_write_f32(struct gguf_writer *w, const char *key, float v);
void gguf_write_text(struct gguf_writer *w, const char *key, const char *v);
void gguf_write_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
		       const uint64_t *ne);

/* The finished bytes, which the caller owns; NULL when it failed. *n of them, *total with the data. */
uint8_t *gguf_write_end(struct gguf_writer *w, uint64_t *n, uint64_t *total);

#endif
