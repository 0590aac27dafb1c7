/* SPDX-License-Identifier: MIT */
/*
 * Compute buffers: what the engine reserves for one batch's graph on each device and on the host. The
 * graph is built (build.h), scheduled (gsched.h) and allocated (galloc.h) as the engine would when it
 * measures itself. Where a model repeats its layers, a few of them are built and the rest follows.
 */
#ifndef BERTH_COMPUTE_H
#define BERTH_COMPUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "vram-planner/ask.h"
#include "vram-planner/engine.h"
#include "vram-planner/placement.h"
#include "vram-planner/shape.h"

struct compute; /* what was prepared for a shape, and scratch memory; one at a time may use it */

int compute_open(struct compute **c,
		 const struct shape *s); /* the shape must outlive it; -ENOMEM */
void compute_close(struct compute *c);

struct compute_bytes {
	uint64_t device[PLAN_DEVICES_MAX];
	uint64_t host;   /* page-locked by the first device when it can, else plain */
	bool pinned;     /* the former */
	uint64_t output; /* on the host beside it: the rows that the caller reads */
	uint32_t n_nodes, n_leaves, n_splits; /* as the engine's log counts them */
	uint32_t n_built;                     /* layers that were built */
	bool pipeline;
	const char *fault; /* why there is no such graph, or the engine would abort; NULL */
};

/*
 * For a settled ask. 0; -ENOTSUP: no graph is known for this family; -EBADMSG or -ENOTSUP with
 * out->fault: a tensor is missing or of the wrong shape, or the engine would abort; -ENOMEM.
 */
int compute_bytes(struct compute *c, const struct ask *a, const struct placement *p,
		  const struct engine *engine, struct compute_bytes *out);

/* The same from all layers: what the other must agree with. */
int compute_bytes_whole(struct compute *c, const struct ask *a, const struct placement *p,
			const struct engine *engine, struct compute_bytes *out);

/* Whether the engine would run the devices as a pipeline, with copies of what enters each. */
bool compute_pipeline(const struct shape *s, const struct ask *a, const struct placement *p);

#endif
