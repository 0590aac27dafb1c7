/* SPDX-License-Identifier: MIT */
/* The nearest yes beyond the question itself: other devices, memory that comes free, other files. */
#ifndef BERTH_ELSEWHERE_H
#define BERTH_ELSEWHERE_H

#include "vram-planner/answer.h"

/*
 * When *p is a no, try the machine's other devices, what is free when berth's own runs are gone, and
 * other quants of the model beside its file; offer what is a yes. What cannot be tried is left out.
 */
void elsewhere_find(struct plan *p, const char *what, const struct question *q,
		    const struct devices_opts *o, const struct log *log);

#endif
