/* SPDX-License-Identifier: MIT */
/* An upper bound on compute buffers, for a family whose graph nobody has written down. Pure. */
#ifndef BERTH_BOUND_H
#define BERTH_BOUND_H

#include "vram-planner/compute.h"

/* Fills *c; the ask is settled and placed. */
void compute_bound(struct compute_bytes *c, const struct shape *s, const struct ask *a,
		   const struct placement *p);

#endif
