/* SPDX-License-Identifier: MIT */
/*
 * A run that stays: the sockets it is served on, its record and its log, and the core started again,
 * or otherwise, when it ends. Stays home; supervise.c watches one core and calls from within.
 */
#ifndef BERTH_LAUNCH_SERVE_H
#define BERTH_LAUNCH_SERVE_H

#include <poll.h>

#include "launch/busy.h"
#include "launch/job.h"

#define SERVE_POLLS_MAX (BUSY_POLLS_MAX + 1)

/*
 * Before the plan: with --detach, go on in a process of its own while the one that was called waits for
 * it; then claim the name, open the sockets and the log. 0; an errno with *e. *waited: this is the
 * process that was called, its work is done, and the return value is its exit code.
 */
int serve_begin(struct job *j, bool *waited, struct err *e);

/* After job_prepare: keep cores running until asked to stop, or nothing helps; j->ending says which. */
int serve_run(struct job *j, struct err *e);

/* Always, with the exit code: who waits for it is told. */
void serve_end(struct job *j, int code);

/* --- for supervise.c --- */

uint32_t serve_polls(struct serve *s, struct pollfd *p, int *timeout_ms);
bool serve_step(struct job *j, const struct pollfd *p,
		uint32_t n); /* true: nobody waits any more: stop */
void serve_started(struct job *j, pid_t core);
void serve_open(struct job *j);  /* the core may accept from now on, so we do not */
void serve_ready(struct job *j); /* it was told to go */
void serve_engine_says(struct job *j, const char *bytes, size_t n);
void serve_stopping(struct job *j); /* it was asked to end, for good */
void serve_killed(struct job *j);   /* no core answers from now on, so we do */
void serve_tick(struct job *j);
bool serve_is_stuck(struct job *j); /* it has not beaten for the watchdog's time */

#endif
