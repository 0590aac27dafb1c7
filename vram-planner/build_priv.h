/* SPDX-License-Identifier: MIT */
/* The builders of the families, and what the blocks' files share. */
#ifndef BERTH_BUILD_PRIV_H
#define BERTH_BUILD_PRIV_H

#include "vram-planner/build.h"

#define CACHE_KINDS (CACHE_INDEXER_PARTIAL_SCORE + 1)

int b_output(struct build *b); /* the matrix of the logits */
int b_rank(struct build *b, int x);

/* Flags of build_dense, beside what the tensors say. */
enum {
	DENSE_EMBD_SCALED = 1,
	DENSE_Q_SCALED = 2,
	DENSE_GELU = 4,
	DENSE_NORM_ROWS = 8, /* Q and K are normed before they are split into heads */
	DENSE_NORM_AFTER_ROPE = 16,
	DENSE_POST_IS_FFN_NORM = 32, /* post_attention_norm is the norm before the second part */
	DENSE_GATE_IN_UP = 64,       /* ffn_up holds the gate, too */
	DENSE_RESIDUAL_FIRST = 128,  /* the sum's first operand is what came in */
	/* Of any builder. */
	TOKENS_ONLY = 256,   /* a batch never mixes tokens and embeddings */
	SCALES_ALIKE = 2048, /* all embeddings are scaled alike, in every version */
	KEEPS_LATE = 512,    /* see engine.keeps_late */
	BEFORE_NORM = 1024,  /* that head takes what comes before the last norm: it is an output */
};

/* One function a kind of graph; the rows of builders[] name them. */
void build_dense(struct build *b); /* dense.c */
void build_bert(struct build *b);  /* graph_bert.c */
void build_deepseek4(struct build *b);
void build_dsa(struct build *b); /* deepseek32 and glm-dsa */
void build_gemma_embedding(struct build *b);
void build_gemma3n(struct build *b);
void build_gemma4(struct build *b);
void build_grok(struct build *b);
void build_kimi_linear(struct build *b);
void build_llama4(struct build *b);
void build_mla(struct build *b);       /* deepseek2 in all its forms */
void build_qwen3next(struct build *b); /* and Qwen 3.5 */
void build_falcon_h1(struct build *b);
void build_granite_hybrid(struct build *b);
void build_jamba(struct build *b);
void build_lfm2(struct build *b);
void build_mamba(struct build *b);
void build_nemotron_h(struct build *b);
void build_rwkv7(struct build *b);

#endif
