/* SPDX-License-Identifier: MIT */
/* A run that stays, as the serve*.c and remedy.c share it. Stays home. */
#ifndef BERTH_LAUNCH_SERVE_PRIV_H
#define BERTH_LAUNCH_SERVE_PRIV_H

#include <stdio.h>

#include "base/sockets.h"
#include "launch/busy.h"
#include "launch/job.h"
#include "launch/logfile.h"
#include "launch/notify.h"
#include "launch/policy.h"
#include "launch/runs.h"
#include "launch/serve.h"

struct serve {
	struct sockets sockets;
	struct busy busy;
	bool answering; /* we, not a core */
	struct run_claim claim;
	struct run_record record;
	struct logfile log;
	FILE *stderr_before; /* NULL: it was not replaced */
	struct notify notify;
	pid_t witness; /* 0: there is none */
	int caller_fd; /* --detach: who waits for us; -1: nobody */
	char key_path[PATH_MAX];
	struct policy policy;
	uint32_t tried; /* of what makes a plan smaller */
	uint64_t beat;  /* of the page, as last seen, for how long, and when we looked */
	int64_t silent_ms, looked_at_ms;

	/* What was asked for, to which a restart returns */
	struct options asked;
	struct wish wished;
	const char *model;
	/* What a plan file turned into, and the devices that are left */
	char model_path[1024], draft_path[1024];
	char survivors[PLAN_DEVICES_MAX * 40];
	struct plan before;   /* the last one that ran, while a new one is made */
	struct plan first;    /* what was asked for, when all of it was there */
	char smaller[200];    /* than asked: "the cache as q8_0 instead of f16"; empty: it is not */
	bool served;          /* a core was ready, once */
	bool stopped_between; /* it was asked to end while no core ran */
	bool returned;        /* what was lost is back, which was said */
};

/* Say how the run does, to `berth ps` and to a service manager. */
void serve_tell(struct job *j, enum run_state state);

/* From now on it is we who answer its clients, and not a core. */
void serve_answer(struct serve *s, const char *why, uint32_t retry_s);

/* Get another plan ready, as the policy decided. 0, or an errno with *e: there is none. */
int remedy_take(struct job *j, enum policy_step step, struct err *e);

/* Plan as it was asked for at first: what is back is used again. */
int remedy_start_over(struct job *j, struct err *e);

#endif
