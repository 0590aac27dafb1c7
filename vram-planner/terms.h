/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of a plan, term by term: which tensors fill a device, which caches, and what would take
 * less of it. Pure.
 */
#ifndef BERTH_TERMS_H
#define BERTH_TERMS_H

#include "vram-planner/plan.h"

/*
 * Every device and the host, or only `bar` (its address, name, the engine's name, its number in the
 * plan, or "host"), with what would shrink that. 0; -ENODEV with *e when the plan has no such device;
 * -ENOTSUP with *e when the plan places nothing; or an error of the model's header.
 */
int terms_explain(struct text *t, const struct plan *p, const struct model *m, const char *bar,
		  struct err *e);

#endif
