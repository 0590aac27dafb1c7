/* SPDX-License-Identifier: MIT */
/*
 * A feed that keeps what passes through it: in the flight recorder, and in a file or on standard output. It
 * looks for alarms itself, so that what came before one is saved while nobody watches.
 */
#ifndef BERTH_TUI_TAPE_H
#define BERTH_TUI_TAPE_H

#include "tui/feed.h"
#include "tui/flight.h"

#define TAPE_TRY_MS  10000  /* between attempts to become the one who writes the flight recorder */
#define TAPE_SAVE_MS 600000 /* between two saves for alarms */
#define TAPE_ALARMS  8      /* recordings of alarms that are kept; the oldest goes */

struct tape {
	struct feed from;
	char dir[512];         /* of the flight recorder; empty: none is kept */
	struct flight *flight; /* NULL: somebody else writes it, or it cannot be written */
	uint64_t tried_ms, saved_ms;
	struct recorder *recorder; /* of the file; NULL: none */
	int fd;                    /* of the file; -1 */
	int rc;                    /* of writing to it; it is given up after the first failure */
	struct events events;
	struct thresholds thresholds;
	uint64_t told;   /* events written so far */
	char saved[512]; /* where the last alarm was saved; empty: none was since tape_saved */
};

/* With `flight`, the flight recorder is kept. Nothing that fails there is an error: the feed goes on. */
void tape_begin(struct tape *t, struct feed from, bool flight, const struct thresholds *thresholds);

/* Also write to a new file, or to standard output for "-". 0 or -errno with *e. */
int tape_file(struct tape *t, const char *path, struct err *e);

/* What was kept stays. -errno when the file could not be written to its end. */
int tape_end(struct tape *t, struct err *e);

struct feed tape_feed(struct tape *t);

/* Save the flight recorder now, whoever writes it; path gets the new file's name. */
int tape_save(struct tape *t, char *path, size_t size, struct err *e);

/* An alarm was saved since the last call: where. */
bool tape_saved(struct tape *t, char *path, size_t size);

#endif
