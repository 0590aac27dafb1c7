/* SPDX-License-Identifier: MIT */
/* Configurations on which the engine (llama.cpp v0.5.0) stops or aborts instead of running. */
#include <string.h>

#include "vram-planner/cost_priv.h"

static bool quantized_v_without_fa(const struct oldshape *s, const struct ask *a)
{
	(void)s;
	return !a->flash_attn && quant_is_blocked(a->type_v);
}

static bool head_not_in_blocks(const struct oldshape *s, const struct ask *a)
{
	uint64_t bytes;

	return !quant_bytes(a->type_k, s->head_k, &bytes) ||
	       !quant_bytes(a->type_v, s->head_v, &bytes);
}

static bool phi_with_streams(const struct oldshape *s, const struct ask *a)
{
	return strcmp(s->family->arch, "phi3") == 0 && !a->unified && a->n_seq >= 4 &&
	       (quant_is_blocked(a->type_k) || quant_is_blocked(a->type_v));
}

static const struct {
	bool (*applies)(const struct oldshape *s, const struct ask *a);
	const char *why;
} refusals[] = {
	/* llama_init_from_model: "V cache quantization requires flash_attn" */
	{ quantized_v_without_fa, "a quantized V cache needs flash attention" },
	/* llama_init_from_model: block size does not divide n_embd_head */
	{ head_not_in_blocks,
	  "the cache type's blocks do not divide the model's head size; use f16" },
	/* Measured on phi-4: the graph's node budget is too small (ggml-impl.h, hash set full) */
	{ phi_with_streams,
	  "phi3 with a quantized cache and 4 separate sequences aborts; use f16" },
};

const char *oldrefusal_find(const struct oldshape *s, const struct ask *a)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].applies(s, a))
			return refusals[i].why;
	}
	return NULL;
}
