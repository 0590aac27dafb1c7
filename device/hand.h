/* SPDX-License-Identifier: MIT */
/*
 * Hands carry steps out, and look whether they came true. Two of them: the live hand writes, each step in a child of
 * its own that may hang; the recording hand changes nothing and remembers what was written over a captured machine, so
 * that what follows sees it. A test brings its own.
 */
#ifndef BERTH_DEVICE_HAND_H
#define BERTH_DEVICE_HAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/machine.h"
#include "device/agent.h"
#include "device/step.h"

struct hand;
struct overlay;

struct hand_ops {
	/* The bytes of a file, ended with NUL: the count, or a negative errno as machine_read_bytes. */
	long (*read)(struct hand *h, const char *path, char *buf, size_t size);
	/* The last part of a link's target. 0, or a negative errno; -ENOENT: there is none. */
	int (*link)(struct hand *h, const char *path, char *buf, size_t size);
	bool (*exists)(struct hand *h, const char *path);
	/* What an agent says of an object. 0, or a negative errno with *e. */
	int (*ask)(struct hand *h, const char *agent, const char *object, char *said, size_t size,
		   struct err *e);
	/*
	 * Do the step. 0, or a negative errno with one sentence in *e; -ETIMEDOUT: it took too long. Then h->hung is
	 * the process that still does it, or 0 when it could be stopped.
	 */
	int (*act)(struct hand *h, const struct step *s, struct err *e);
	/* Take away what a step that was begun and not done may have left: half a file. */
	void (*tidy)(struct hand *h, const struct step *s);
	/* Let time pass between two looks; false: it does not pass here, so looking again is of no use. */
	bool (*pause)(struct hand *h, int ms);
};

struct hand {
	const struct hand_ops *ops;
	const struct machine *m;
	const struct agent *agents;
	struct overlay *over; /* of the recording hand */
	pid_t hung;
};

void hand_live(struct hand *h, const struct machine *m, const struct agent *agents);

/* -ENOMEM, or 0; hand_close() frees what is remembered. */
int hand_recording(struct hand *h, const struct machine *m, const struct agent *agents);
void hand_close(struct hand *h);

/* 1: it is so; 0: it is not; a negative errno with *e: nobody can tell. */
int hand_look(struct hand *h, const struct look *l, struct err *e);

/*
 * What the target of a step holds now, as txn_before() reads it: 1: `now` is it (`gone`: there is no file); 0: it
 * cannot be read, as it is of files that only take orders.
 */
int hand_now(struct hand *h, const struct step *s, char now[STEP_VALUE], bool *gone);

/* A value as the kernel shows it, in place: white space at the end does not count, and "(null)" is nothing. */
char *value_trim(char *v);

#endif
