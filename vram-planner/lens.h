/* SPDX-License-Identifier: MIT */
/* A model seen with some of its layers left out: a shape and a placement of the layers that are kept. */
#ifndef BERTH_LENS_H
#define BERTH_LENS_H

#include "vram-planner/placement.h"
#include "vram-planner/trim.h"

struct lens;

/* Compare the layers of a shape, once. NULL: no memory. */
struct lens *lens_open(const struct shape *s);
void lens_close(struct lens *l);

/* What may be left out in this placement. */
void lens_trim(const struct lens *l, const struct placement *p, bool offloads,
	       const struct trim_care *care, struct trim *t);

/* The model of t's layers; both stay valid until the next call. */
const struct shape *lens_shape(struct lens *l, const struct trim *t);
const struct placement *lens_placement(struct lens *l, const struct placement *p,
				       const struct trim *t);

#endif
