/* SPDX-License-Identifier: MIT */
/* A plan for a model and what is loaded beside it. */
#ifndef BERTH_BESIDE_H
#define BERTH_BESIDE_H

#include "vram-planner/extras.h"

/*
 * Plan the model on what x leaves, and charge x to the plan. `hashed`: with header_sha256. As
 * plan_make().
 */
int beside_decide(struct plan *p, const struct model *m, const struct devices *d,
		  const struct wish *w, const struct extras *x, bool hashed, struct err *e);

#endif
