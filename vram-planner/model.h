/* SPDX-License-Identifier: MIT */
/*
 * Facts of a model, read from the header of a GGUF file: metadata and the tensor table, no data. The
 * file is hostile: every count and offset is checked before it is used, and a truncated or absurd
 * header is -EBADMSG with one sentence. Reading never allocates more than the file could justify.
 */
#ifndef BERTH_MODEL_H
#define BERTH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tensor {
	const char *name; /* not NUL-terminated; points into the model's bytes */
	uint32_t name_len;
	uint32_t type; /* ggml type id */
	uint32_t n_dims;
	uint64_t ne[4];
	uint64_t offset; /* in the data part */
	uint64_t bytes;  /* as stored */
	int32_t layer;   /* block number, -1: none */
	uint32_t shard;  /* of a split model, from 0 */
};

struct model; /* opaque: owns the header's bytes and the tables */

/*
 * Open and read the header. 0; -EBADMSG not a sound GGUF; -ENOENT, -EACCES, -EISDIR... Of a split model
 * any shard may be named: the first one becomes the model, with the tensors of all.
 */
int model_open(struct model **m, const char *path, struct err *e);

/*
 * The file here that a person means by `what`: its path, or the name that a local store (Ollama, LM
 * Studio, llama.cpp, Hugging Face's cache) has for it. -ENOENT; -EINVAL when several have it, or when
 * it is on a server and would have to be fetched first.
 */
int model_find(char *path, size_t size, const char *what, struct err *e);

/* model_open() from bytes in memory (they must outlive the model); `size` is all there is: one shard. */
int model_from_bytes(struct model **m, const void *bytes, uint64_t size, struct err *e);
void model_close(struct model *m);

const char *model_path(const struct model *m);    /* the first shard's; "" when from bytes */
const char *model_arch(const struct model *m);    /* "llama" */
const char *model_name(const struct model *m);    /* general.name, else the file's name; cleaned */
uint64_t model_size_bytes(const struct model *m); /* of the file, or of all shards, as it is */
uint64_t model_header_bytes(const struct model *m); /* up to the end of the tensor table */

/* Of the header; of a split model: of the shards' hex hashes, one after the other. */
void model_header_sha256(const struct model *m, char hex[65]);
uint32_t model_n_shards(const struct model *m); /* 1 when not split */

/* What was taken for granted to read it, in words; NULL after the last. */
const char *model_note(const struct model *m, uint32_t i);

/*
 * Bytes the file must have for all tensors; more than model_size_bytes() means truncated data. A
 * header-only file can be planned, not launched.
 */
uint64_t model_expected_bytes(const struct model *m);

uint32_t model_n_tensors(const struct model *m);
const struct tensor *model_tensor(const struct model *m, uint32_t i);
const struct tensor *model_find_tensor(const struct model *m, const char *name);

/* Integer metadata "<arch>.<key>" (or the whole key when it has the arch already). false: absent. */
bool model_u64(const struct model *m, const char *key, uint64_t *v);

/* Element i of an integer or bool array, or the scalar itself for every i. false: absent or short. */
bool model_u64_at(const struct model *m, const char *key, uint32_t i, uint64_t *v);
/* The same for numbers of any type, scalars and arrays alike. false: absent, short or no number. */
bool model_f64_at(const struct model *m, const char *key, uint32_t i, double *v);
/* A text, cut to fit and cleaned for a terminal; the whole key. false: absent or not a text. */
bool model_text(const struct model *m, const char *key, char *buf, size_t size);
bool model_has_array(const struct model *m, const char *key, uint64_t *n);

/* Size in bytes of n weights of a ggml type (n a multiple of its block); false: unknown type. */
bool quant_bytes(uint32_t type, uint64_t n, uint64_t *bytes);
/* Weights and bytes of one block of a type; false, and nothing set: unknown type. */
bool quant_block(uint32_t type, uint32_t *weights, uint32_t *bytes);
const char *quant_name(uint32_t type);                  /* "q4_K"; NULL: unknown */
bool quant_from_name(const char *name, uint32_t *type); /* any case */
bool quant_is_blocked(uint32_t type); /* weights share scales in blocks: all but plain numbers */

#endif
