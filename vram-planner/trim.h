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

/* How much of a repetition is built. */
struct trim_care {
	uint32_t kept; /* repetitions before the gap; one more follows it */
	uint32_t fold; /* a repetition is a multiple of so many layers: states may alternate */
};

/* kinds[i] says what layer i of n is like: layers of one kind have the same graph. Pure. */
void trim_find(struct trim *t, const uint64_t *kinds, uint32_t n, const struct trim_care *care);

/* All of them. */
void trim_nothing(struct trim *t, uint32_t n);

#endif
