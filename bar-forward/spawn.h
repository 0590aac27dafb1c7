/* SPDX-License-Identifier: MIT */
/* The opener's side of workers: they are its children, so that it sees what they had read and written when they are dead. */
#ifndef BERTH_SPAWN_H
#define BERTH_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bar-forward/counted.h"
#include "bar-forward/user.h"
#include "base/err.h"

#define SPAWN_MAX    8
#define SPAWN_NO_RUN 126 /* the exit of one that cannot be run, as shells have it */

struct spawned {
	pid_t pid; /* 0: unused */
	int io;    /* its counts; -1: there are none */
	bool next; /* of the version that is to take over */
};

struct spawn {
	const struct as_user *user; /* whose they are */
	int program; /* what workers are: this very program, whatever stands at its path by now */
	int next;    /* what they are to be; -1 */
	char path[512]; /* where another version would stand */
	struct spawned child[SPAWN_MAX];
};

/* 0, or with *e -EACCES (that user may not run the program) or another errno. */
int spawn_open(struct spawn *s, const struct as_user *user, struct err *e);

/* Kill and collect all. */
void spawn_close(struct spawn *s);

/*
 * A worker of the program, or (next) of the one that stands at its path now. Its pid, and our end of its call in *call; or a
 * negative errno.
 */
pid_t spawn_worker(struct spawn *s, bool next, int *call);

/* Those that are started from now on are of the next version; or that one was nothing. */
void spawn_settle(struct spawn *s, bool good);

bool spawn_has(const struct spawn *s, pid_t pid);

/* Of one that is dead and not yet waited for: what it had read and written, if that is known. Then it is waited for. */
bool spawn_collect(struct spawn *s, pid_t pid, struct counted *c);

#endif
