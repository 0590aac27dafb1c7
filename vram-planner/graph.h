/* SPDX-License-Identifier: MIT */
/*
 * The engine's compute graph as sizes: what operations there are, in which order they run, and how large
 * their results are. Nothing is computed. Builders (build.h) make one for a batch; galloc.h and gsched.h
 * then say where its results would live and how much memory that takes.
 *
 * A node is an index from 1. G_NONE (0) is "no tensor": an optional operand that is absent, or the
 * result of an operation whose operands are missing or do not fit together. The first such fault is kept
 * in g->fault, and what follows gives G_NONE, too, so builders need not check anything: their caller
 * looks once.
 *
 * Shapes and strides follow the engine's: ne[0] is the fastest dimension. Strides matter because a result
 * may be written over an operand of the same layout. Offsets of views do not, and are not kept.
 */
#ifndef BERTH_GRAPH_H
#define BERTH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "vram-planner/home.h"

#define G_NONE     0
#define G_SRC_MAX  8
#define G_DIMS     4
#define G_NODE_MAX (1u << 20) /* a graph of more nodes is a fault */

/* ggml's type numbers of what graphs use by name. */
enum gtype {
	GT_F32 = 0,
	GT_F16 = 1,
	GT_I32 = 26,
	GT_I64 = 27,
};

enum gop {
	OP_NONE, /* a leaf: weight, cache, input */
	OP_DUP,
	OP_CPY,
	OP_CONT,
	OP_VIEW,
	OP_RESHAPE,
	OP_PERMUTE,
	OP_TRANSPOSE,
	OP_GET_ROWS,
	OP_SET_ROWS,
	OP_ADD,
	OP_ADD_ID,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_SQR,
	OP_SQRT,
	OP_SCALE,
	OP_CLAMP,
	OP_UNARY,
	OP_GLU,
	OP_NORM,
	OP_RMS_NORM,
	OP_L2_NORM,
	OP_SUM_ROWS,
	OP_MEAN,
	OP_ARGSORT,
	OP_TOP_K,
	OP_REPEAT,
	OP_CONCAT,
	OP_PAD,
	OP_FILL,
	OP_MUL_MAT,
	OP_MUL_MAT_ID,
	OP_ROPE,
	OP_SOFT_MAX,
	OP_FLASH_ATTN,
	OP_SSM_CONV,
	OP_SSM_SCAN,
	OP_RWKV_WKV7,
	OP_GATED_DELTA_NET,
	OP_LIGHTNING_INDEXER,
	OP_HC_COMB,
	OP_HC_PRE,
	OP_HC_POST,
	OP_OTHER, /* g_other: new memory, never in place */
	OP_COUNT,
};

/* Kinds of OP_UNARY; they are all alike to the allocator, and differ only in what backends support. */
enum gunary {
	UN_ABS,
	UN_SGN,
	UN_NEG,
	UN_STEP,
	UN_TANH,
	UN_RELU,
	UN_SIGMOID,
	UN_GELU,
	UN_GELU_ERF,
	UN_GELU_QUICK,
	UN_SILU,
	UN_EXP,
	UN_EXPM1,
	UN_SOFTPLUS,
	UN_OTHER,
};

enum gglu {
	GLU_REGLU,
	GLU_GEGLU,
	GLU_SWIGLU,
	GLU_SWIGLU_OAI,
	GLU_GEGLU_ERF,
	GLU_GEGLU_QUICK,
	GLU_SWIGLU_CLAMP
};

enum gflag {
	GF_INPUT = 1,  /* set by the caller before each run: has its own memory from the start */
	GF_OUTPUT = 2, /* read by the caller afterwards: never freed, never written over */
	GF_WEIGHT = 4, /* in a buffer of weights: draws its operation to its home */
	GF_IN_GRAPH = 8,
	GF_MARK = 16, /* the last in the order when a builder came to a new layer */
};

/* What the scheduler reads of every node comes first: it is one cache line. */
struct gnode {
	int32_t src[G_SRC_MAX];
	int32_t view_src; /* the node whose memory this is a part of (never itself a view); G_NONE */
	uint8_t op, kind; /* enum gop; enum gunary or gglu */
	uint8_t type;     /* ggml type number */
	uint8_t flags, n_src;
	int8_t home; /* enum home */
	int8_t pin;  /* the builder wants it on this device, by index + 1, or the host: -1; 0: anywhere */
	int64_t ne[G_DIMS];
	uint64_t nb[G_DIMS]; /* bytes */
};

/* How far the walk that orders nodes has come in one of them. */
struct gvisit {
	int32_t node, next;
};

struct graph {
	struct gnode *nodes; /* all that were made; indices are node numbers */
	int32_t n_nodes, cap_nodes;
	int32_t *order; /* what runs, in order (no leaves) */
	int32_t n_order;
	int32_t *leaves; /* reached leaves, in the order they were reached */
	int32_t n_leaves;
	struct gvisit *stack; /* of g_expand */
	const char *fault;    /* why this graph cannot be; NULL: it is sound */
};

/* A zeroed graph is empty and ready. Reset keeps the memory for the next one; fini frees it. */
void graph_reset(struct graph *g);
void graph_fini(struct graph *g);

/* Bytes that a node's elements span in memory, as the engine counts them. */
uint64_t g_bytes(const struct graph *g, int a);
uint64_t g_row_bytes(const struct graph *g, uint32_t type, int64_t n); /* of n elements */
int64_t g_elements(const struct graph *g, int a);
bool g_is_contiguous(const struct graph *g, int a);
static inline const struct gnode *g_at(const struct graph *g, int a)
{
	return &g->nodes[a];
}

/* ne and nb of a node; 0 for G_NONE. */
int64_t g_ne(const struct graph *g, int a, int dim);
uint64_t g_nb(const struct graph *g, int a, int dim);

/*
 * Put a node and all it needs into the order, operands first, in the order of its operands: when the
 * engine's builder expands, do so here, because the order decides what is alive beside what. What is
 * already in is left where it is. Returns `a`.
 */
int g_expand(struct graph *g, int a);

/* --- leaves --- */

int g_new(struct graph *g, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3);
int g_input(struct graph *g, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3);

/* In memory that exists already: a weight (flag GF_WEIGHT) or a cache (no flag). */
int g_placed(struct graph *g, uint32_t type, const int64_t ne[G_DIMS], int home, unsigned flags);
int g_copy_layout(struct graph *g, int a); /* a new leaf of a's type, shape and strides */
int g_set_output(struct graph *g, int a);

/* --- views: no memory of their own --- */

/* Strides in bytes; ne and nb of unused dimensions: 1 and what a contiguous tensor would have. */
int g_view_1d(struct graph *g, int a, int64_t ne0);
int g_view_2d(struct graph *g, int a, int64_t ne0, int64_t ne1, uint64_t nb1);
int g_view_3d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, uint64_t nb1,
	      uint64_t nb2);
int g_view_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3,
	      uint64_t nb1, uint64_t nb2, uint64_t nb3);
int g_view(struct graph *g,
	   int a); /* the whole of it (ggml_view_tensor): a leaf-like view, no source */

/* `a` is contiguous and has as many elements. */
int g_reshape_1d(struct graph *g, int a, int64_t ne0);
int g_reshape_2d(struct graph *g, int a, int64_t ne0, int64_t ne1);
int g_reshape_3d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2);
int g_reshape_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3);
int g_permute(struct graph *g, int a, int axis0, int axis1, int axis2, int axis3);
int g_transpose(struct graph *g, int a);

/* --- copies and rows --- */

int g_dup(struct graph *g, int a);
int g_cpy(struct graph *g, int a, int b); /* into b's memory: a view of b */
int g_cast(struct graph *g, int a, uint32_t type);
int g_cont(struct graph *g, int a);
int g_cont_2d(struct graph *g, int a, int64_t ne0, int64_t ne1);
int g_cont_3d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2);
int g_cont_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3);
int g_get_rows(struct graph *g, int a, int ids);
int g_set_rows(struct graph *g, int a, int b, int ids); /* rows of b into a: a view of a */

/* --- element by element: may take over an operand's memory --- */

int g_add(struct graph *g, int a, int b); /* b is repeated to a's shape */
int g_sub(struct graph *g, int a, int b);
int g_mul(struct graph *g, int a, int b);
int g_div(struct graph *g, int a, int b);
int g_add_id(struct graph *g, int a, int b, int ids);
int g_sqr(struct graph *g, int a);
int g_sqrt(struct graph *g, int a);
int g_scale(struct graph *g, int a);         /* with or without a bias */
int g_scale_inplace(struct graph *g, int a); /* a view of a */
int g_clamp(struct graph *g, int a);
int g_unary(struct graph *g, int a, enum gunary kind);
int g_fill(struct graph *g, int a);
int g_norm(struct graph *g, int a); /* not in place, rms_norm is: the engine's rule */
int g_rms_norm(struct graph *g, int a);
int g_l2_norm(struct graph *g, int a);
int g_rope(struct graph *g, int a, int positions, int factors); /* factors: or G_NONE */
int g_soft_max(struct graph *g, int a, int mask, int sinks);    /* both optional */

/* --- shapes that change --- */

int g_glu(struct graph *g, int a, int b, enum gglu kind); /* b G_NONE: a holds both halves */
int g_sum_rows(struct graph *g, int a);
int g_mean(struct graph *g, int a);
int g_argsort(struct graph *g, int a);
int g_argsort_top_k(struct graph *g, int a, int64_t k); /* argsort and a view of its first k */
int g_top_k(struct graph *g, int a, int64_t k);         /* the operation of that name */
int g_repeat_4d(struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3);
int g_concat(struct graph *g, int a, int b, int dim);
int g_pad(struct graph *g, int a, int64_t p0, int64_t p1, int64_t p2, int64_t p3);

/* --- matrices and mixers --- */

int g_mul_mat(struct graph *g, int a, int b); /* [k,m] x [k,n] = [m,n] */
int g_mul_mat_id(struct graph *g, int as, int b, int ids);
int g_flash_attn(struct graph *g, int q, int k, int v, int mask, int sinks);
int g_ssm_conv(struct graph *g, int sx, int c);
int g_ssm_scan(struct graph *g, int s, int x, int dt, int a, int b, int c, int ids,
	       int64_t snapshots);
int g_rwkv_wkv7(struct graph *g, int r, int w, int k, int v, int a, int b, int state);
int g_gated_delta_net(struct graph *g, int q, int k, int v, int gate, int beta, int state,
		      int64_t snapshots);
int g_lightning_indexer(struct graph *g, int q, int k, int weights, int mask);
int g_hc_comb(struct graph *g, int mixes, int scale, int base);
int g_hc_pre(struct graph *g, int x, int weights);
int g_hc_post(struct graph *g, int x, int residual, int post, int comb); /* comb: or G_NONE */

/* Anything else: new memory of this shape, computed from up to G_SRC_MAX operands. */
int g_other(struct graph *g, uint32_t type, const int64_t ne[G_DIMS], const int *src, int n_src);

#endif
