/* SPDX-License-Identifier: MIT */
/* Quant mixes: which type each tensor gets when a model is quantized to "q4_K_M" and its like. Pure. */
#ifndef BERTH_MIX_H
#define BERTH_MIX_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_DEFAULT "q4_K_M"

struct mix; /* a row of mixes[] */

const struct mix *mix_find(const char *name); /* any case; NULL: unknown */
const char *mix_name(const struct mix *m);
extern const char *const mix_names; /* all, for people: "f32, f16, ..." */

/* What of the model matters to the choice. */
struct mix_model {
	uint32_t n_layer, n_head, n_head_kv, n_expert;
	bool tied, seventy; /* seventy: a llama of 80 layers */
};

/*
 * The ggml type of a tensor called `name` ("blk.3.attn_v.weight") with rows of ne0 weights and n_dims
 * dimensions; `layer` is -1 outside of layers.
 */
uint32_t mix_type(const struct mix *m, const struct mix_model *of, const char *name, int32_t layer,
		  uint32_t n_dims, uint64_t ne0);

#endif
