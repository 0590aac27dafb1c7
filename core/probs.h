/* SPDX-License-Identifier: MIT */
/* From the numbers a model puts out to probabilities for people. Pure. */
#ifndef BERTH_CORE_PROBS_H
#define BERTH_CORE_PROBS_H

#include <stdint.h>

#include "core/request.h"

/*
 * Fill id, logprob and the n_top likeliest tokens, most likely first (malloc'd; fewer when memory is
 * out); texts stay empty.
 */
void probs_tell(const float *logits, uint32_t n, int32_t token, uint32_t n_top,
		struct request_token *told);

struct probs_one {
	int32_t id;
	float logit;
};

#define PROBS_BEST_MAX 256

/*
 * The k (1 to PROBS_BEST_MAX) largest of n logits, the largest first, of equal ones the one that comes
 * first; `best` has room for 2 k. What cannot be drawn, NaN and minus infinity, is not among them. The
 * count. Most logits are passed over in groups, so that this costs a fraction of looking at each.
 */
uint32_t probs_best(const float *logits, uint32_t n, uint32_t k, struct probs_one *best);

/* Make a vector's length 1; one without a direction stays as it is. */
void probs_normalise(float *v, uint32_t n);

#endif
