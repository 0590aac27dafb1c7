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

/* Make a vector's length 1; one without a direction stays as it is. */
void probs_normalise(float *v, uint32_t n);

#endif
