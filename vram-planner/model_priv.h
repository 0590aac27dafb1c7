/* SPDX-License-Identifier: MIT */
/* The inside of a model: what gguf.c found in the header, for model.c to answer from. */
#ifndef BERTH_MODEL_PRIV_H
#define BERTH_MODEL_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vram-planner/model.h"

/* Value types of the format (GGUF specification, "gguf_metadata_value_type"). */
enum kv_type {
	KV_U8,
	KV_I8,
	KV_U16,
	KV_I16,
	KV_U32,
	KV_I32,
	KV_F32,
	KV_BOOL,
	KV_TEXT,
	KV_ARRAY,
	KV_U64,
	KV_I64,
	KV_F64,
	KV_COUNT
};

struct kv {
	const char *key; /* not NUL-terminated */
	uint32_t key_len;
	enum kv_type type; /* of the value, or of the elements when is_array */
	bool is_array;
	uint64_t n;           /* elements; 1 for a scalar */
	const uint8_t *value; /* the payload; for a text its 8-byte length first */
};

#define MODEL_NOTES_MAX 6

struct model {
	uint8_t *owned; /* the bytes, when we read them from a file */
	const uint8_t *bytes;
	uint64_t size;      /* of the bytes at hand */
	uint64_t file_size; /* of the file; equals size when from bytes */
	char path[1024];
	char arch[48];
	char name[120];

	struct kv *kvs; /* sorted by key */
	uint64_t n_kvs;
	struct tensor *tensors; /* in the file's order */
	uint32_t *by_name;      /* indices of tensors, sorted by name */
	uint32_t n_tensors;

	uint64_t alignment;
	uint64_t header_bytes; /* where the tensor table ends */
	uint64_t data_bytes;   /* that all tensors take, each padded to the alignment */

	/*
	 * Of a split model: this is the first shard, with the metadata and the tensors of all;
	 * shards[1..n_shards) own the bytes that the others' names point into. n_shards is 0 otherwise.
	 */
	struct model **shards;
	uint32_t n_shards;

	uint32_t n_notes;
	char notes[MODEL_NOTES_MAX][160]; /* what was taken for granted to read it */
};

/*
 * Parse m->bytes into the tables. *more is set when the bytes ended before the header did and the
 * file (m->file_size) has more of them: read on and call again.
 */
int gguf_parse(struct model *m, bool *more, struct err *e);

/* Take over the tensors of the next shard. The shard's bytes must outlive the model. */
int gguf_append(struct model *m, const struct model *shard, struct err *e);

/* Fill the names from the metadata. -EBADMSG: there is no architecture. */
int model_identify(struct model *m, struct err *e);

/* Say what was taken for granted; more than there is room for is dropped. */
void model_add_note(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Free the tables that gguf_parse made, so that it can be called again. */
void gguf_forget(struct model *m);

/* The row of a key, NULL when absent. */
const struct kv *gguf_find(const struct model *m, const char *key);

#endif
