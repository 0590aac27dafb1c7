/* SPDX-License-Identifier: MIT */
/* Checkpoints in Hugging Face's format: the names and shapes of their tensors. Foreign bytes. */
#ifndef BERTH_SAFETENSORS_H
#define BERTH_SAFETENSORS_H

#include <stdint.h>

#include "base/err.h"
#include "vram-planner/reader.h"

#define SAFETENSORS_HEADER_MAX (64 << 20)
#define SAFETENSORS_INDEX_MAX  (64 << 20)

/* One tensor; n_dims is UINT32_MAX where only its name is known. The fastest dimension is the last. */
struct st_tensor {
	const char *name;
	const char *dtype; /* "BF16"; "" unknown */
	uint32_t n_dims;
	uint64_t shape[4];
};

struct st_reader {
	int (*tensor)(void *arg, const struct st_tensor *t, struct err *e); /* not 0: stop */
	int (*file)(void *arg, const char *name,
		    struct err *e); /* an index: each shard once; may be NULL */
	void *arg;
};

/* The JSON of a file's header. 0, what a callback returned, or -EBADMSG. */
int safetensors_header(const char *json, uint64_t n, const struct st_reader *r, struct err *e);

/* "model.safetensors.index.json": names of tensors, and the files that hold them. */
int safetensors_index(const char *json, uint64_t n, const struct st_reader *r, struct err *e);

/* The header of a file: its length of 8 bytes, checked, then safetensors_header(). */
int safetensors_file(struct reader *file, const struct st_reader *r, struct err *e);

#endif
