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
	float std; /* standard deviation; 0: all weights are `mean` */
	float mean;
	/*
	 * Column 0 of every row carries a constant through the whole net, by which the output favours
	 * some pieces: NULL leaves column 0 random.
	 */
	const float *column0; /* one value a row of each matrix */
	bool column0_zero;    /* what reads the stream does not see the constant */
	bool row0_zero;       /* nothing is added to the constant: row 0 of each matrix is zero */
};

struct tensor_out {
	char name[64];
	enum ggml_type type;
	uint64_t ne[3]; /* columns, rows, matrices (one an expert) */
	uint32_t n_dims;
	uint64_t offset;
	struct draw draw;
};

/* A file being written. Errors stick: look at `failed` once, at the end. */
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
void gguf_kv_u32s(struct gguf *g, const char *key, const uint32_t *v, uint64_t n);
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

/*
 * Draw and write a tensor. The file's seed and the tensor's name decide its weights: the same tensor
 * of a model with fewer layers is the same.
 */
void weights_write(struct gguf *g, const struct tensor_out *t, uint64_t seed);

/* --- families.c --- */

#define LAYERS_MAX  256
#define TENSORS_MAX (8 + LAYERS_MAX * 18)

struct shape;

/* What a family of models has. Most of it is what most have: attention, then a feed-forward part. */
struct arch {
	const char *name;
	void (*add_layer)(struct shape *s, uint64_t il);
	void (*add_first)(struct shape *s); /* what follows the embedding, where anything does */
	const char *output_norm;            /* its name; NULL: "output_norm" */
	bool norms_qk;                      /* q and k are normalised per head */
	bool norms_post; /* a norm after attention and after the feed-forward part */
	bool tied;       /* the output is the embedding */
	bool slides;     /* all but every 6th layer see a window only */
	bool experts;    /* the feed-forward part is one of several, chosen by the token */
	bool scans;      /* no attention: a state that each token changes */
	bool convolves;  /* two of three layers have a short convolution instead of attention */
	bool encodes;    /* it makes vectors of texts, and no texts */
	float rope_base;
};

const struct arch *arch_find(const char *name);

struct options {
	const char *out, *arch_name, *type_name, *size_name;
	uint64_t layers, embd, ff, heads, kv_heads, vocab, ctx, window, experts, experts_used, gaps,
		deciding, seed;
	bool header_only;
};

/* The model to write: the options, resolved. */
struct shape {
	struct options o;
	const struct arch *arch;
	enum ggml_type type;
	uint32_t file_type;
	uint64_t head;
	struct piece *pieces;
	float *lean_in, *lean_out; /* column 0 of the embedding and of the output */
	struct tensor_out *tensors;
	uint32_t n_tensors;
	uint64_t data_bytes;
};

/* A layer without attention: it has no heads of keys and values. */
bool layer_convolves(const struct shape *s, uint64_t il);

/* What the recurrent layers of the "mamba" family measure. */
enum { SSM_CONV = 4, SSM_STATE = 16 };
enum { SHORT_CONV = 3 };
uint64_t ssm_inner(const struct shape *s);
uint64_t ssm_rank(const struct shape *s);

void add_tensors(struct shape *s);

/* --- keys.c --- */

/* The whole file. */
void write_model(struct gguf *g, const struct shape *s);

#endif
