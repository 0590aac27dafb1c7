/* SPDX-License-Identifier: MIT */
/*
 * A job: one line of `plan --jobs`. It names a model, devices that need not exist and a configuration;
 * the answer is the bill and a verdict. docs/formats.md has both forms.
 */
#ifndef BERTH_JOB_H
#define BERTH_JOB_H

#include <stdio.h>

#include "base/fact.h"
#include "base/json.h"
#include "vram-planner/bill.h"
#include "vram-planner/speed.h"

struct job_gpu {
	char name[64];
	struct target target;
	bool memory_known; /* else it is not judged, and the verdict is unknown */
};

struct job {
	char model[1024];
	const struct engine *engine;
	uint32_t n_gpus;
	struct job_gpu gpus[PLAN_DEVICES_MAX];
	struct ask ask;
	double bandwidth[PLAN_DEVICES_MAX]; /* bytes a second, of each gpu; 0: unknown */
	double host_bandwidth;
	struct fact host_bytes;   /* unknown: the host is not judged */
	struct fact margin_bytes; /* unknown: the design's default */
};

/* Read a line's object. Foreign bytes: 0, or -EBADMSG with *e naming the key. */
int job_from_json(struct job *j, const json_t *o, struct err *e);

/* How fast it generates, in a half full context; known when every memory's bandwidth is. */
struct range job_speed(const struct job *j, const struct biller *b);

/* The answer; the caller owns it. *b is the bill of j->ask, which has been settled. */
json_t *job_to_json(const struct job *j, const struct bill *b, const struct range *speed);

/* The answer when the rules do not cover the model or the configuration: verdict unknown, and why. */
json_t *job_unknown(const struct job *j, const struct err *why);

/* The answer to a line that has none. */
json_t *job_error(const char *model, const struct err *e);

/*
 * Answer every line of `in` on `out`, in order, each as soon as it is known. `margin`: for lines that
 * name none. Returns 0, -EBADMSG when a line was answered with an error (the rest was answered none
 * the less), or -EIO when `out` or `in` failed, with *e.
 */
int jobs_run(FILE *in, FILE *out, const struct fact *margin, struct err *e);

#endif
