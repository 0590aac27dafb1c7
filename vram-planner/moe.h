/* SPDX-License-Identifier: MIT */
/*
 * Routed experts as a block of the graph. What the tensors show (biases, fused gate and up, a selection
 * bias, shared experts) is found in the shape; what they do not show is a row for each architecture.
 */
#ifndef BERTH_MOE_H
#define BERTH_MOE_H

#include "vram-planner/build.h"

/* Of an expert's gate; without a gate its ungated form is taken. */
enum moe_act { MOE_SWIGLU, MOE_SWIGLU_OAI, MOE_SWIGLU_CLAMP, MOE_GEGLU, MOE_RELU_SQR };

struct moe {
	enum gating gating;
	enum moe_act act;
	bool norm;    /* the chosen experts' weights are made to sum to one */
	bool scale;   /* and then scaled */
	bool before;  /* inputs are weighted, not outputs, and experts chosen by logits (llama4) */
	int logits;   /* scores made elsewhere; G_NONE: by SLOT_FFN_GATE_INP from the input */
	int selected; /* experts chosen elsewhere (by token id); G_NONE: the best scores */
};

/* How this architecture routes: its row, or what the header says where the row leaves it open. */
struct moe moe_of(const struct shape *s);

/* The routed experts of a layer applied to x [n, n_tokens]; expands as it goes. */
int b_moe(struct build *b, int layer, int x, const struct moe *m);

/* The shared expert of a layer, without a gate on its result. */
int b_shared_expert(struct build *b, int layer, int x, enum moe_act act);

/*
 * The feed-forward part of a layer by what it has: dense SwiGLU, or routed experts and, where there is
 * one, a shared expert added to them.
 */
int b_moe_or_ffn(struct build *b, int layer, int x);

#endif
