/* SPDX-License-Identifier: MIT */
/* One launch: what was asked, what was planned, how it went. Stays home. */
#ifndef BERTH_LAUNCH_JOB_H
#define BERTH_LAUNCH_JOB_H

#include <limits.h>
#include <sched.h>

#include "base/log.h"
#include "launch/child.h"
#include "launch/cores.h"
#include "launch/devmap.h"
#include "launch/ending.h"
#include "launch/profile.h"
#include "launch/runtime.h"
#include "launch/tail.h"
#include "launch/verify.h"
#include "launch/wire.h"

#define MARGIN_DEFAULT UINT64_MAX

struct options {
	const char *plan, *device, *split, *prompt, *temperature;
	uint32_t n_ctx, max_tokens, seed;
	uint32_t parallel; /* 0: not given */
	bool embeddings;
	uint64_t margin;    /* MARGIN_DEFAULT: not given */
	int accept;         /* enum accept, -1: not given */
	int type_k, type_v; /* of cache_types, -1: not given */
	int engine;         /* of cores[] */
	bool dry_run, json;
	int quiet, verbose;
};

struct job {
	struct options o;
	struct profile profile;    /* what options point into; its path is "" when there is none */
	const char *model;         /* operand or the profile's; NULL: the plan's */
	char home_model[PATH_MAX]; /* storage of model */
	struct wish wish;          /* from the options */
	struct log log;

	/* prepare.c */
	struct report *report;
	struct devmap map;
	struct devmap_choice choice;
	bool planned; /* plan is filled */
	struct plan plan;
	char id[65];
	char program[PATH_MAX];        /* our core: it knows the devices */
	char engine_program[PATH_MAX]; /* what is started */
	cpu_set_t cpus;
	struct runtime runtime;
	struct core_start start;

	/* supervise.c */
	struct wire wire;
	struct tail tail;
	bool proven; /* proof is filled: placement is as planned */
	struct proof proof;
	char *text; /* what was generated, kept for --json only */
	size_t n_text;
	struct ending ending;
};

/*
 * Find the devices, make or read the plan, and get everything ready to start. Returns 0 with j->plan
 * filled, whatever its verdict; an errno with *e otherwise.
 */
int job_plan(struct job *j, struct err *e);
int job_prepare(struct job *j, struct err *e);
void job_free(struct job *j);

/*
 * Start the core, prove the placement, wait for its end, and judge it in j->ending. An errno with *e
 * only when it could not be started at all.
 */
int job_run(struct job *j, struct err *e);

/* "berth.launch/1". The caller owns it. */
json_t *job_to_json(const struct job *j, enum exit_code code);

/* What would be started, for people. */
void job_dry_run(struct text *t, const struct job *j);

#endif
