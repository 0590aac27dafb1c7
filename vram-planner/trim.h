/* SPDX-License-Identifier: MIT */
/*
 * Layers that need not be built. Models repeat a pattern of layers; once the allocator is in the same
 * state before and after one repetition, more of them change nothing. trim_find chooses what to build;
 * that the state did repeat is checked on what was built (compute.c), else all of it is.
 */
#ifndef BERTH_TRIM_H
#define BERTH_TRIM_H

#include <stdint.h>

#include "vram-planner/shape.h"

#define TRIM_PERIOD   12 /* the longest pattern looked for, layers */
#define TRIM_RUNS_MAX 32

struct trim_run {
	uint32_t from, to; /* the last repetition before the gap, in layers that are kept */
	uint32_t skipped;  /* layers left out after it */
};

struct trim {
	uint32_t n; /* layers kept */
	uint16_t layers[LAYERS_MAX];
	uint32_t n_runs;
	struct trim_run runs[TRIM_RUNS_MAX];
};

/*
 * kinds[i] says what layer i of n is like: layers of one kind have the same graph. Before a gap so many
 * repetitions are kept, and one behind it. Pure.
 */
void trim_find(struct trim *t, const uint64_t *kinds, uint32_t n, uint32_t kept);

/* All of them. */
void trim_nothing(struct trim *t, uint32_t n);

#endif
