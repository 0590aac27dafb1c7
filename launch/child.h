/* SPDX-License-Identifier: MIT */
/*
 * Child processes that cannot outlive us, hang us, or become zombies: each in its own process group,
 * killed by the kernel when we die, its standard input /dev/null.
 */
#ifndef BERTH_LAUNCH_CHILD_H
#define BERTH_LAUNCH_CHILD_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "launch/cores.h"

struct child {
	pid_t pid;      /* 0: none, or reaped */
	int control_fd; /* our end, non-blocking; -1: none */
	int err_fd;     /* reads its stderr, non-blocking */
	int out_fd;     /* reads its stdout, non-blocking; -1: inherited */
};

#define CHILD_CONTROL_FD 3 /* the core's end of the control line, when it gets no sockets */

/*
 * Start it. `cpus` NULL: wherever we may run. `control`: a line at CHILD_CONTROL_FD, or after the
 * sockets that are handed over, which begin there. `capture`: its
 * stdout comes to out_fd instead of going to ours.
 */
int child_start(struct child *c, const struct core_start *s, const cpu_set_t *cpus, bool control,
		bool capture, struct err *e);

/* Kill the whole group if it still lives, reap it, close the descriptors. */
void child_fini(struct child *c);

/* What a child that ended by itself left. */
struct child_answer {
	char *out; /* its stdout, n bytes and a NUL; whoever asked frees it */
	size_t n;
	int exit;
	char said[400]; /* the line of its stderr that tells most; "" */
};

/* Run to the end, at most timeout_ms. 0, whatever it exited with; else an errno with *e, and no answer. */
int child_ask(const struct core_start *s, int timeout_ms, struct child_answer *a, struct err *e);

/*
 * Run to the end, at most timeout_ms, and take its stdout. *out is the caller's to free, `*n` bytes and
 * a NUL. 0, or an errno with *e saying what happened, with what it wrote last on stderr.
 */
int child_output(const struct core_start *s, int timeout_ms, char **out, size_t *n, struct err *e);

#endif
