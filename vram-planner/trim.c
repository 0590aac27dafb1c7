/* SPDX-License-Identifier: MIT */
#include "vram-planner/trim.h"

void trim_nothing(struct trim *t, uint32_t n)
{
	t->n = n;
	t->n_runs = 0;
	for (uint32_t i = 0; i < n; i++)
		t->layers[i] = (uint16_t)i;
}

/* How many times a pattern of `period` layers follows on itself from layer i. */
static uint32_t repetitions(const uint64_t *kinds, uint32_t n, uint32_t i, uint32_t period)
{
	uint32_t end = i + period;

	while (end < n && kinds[end] == kinds[end - period])
		end++;
	return (end - i) / period;
}

/* The pattern from layer i that leaves out the most layers. */
static uint32_t best_period(const uint64_t *kinds, uint32_t n, uint32_t i,
			    const struct trim_care *care, uint32_t *skipped)
{
	uint32_t best = 0, kept = care->kept, period = care->fold;

	*skipped = 0;
	for (; period <= TRIM_PERIOD && i + period < n; period += care->fold) {
		uint32_t times = repetitions(kinds, n, i, period);

		if (times > kept + 1 && (times - kept - 1) * period > *skipped) {
			*skipped = (times - kept - 1) * period;
			best = period;
		}
	}
	return best;
}

void trim_find(struct trim *t, const uint64_t *kinds, uint32_t n, const struct trim_care *care)
{
	uint32_t i = 0;

	t->n = t->n_runs = 0;
	while (i < n) {
		uint32_t skipped, period = best_period(kinds, n, i, care, &skipped);

		if (period == 0 || t->n_runs == TRIM_RUNS_MAX) {
			t->layers[t->n++] = (uint16_t)i++;
			continue;
		}
		for (uint32_t k = 0; k < care->kept * period; k++)
			t->layers[t->n++] = (uint16_t)i++;
		t->runs[t->n_runs++] = (struct trim_run) { t->n - period, t->n, skipped };
		i += skipped;
	}
}
