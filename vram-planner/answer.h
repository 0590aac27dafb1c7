/* SPDX-License-Identifier: MIT */
/* What `berth plan` says of one model: the plan and the speed, or why there is none. */
#ifndef BERTH_ANSWER_H
#define BERTH_ANSWER_H

#include <stdio.h>

#include "vram-planner/devices.h"
#include "vram-planner/extras.h"
#include "vram-planner/source.h"
#include "vram-planner/speed.h"
#include "vram-planner/verify.h"

/* All that is asked of each model. */
struct question {
	const struct devices *devices;
	struct wish wish;
	struct source_env env;
	struct prices prices;
	struct extras_opts beside; /* what is loaded beside the model */
	uint32_t depth;
	bool verify;        /* ask the engine itself, too */
	struct text *terms; /* the arithmetic goes there; NULL: not asked for */
	const char *bar;    /* of this device alone; NULL: all */
	bool hashed;        /* somebody will carry the plan out: it names its model's header */
};

struct answer {
	struct plan plan;
	uint64_t
		model_bytes; /* of the whole model, also when a part of its data is not there yet */
	struct speed speed;
	struct verification verified;
	bool has_speed, has_verified;
	struct extras *extras; /* owned; NULL: nothing is loaded beside the model */
};

/*
 * -EINVAL and -ERANGE: the wish; else as source_open() and plan_make(). Give it back with answer_fini(),
 * also when it failed.
 */
int answer_make(struct answer *a, const char *what, const struct question *q, struct err *e);
void answer_fini(struct answer *a);

json_t *answer_to_json(const struct answer *a, const struct question *q); /* the caller owns it */
void answer_explain(struct text *t, const struct answer *a, const struct question *q);

/* "0.31", "1e-3": a price. false: none. */
bool answer_price(const char *s, double *v);

#endif
