/* SPDX-License-Identifier: MIT */
/* What a supervisor does when its core has ended. Pure. */
#ifndef BERTH_LAUNCH_POLICY_H
#define BERTH_LAUNCH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "launch/ending.h"
#include "vram-planner/plan.h"

#define POLICY_WINDOW_MS   (10 * 60 * 1000)
#define POLICY_STARTS_MAX  5 /* starts again within the window; one more and it gives up */
#define POLICY_SMALLER_MAX 3 /* smaller plans, in the life of a run */

enum policy_step {
	POLICY_END,     /* give up, or nothing is wrong */
	POLICY_AGAIN,   /* the same once more */
	POLICY_REPLAN,  /* without the devices that are gone */
	POLICY_SMALLER, /* with a plan that needs less memory */
	POLICY_PLAIN,   /* with the engine's plainest code for this kind of processor */
};

struct policy {
	int64_t starts_ms[POLICY_STARTS_MAX]; /* when it was started again, a ring */
	uint32_t n_starts, smaller;
	bool plain;
};

struct policy_decision {
	enum policy_step step;
	int64_t delay_ms;
	bool gave_up; /* POLICY_END because of a limit of ours */
};

/*
 * Decide, and remember. served: the core was ready, so what ended it is not its start, and the first time
 * it is started again at once. now_ms only goes forward.
 */
struct policy_decision policy_next(struct policy *p, const struct ending *end, bool served,
				   int64_t now_ms);

/*
 * Change a wish so that its plan needs less memory: first without a draft, then a q8_0 cache, then half
 * the context, then, if layers may be in host memory, fewer of them on each device. `tried` counts what was tried before, 0 at
 * first. false: nothing is left to try. `said` tells what was changed.
 */
bool policy_shrink(struct wish *w, const struct plan *p, uint32_t *tried, char *said, size_t size);

/* The wish that a plan came from, as far as a plan tells: enough to plan again for other devices. */
void policy_wish(struct wish *w, const struct plan *p);

#endif
