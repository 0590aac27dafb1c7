/* SPDX-License-Identifier: MIT */
/*
 * Saves the flight recorder in a thread of its own: megabytes and a disk that takes its time shall not hold
 * up keys. One saving at a time.
 */
#ifndef BERTH_TUI_SAVER_H
#define BERTH_TUI_SAVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SAVER_ALARMS 8 /* recordings of alarms that are kept; the oldest goes */

struct saving;

struct saver {
	struct saving *now; /* NULL: nothing is being saved */
};

/* How a saving ended. */
struct saved {
	bool alarm;     /* for an alarm, not for a key */
	char path[512]; /* the new file */
	struct err e;   /* e.rc 0: it is whole */
};

/* Begin to save what is in the folder `dir`. -EBUSY with *e: the one before is not through yet. */
int saver_begin(struct saver *s, const char *dir, bool alarm, struct err *e);

/* True once for each saving that has ended; then *how says how. Never waits. */
bool saver_ended(struct saver *s, struct saved *how);

/* The same, but waits that long. A disk that hangs longer keeps the thread, and what is here for it. */
bool saver_wait(struct saver *s, uint32_t seconds, struct saved *how);

#endif
