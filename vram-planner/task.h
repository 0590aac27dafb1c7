/* SPDX-License-Identifier: MIT */
/* One question to the planner: everything that was given, and what is read from it once. */
#ifndef BERTH_TASK_H
#define BERTH_TASK_H

#include "vram-planner/search_priv.h"

struct task {
	const struct model *model;
	const struct place *places;
	uint32_t n_places;
	const struct host_place *host;
	const struct wish *wish;
	const struct shape *shape;
	uint32_t unjudged; /* a place without known free memory; n_places: none */
	struct search search;
	struct ask ask; /* as wished; the placement is in `placing` */
	struct pinned pinned;
	struct placing placing;
	bool unreached; /* no setting reaches the goal; the plan is of the nearest to it */
};

/*
 * What a wish asks of the engine: *a, not settled, and what of its placement is pinned. 0; -EINVAL with
 * *e when it names what is not there (a cache type, a device, more layers than there are); -ENODATA
 * when a device named by hand cannot be judged.
 */
int task_ask(const struct task *q, const struct wish *w, struct ask *a, struct pinned *pin,
	     struct err *e);

/* Whether the wish would be answered with a yes, within what it accepts; fills *p when so. */
bool task_yes(struct task *q, const struct wish *w, struct placing *p);

/* Tokens a second of a placing, as they can be told. false: not at all. */
struct speed;
bool task_speed(const struct task *q, const struct placing *p, struct speed *s);

/* --- words.c: the plan's sentences, once its placement is in it --- */

void words_why(struct plan *p, const struct task *q);     /* the number that decided */
void words_unknown(struct plan *p, const struct task *q); /* why nobody can tell */
void words_unreached(struct plan *p,
		     const struct task *q); /* the goal, and what there is instead */
void words_assumptions(struct plan *p, const struct task *q);
void words_overrides(struct plan *p, const struct wish *w);

/* A GPU that could change a refusal, but whose memory nobody could tell, makes the answer unknown. */
void words_doubt(struct plan *p, const struct task *q);

/* Fill p->nearest[] and p->nearest_yes: what would turn a no into a yes, the least loss first. */
void nearest_find(struct plan *p, struct task *q);

#endif
