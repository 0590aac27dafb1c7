/* SPDX-License-Identifier: MIT */
/*
 * A generator of small models for tests and the demo: a GGUF v3 file with a working tokenizer and
 * random weights. The same options give the same bytes. It knows the format by its specification and
 * links nothing of an engine.
 */
#ifndef BERTH_MODELGEN_PRIV_H
#define BERTH_MODELGEN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* --- vocab.c --- */

#define VOCAB_MIN 384   /* the fixed part (control, bytes, characters) and a few words */
#define VOCAB_MAX 65536 /* what three synthetic syllables and a 64 bit test need; keep it sane */
#define PIECE_MAX 32

/* What kind of piece a token is; the output matrix favours words, so that random text is readable. */
enum piece_kind {
	PIECE_CONTROL,
	PIECE_BYTE,
	PIECE_CHAR,
	PIECE_PART,
	PIECE_INVENTED,
	PIECE_WORD,
	PIECE_KINDS
};

struct piece {
	char text[PIECE_MAX];
	float score;
	int32_t type; /* the token types of GGUF: 1 normal, 2 unknown, 3 control, 6 byte */
	enum piece_kind kind;
};

/* Fill exactly n pieces (VOCAB_MIN..VOCAB_MAX). */
void vocab_fill(struct piece *pieces, uint32_t n);

/* --- gguf.c --- */

/* Ids of the format. */
enum ggml_type { GGML_F32 = 0, GGML_F16 = 1, GGML_Q8_0 = 8 };

/* How the weights of a tensor are drawn. */
struct draw {
	float std; /* standard deviation; 0: all weights are `fixed` */
	float fixed;
	/*
	 * Column 0 of every row carries a constant through the whole net, by which the output favours
	 * some pieces: NULL leaves column 0 random.
	 */
	const float *column0; /* one value a row */
	bool row0_zero;       /* nothing is added to the constant: row 0 is zero */
};

struct tensor_out {
	char name[64];
	enum ggml_type type;
	uint64_t ne[2]; /* columns, rows; rows 1 and a vector: n_dims 1 */
	uint32_t n_dims;
	uint64_t offset;
	struct draw draw;
};

/* A file being written. Errors stick: check gguf_failed() once at the end. */
struct gguf {
	FILE *f;
	uint64_t at;
	bool failed;
};

void gguf_bytes(struct gguf *g, const void *bytes, size_t n);
void gguf_u32(struct gguf *g, uint32_t v);
void gguf_u64(struct gguf *g, uint64_t v);
void gguf_string(struct gguf *g, const char *s);
void gguf_key(struct gguf *g, const char *key, uint32_t type);
void gguf_kv_u32(struct gguf *g, const char *key, uint32_t v);
void gguf_kv_f32(struct gguf *g, const char *key, float v);
void gguf_kv_bool(struct gguf *g, const char *key, bool v);
void gguf_kv_string(struct gguf *g, const char *key, const char *v);
void gguf_array(struct gguf *g, const char *key, uint32_t type, uint64_t n);
void gguf_align(struct gguf *g);

#define GGUF_ALIGN 32
enum gguf_type {
	GGUF_U32 = 4,
	GGUF_I32 = 5,
	GGUF_F32 = 6,
	GGUF_BOOL = 7,
	GGUF_STRING = 8,
	GGUF_ARRAY = 9,
};

/* --- weights.c --- */

/* Bytes of one row of `columns` weights. Q8_0 needs a multiple of 32. */
uint64_t row_bytes(enum ggml_type type, uint64_t columns);

/* Draw and write a tensor. `seed` is the file's seed, `index` the tensor's number. */
void weights_write(struct gguf *g, const struct tensor_out *t, uint64_t seed, uint32_t index);

#endif
