/* SPDX-License-Identifier: MIT */
/* Mixers that carry a state, as blocks: x is [n_embd, n_tokens], and so is the result. */
#ifndef BERTH_MAMBA_H
#define BERTH_MAMBA_H

#include "vram-planner/states.h"

int b_mamba(struct build *b, int il, const struct states *st, int x);
int b_mamba2(struct build *b, int il, const struct states *st, int x);

/* Attention without anything unusual: norms of Q and K where they are, rope where the layer has it. */
int b_attn_layer(struct build *b, int il, int x);

#endif
