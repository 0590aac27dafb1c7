/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/probs.h"

/* log of the sum of e^x: what is subtracted from a logit to make it a log of a probability. */
static double log_sum(const float *logits, uint32_t n)
{
	float max = -INFINITY;
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		max = logits[i] > max ? logits[i] : max;
	for (uint32_t i = 0; i < n; i++)
		sum += exp((double)(logits[i] - max));
	return (double)max + log(sum);
}

/* Insert into the sorted list of at most n_top; the last one falls out. */
static void rank(struct request_token *told, uint32_t n_top, int32_t id, float logit)
{
	uint32_t at = told->n_top;

	if (at == n_top && logit <= told->top[at - 1].logprob)
		return;
	if (at == n_top)
		at--;
	else
		told->n_top++;
	for (; at > 0 && told->top[at - 1].logprob < logit; at--)
		told->top[at] = told->top[at - 1];
	told->top[at].id = id;
	told->top[at].logprob = logit;
}

void probs_tell(const float *logits, uint32_t n, int32_t token, uint32_t n_top,
		struct request_token *told)
{
	double base = log_sum(logits, n);

	memset(told, 0, sizeof(*told));
	told->id = token;
	told->logprob = (float)((double)logits[token] - base);
	n_top = n_top > REQUEST_TOP_MAX ? REQUEST_TOP_MAX : n_top;
	if (n_top)
		told->top = calloc(n_top, sizeof(*told->top));
	if (!told->top)
		return;
	for (uint32_t i = 0; i < n; i++)
		rank(told, n_top, (int32_t)i, logits[i]);
	for (uint32_t i = 0; i < told->n_top; i++)
		told->top[i].logprob = (float)((double)told->top[i].logprob - base);
}

static int by_logit(const void *a, const void *b)
{
	const struct probs_one *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit < y->logit ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

#define GROUP 64

/* A constant count and no way out of the loop: compilers do several at a time. */
static bool any_above(const float v[GROUP], float least)
{
	int above = 0;

	for (int i = 0; i < GROUP; i++)
		above |= v[i] > least;
	return above;
}

uint32_t probs_best(const float *logits, uint32_t n, uint32_t k, struct probs_one *best)
{
	uint32_t m = 0;
	float least = -INFINITY; /* what is not above it is not among them */

	for (uint32_t at = 0; at < n; at += GROUP) {
		uint32_t end = n - at < GROUP ? n : at + GROUP;

		if (end - at == GROUP && !any_above(logits + at, least))
			continue;
		for (uint32_t i = at; i < end; i++) {
			if (!(logits[i] > least))
				continue;
			best[m++] = (struct probs_one) { (int32_t)i, logits[i] };
			if (m < 2 * k)
				continue;
			qsort(best, m, sizeof(*best), by_logit);
			m = k;
			least = best[k - 1].logit;
		}
	}
	qsort(best, m, sizeof(*best), by_logit);
	return m < k ? m : k;
}

void probs_normalise(float *v, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)v[i] * (double)v[i];
	if (!(sum > 0) || isinf(sum))
		return;
	for (uint32_t i = 0; i < n; i++)
		v[i] = (float)((double)v[i] / sqrt(sum));
}
