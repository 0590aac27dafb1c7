/* SPDX-License-Identifier: MIT */
/*
 * Builders: the graph of one batch of a model, made of shared blocks. A family whose graph is a block
 * with other options has no function of its own: presence of tensors decides (biases, norms of Q and K,
 * fused projections), or a flag of its row in builders[].
 *
 * The order of calls matters as in the engine: operands are made, and b_attn and b_store expand (g_expand)
 * where the engine does. Layers count from 0; a layer of -1 stands for the model as a whole.
 */
#ifndef BERTH_BUILD_H
#define BERTH_BUILD_H

#include "vram-planner/ask.h"
#include "vram-planner/cache.h"
#include "vram-planner/engine.h"
#include "vram-planner/graph.h"
#include "vram-planner/placement.h"
#include "vram-planner/shape.h"

/* The inputs of attention over one cache: the full one, or that of sliding layers. */
struct attn_inputs {
	bool made;
	int k_idxs, v_idxs; /* where a batch's keys and values go */
	int mask;
	int k_rot, v_rot; /* rotations of a quantized cache; G_NONE */
};

struct layer_mark {
	int32_t n_order, n_leaves;
};

struct build {
	struct graph *g;
	const struct shape *s;
	const struct ask *a;
	const struct placement *p;
	const struct engine *engine;
	const struct builder *row;
	uint64_t unfused; /* bits of enum gop: see b_fused */

	/* The batch. */
	int64_t n_tokens; /* a multiple of n_seqs */
	int64_t n_seqs, n_seq_tokens;
	int64_t n_outputs; /* rows of the result that are kept */
	int64_t n_streams; /* planes of the cache: n_seqs, or 1 when unified */
	bool flash_attn;   /* the ask's, unless the family has none */
	bool pins;         /* norms are computed where their layer is */

	/* Inputs, made on first use: ask the b_ functions. */
	int tokens, positions, out_ids, attn_temp;
	struct attn_inputs full, sliding, none, none_sliding;

	/* Results: b_result sets them; pooling and dense heads follow from the ask. */
	int embd, logits;

	/* Where each layer began: how much was in the order by then. */
	struct layer_mark *marks;
	int n_marks;

	/* Leaves that were made already. */
	int32_t *weights; /* by the tensor's index */
	uint32_t n_weights;
	int32_t *caches; /* [layer][kind] */
};

/* How a family's graph is built. */
struct builder {
	const char *arch;
	void (*build)(struct build *b); /* ends with b_result */
	unsigned flags;                 /* of that function's */
	const char *source;
};

const struct builder *builder_find(const char *arch); /* NULL: this family has no graph yet */

/*
 * Whether the engine runs an operation fused (OP_GATED_DELTA_NET, OP_LIGHTNING_INDEXER, OP_HC_COMB, ...).
 * It probes each: when one layer's device lacks it, all layers are built from simple operations.
 */
bool b_fused(const struct build *b, enum gop op);

/* --- leaves --- */

/* G_NONE when the model has no such tensor. */
int b_weight(struct build *b, int layer, enum slot slot);
int b_bias(struct build *b, int layer, enum slot slot);
int b_scale(struct build *b, int layer, enum slot slot);
int b_part(struct build *b, int layer, enum slot slot, enum part part);
int b_global(struct build *b, enum global global);
int b_global_part(struct build *b, enum global global, enum part part);

/* A tensor as a layer sees it (rope_freqs: each device has its copy). */
int b_tensor(struct build *b, const struct tensor *t, int layer);

/* The cache tensor of a layer that owns it: follow s->layers[i].cache first. */
int b_cache(struct build *b, int layer, enum cache_kind kind);

/* --- inputs --- */

int b_positions(struct build *b); /* [n_tokens * n_pos] */
int b_out_ids(struct build *b);   /* [n_outputs] */
int b_attn_temp(struct build *b); /* scale of queries by position: [1, 1, n_tokens] */
const struct attn_inputs *b_attn_inputs(struct build *b, int layer);

/* The mask of attention over n_kv cells: f16 with flash attention, else f32. */
int b_mask(struct build *b, int64_t n_kv);

/* Embeddings of the tokens, expanded; scaled when the shape has an embedding_scale. */
int b_embed(struct build *b);
int b_embed_scaled(struct build *b); /* the same, scaled by the width (Gemma) */

/* --- small blocks --- */

int b_mm(struct build *b, int layer, enum slot slot,
	 int x); /* weight x, scaled when there is one */
int b_mm_bias(struct build *b, int layer, enum slot slot,
	      int x); /* and its bias added when there is one */

/*
 * What the engine's builder assigns to its layer's device before it schedules: norms with a weight, and the
 * end of a layer that is called so. Elsewhere a norm would stay with the layer before, and its result be copied.
 */
void b_pin(struct build *b, int layer, int x);

/* Norm with the slot's weight and bias, as far as they are there. */
int b_norm(struct build *b, int layer, enum slot slot, int x, enum norm kind);
int b_norm_global(struct build *b, enum global global, int x, enum norm kind);

/* `n` columns of a projection that holds several, as memory of their own. */
int b_cut(struct build *b, int x, int64_t n);

/* x times a rotation of a quantized cache, in rows of its size. */
int b_rotate(struct build *b, int x, int rot);

/* --- attention --- */

struct qkv {
	int q, k, v;
};

/* Q, K and V of a layer as [head, heads, tokens], from one projection or three, with what biases there are. */
struct qkv b_qkv(struct build *b, int layer, int x);

/* Rope of a tensor shaped [head, heads, tokens]; no factors unless the model has them. */
int b_rope(struct build *b, int layer, int x);

struct attn {
	int q, k, v; /* k and v G_NONE: nothing is stored (shared caches) */
	int kq_b;    /* added to the scores: then no flash attention; G_NONE */
	int sinks;   /* G_NONE */
	int v_mla;   /* decompression of MLA's values; G_NONE */
	bool no_out; /* without the output projection of SLOT_ATTN_OUTPUT */
};

/*
 * Store K and V in the layer's cache, attend, project. Without a cache (encoders) the batch's own K and
 * V are used. The result is [n_embd, n_tokens], or [head_v * n_head, n_tokens] without projection.
 */
int b_attn(struct build *b, int layer, const struct attn *x);

/* The parts of it, for families that do it otherwise. */
int b_store_k(struct build *b, int layer, int cache, int k, int idxs); /* expands */
int b_store_v(struct build *b, int layer, int cache, int v, int idxs);

/* A layer's stored keys as [head, heads, cells, streams]; values as b_attend wants them. */
int b_cached_k(struct build *b, int layer, int cache, int64_t head, int64_t heads);
int b_cached_v(struct build *b, int layer, int cache, int64_t head, int64_t heads);

/* Attention proper, expanded: [head_v * n_head, n_tokens]. k and v: cached ones, or the batch's own. */
int b_attend(struct build *b, int layer, int q, int k, int v, const struct attn *x, int mask);

/* --- feed-forward --- */

enum act { ACT_SILU, ACT_GELU, ACT_RELU, ACT_RELU_SQR, ACT_SWIGLU_ONE, ACT_GEGLU_ONE };

struct ffn {
	enum slot up, gate, down;
	enum act act;
	bool serial; /* the gate works on what comes from up */
};

/* SLOT_FFN_UP, _GATE, _DOWN, silu, parallel: as far as the layer has them. */
extern const struct ffn ffn_silu, ffn_gelu;
int b_ffn(struct build *b, int layer, int x, const struct ffn *f);
int b_act(struct build *b, int x, enum act act);

/* Two results of a layer, added; or the last layer's rows that are kept. */
int b_keep(struct build *b, int layer,
	   int x); /* get_rows(out_ids) in the last layer of the trunk */

/* --- the end --- */

/*
 * Final norm (unless `normed`), logits and what the ask wants of embeddings. b_lm_head is the middle part,
 * for families that change the logits afterwards.
 */
void b_result(struct build *b, int x);
int b_lm_head(struct build *b, int x);
void b_finish(struct build *b, int embd, int logits);

#endif
