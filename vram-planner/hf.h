/* SPDX-License-Identifier: MIT */
/*
 * Models in Hugging Face's own format: config.json and safetensors, as the GGUF that llama.cpp's
 * converter and quantizer would make of them. The files are foreign bytes.
 */
#ifndef BERTH_HF_H
#define BERTH_HF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vram-planner/load.h"
#include "vram-planner/mix.h"
#include "vram-planner/safetensors.h"

#define HF_LAYERS_MAX 512

/* What config.json says; 0: it does not. */
struct hf_config {
	const struct hf_family *family;
	uint32_t n_layer; /* with the prediction layers */
	uint32_t n_nextn, n_embd, n_vocab, n_ctx, n_ff, n_head, n_head_kv, head;
	uint32_t window;
	uint32_t n_expert, n_used, n_ff_exp, n_shared, n_ff_shexp, n_dense_lead;
	uint32_t q_lora, kv_lora, head_rope, head_nope, head_v; /* MLA */
	double rope_base, norm_eps, rotary, expert_scale;
	bool llama3_rope, norm_topk, sigmoid;
};

/* The model types that are understood, and what differs. */
struct hf_family {
	const char *model_type, *arch;
	bool post_norm; /* post_attention_layernorm is what its name says, not the norm of the ffn */
	bool whole_norm; /* Q and K are normed as whole rows */
	bool slides;     /* its sliding window counts */
	bool mla;
};

/*
 * Read config.json. 0; -EBADMSG: broken or absurd; -ENODATA with *e: a model type without a mapping, or
 * a checkpoint that is quantized already in a way of its own.
 */
int hf_config_parse(struct hf_config *c, const char *json, uint64_t n, struct err *e);

/* Where a tensor of a checkpoint goes. */
struct hf_place {
	int32_t layer; /* -1: of the whole model */
	uint32_t row;  /* of hf_rows[] */
	bool bias;
	int64_t expert; /* -1: none */
};

/* A tensor of GGUF, and what a checkpoint calls it. */
enum hf_dim {
	D_NONE,
	D_EMBD,
	D_EMBD2, /* twice */
	D_VOCAB,
	D_Q, /* all heads of queries */
	D_KV,
	D_QKV,
	D_O, /* all heads of values */
	D_NORM_Q,
	D_NORM_K,
	D_FF,
	D_FF2,
	D_EXP,
	D_SHEXP,
	D_EXPERTS,
	D_ONE,
	D_QLORA,
	D_KVLORA,
	D_KVA,
	D_KVB
};

struct hf_row {
	const char *from, *to; /* without ".weight" */
	enum hf_dim in, out;   /* rows of `in` weights, `out` of them; out NONE: a vector */
};

extern const struct hf_row hf_rows[];
extern const uint32_t hf_n_rows;

/* The number a dimension has; 0: the config does not tell. */
uint64_t hf_dim(const struct hf_config *c, enum hf_dim d);

enum hf_mapped { HF_PLACED, HF_IGNORED, HF_UNKNOWN };

/* Place a tensor by its name. HF_IGNORED: GGUF has no use for it (vision parts, scales of FP8). */
enum hf_mapped hf_map(struct hf_place *p, const struct hf_config *c, const char *name);

/*
 * Build the header from config.json and safetensors, or their index, that the opener finds below `base` (a
 * folder, or a URL). With `headers` the shards' own headers tell shapes; without only the index and the
 * config do. *bytes is the caller's; *total is what the file would have. `how` is filled with what was
 * taken for granted.
 */
int hf_build(uint8_t **bytes, uint64_t *n, uint64_t *total, char how[160], const char *base,
	     const struct opener *o, bool headers, const struct mix *mix, struct err *e);

#endif
