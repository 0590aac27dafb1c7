/* SPDX-License-Identifier: MIT */
/*
 * The shape of a model: every number of its header that the engine's memory depends on, read by the
 * rules of its architecture (families.c), and its tensors by their place (slots.h). What is not in the
 * header is 0, or NULL for a tensor; presence of a tensor is knowledge (biases, norms of Q and K, fused
 * projections, shared experts). All widths are checked: any product of two of them, a batch and a
 * context fits 64 bits.
 */
#ifndef BERTH_SHAPE_H
#define BERTH_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vram-planner/model.h"
#include "vram-planner/slots.h"

#define LAYERS_MAX 512 /* LLAMA_MAX_LAYERS: the engine refuses more */

/* How a layer mixes tokens. */
enum mixer {
	MIXER_NONE,      /* it does not: only a feed-forward part */
	MIXER_ATTENTION, /* keys and values of every head */
	MIXER_MLA,       /* one compressed key for all heads; the value is a part of it */
	MIXER_DSV4,      /* DeepSeek V4: a window of MLA and compressed keys beyond it */
	MIXER_MAMBA,
	MIXER_MAMBA2,
	MIXER_BOTH,  /* attention and mamba2 side by side (falcon-h1) */
	MIXER_DELTA, /* gated delta net */
	MIXER_KDA,   /* Kimi's delta attention */
	MIXER_SHORTCONV,
	MIXER_RWKV7,
};

/* What the engine keeps of past tokens, model-wide. */
enum memory {
	MEMORY_NONE,      /* encoders */
	MEMORY_KV,        /* every attention layer alike */
	MEMORY_WINDOWED,  /* sliding layers have a cache of their own size */
	MEMORY_RECURRENT, /* states only */
	MEMORY_HYBRID,    /* states and a cache, by layer; sliding when s->window is not 0 */
	MEMORY_DSA,       /* MLA and a cache of indexer keys */
	MEMORY_DSV4,
};

enum norm { NORM_RMS, NORM_LAYER };

/* How experts are scored; the numbers are the format's (expert_gating_func). */
enum gating {
	GATING_NONE,
	GATING_SOFTMAX,
	GATING_SIGMOID,
	GATING_SOFTMAX_WEIGHT,
	GATING_SQRT_SOFTPLUS
};

/* Pooling of embeddings; the numbers are the format's (pooling_type). */
enum pooling { POOLING_NONE, POOLING_MEAN, POOLING_CLS, POOLING_LAST, POOLING_RANK };

struct layer {
	enum mixer mixer;
	bool nextn;   /* a trailing prediction layer: not loaded unless asked, never in the trunk */
	bool slides;  /* sees s->window tokens only */
	bool rope;    /* rotates its queries and keys */
	bool indexer; /* has its own indexer, not the one of a layer before */
	bool experts; /* its feed-forward part has routed experts */
	int32_t cache;   /* the layer whose cache it reads: itself, an earlier one; -1: none */
	uint32_t n_head; /* 0 in layers without attention */
	uint32_t n_head_kv;
	uint32_t head_k, head_v; /* as they are in the cache; MLA: key_length, and no V */
	uint32_t n_rot;
	uint32_t n_ff;             /* by the key; the tensors say what is really there */
	uint32_t n_ff_exp;         /* of one expert */
	uint32_t n_used;           /* experts a token goes through */
	float clamp, clamp_shared; /* limits on the gates of experts, shared experts; 0: none */
	uint32_t compress;         /* DeepSeek V4: tokens per compressed key: 0, 4 or 128 */
};

struct family; /* families.c */

/* What a tensor is to the placement. */
struct role {
	uint8_t class; /* enum tensor_class */
	uint8_t probe; /* enum probe */
	bool experts;  /* of routed experts: n_cpu_moe keeps it on the host */
	bool stays;    /* loaded even where its prediction layer is not */
};

struct shape {
	const struct family *family; /* its row, or that of the unknown */
	const struct model *model;   /* not owned */
	const char *arch;            /* "llama" */
	bool unverified;             /* by generic rules, an upper bound */

	/* --- the whole --- */
	enum memory memory;
	enum norm norm;
	uint32_t n_layer; /* repeating layers, with the trailing prediction layers */
	uint32_t n_run;   /* of them in the trunk */
	uint32_t n_nextn; /* n_layer - n_run */
	uint32_t n_ctx_train, n_ctx_orig; /* n_ctx_orig: before it was stretched (yarn) */
	uint32_t n_embd, n_embd_out;      /* n_embd_out: of a kept embedding */
	uint32_t n_vocab;
	uint32_t n_pos; /* positions a token has: 1, or 4 (multi-section rope) */
	bool causal;
	bool tied; /* the output is a second copy of token_embd */
	enum pooling pooling;

	/* --- attention --- */
	uint32_t n_head, n_head_kv;      /* of layer 0 */
	uint32_t head_k, head_v;         /* of full layers */
	uint32_t head_k_swa, head_v_swa; /* of sliding ones; the same unless keyed apart */
	uint32_t head_k_mla, head_v_mla; /* after decompression; 0: no MLA */
	uint32_t n_rot, n_rot_swa;
	uint32_t window;                   /* tokens; 0: no layer slides */
	uint32_t period;                   /* of the sliding pattern; 0: listed, or none */
	bool chunked;                      /* the window is a chunk (llama4) */
	bool no_flash_attn;                /* the engine switches flash attention off */
	uint32_t n_lora_kv;                /* 0: none */
	uint32_t n_no_rope_step;           /* every n-th layer does not rotate; 0: all do */
	bool qk_norm_whole;                /* llama4: Q and K are normed without weights */
	float attn_softcap, final_softcap; /* 0: none */
	float logit_scale, residual_scale, embedding_scale; /* 0: none */
	float attn_temp_scale; /* 0: none; else queries are scaled by position */

	/* --- sparse attention --- */
	uint32_t indexer_heads, indexer_head, indexer_top_k;
	uint32_t o_groups, o_lora;        /* DeepSeek V4's output projection */
	uint32_t hc_count, hc_iterations; /* hyper-connections: streams, Sinkhorn iterations */
	uint32_t hash_layers;             /* leading layers that route by token id */

	/* --- feed-forward --- */
	uint32_t n_expert, n_used, n_used_max, n_ff_exp, n_ff_shexp, n_shared;
	uint32_t n_groups, n_groups_used; /* experts are chosen within groups */
	uint32_t n_dense_lead;            /* leading layers without experts */
	enum gating gating;
	bool expert_norm;   /* weights of the chosen experts are normed */
	float expert_scale; /* 0: none */

	/* --- states --- */
	uint32_t ssm_conv, ssm_inner, ssm_state, ssm_dt_rank, ssm_groups;
	bool ssm_norm_bcdt;             /* dt, B and C are normed (falcon-mamba) */
	uint32_t kda_head;              /* head size of KDA */
	uint32_t shortconv_cache;       /* rows of the short convolution */
	uint32_t wkv_head, token_shift; /* rwkv */
	bool keeps_rollback;            /* the engine keeps ask.n_rs_seq states more */

	/* --- per-layer embeddings (gemma3n, gemma4) --- */
	uint32_t n_embd_per_layer; /* 0: none */
	uint32_t n_altup;          /* gemma3n */
	uint32_t n_kv_from_start;  /* layers with a cache of their own; n_layer: all */

	struct layer layers[LAYERS_MAX];

	/* --- tensors --- */
	uint32_t *slots; /* owned; [layer][slot][part], index of the tensor + 1; see shape_part */
	uint32_t globals[GLOBALS][PARTS];
	struct role *roles; /* owned; of each tensor of the model, by its index */
};

/*
 * Read the shape of m, which must outlive s; give it back with shape_fini. 0; -EBADMSG with *e when
 * the header contradicts itself; -ENOTSUP when it is sound but its architecture has no verified rules,
 * or it has a tensor without a known place. *s need not be given back on errors.
 */
int shape_read(struct shape *s, const struct model *m, struct err *e);

/*
 * The same for an architecture without rules: every layer holds a full cache by the keys that are
 * there, sliding and sharing are ignored. s->unverified is set. -ENOTSUP when the keys do not suffice.
 */
int shape_read_bound(struct shape *s, const struct model *m, struct err *e);
void shape_fini(struct shape *s);

/* A layer's tensor, NULL when the model has none. */
const struct tensor *shape_part(const struct shape *s, uint32_t layer, enum slot slot,
				enum part part);
const struct tensor *shape_weight(const struct shape *s, uint32_t layer, enum slot slot);

/* A tensor of the whole model, NULL when it has none. */
const struct tensor *shape_global(const struct shape *s, enum global global);
const struct tensor *shape_global_part(const struct shape *s, enum global global, enum part part);

/* The tensor's index in its model: the key to placement.h. */
uint32_t shape_index(const struct shape *s, const struct tensor *t);

/* Whether a layer attends over a cache of keys, and whether it carries a state. */
bool layer_attends(const struct layer *l);
bool layer_recurs(const struct layer *l);

/* One of the verified architectures, NULL after the last; for help and tests. */
const char *shape_arch_at(uint32_t i);

#endif
