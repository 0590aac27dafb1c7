/* SPDX-License-Identifier: MIT */
/*
 * A feed that keeps what passes through it: in the flight recorder, and in a file or on standard output. It
 * looks for alarms itself, so that what came before one is saved while nobody watches.
 */
#ifndef BERTH_TUI_TAPE_H
#define BERTH_TUI_TAPE_H

#include "tui/feed.h"
#include "tui/flight.h"
#include "tui/saver.h"

#define TAPE_TRY_MS  10000  /* between attempts to become the one who writes the flight recorder */
#define TAPE_SAVE_MS 600000 /* between two saves for alarms */
#define TAPE_END_S   10     /* that a saving is waited for at the end */

/* What a person should hear of. */
struct word {
	enum severity severity;
	char text[600]; /* one sentence */
};

struct tape {
	struct feed from;
	char dir[512];         /* of the flight recorder; empty: none is kept */
	struct flight *flight; /* NULL: somebody else writes it, or it cannot be written */
	int flight_rc;         /* of writing it; it is tried again with each moment */
	uint64_t tried_ms, saved_ms;
	struct saver saver;
	bool alarm;                /* one came that is not saved yet */
	struct recorder *recorder; /* of the file; NULL: none */
	int fd;                    /* of the file; -1 */
	int rc;                    /* of writing to it; it is given up after the first failure */
	bool told_rc, told_flight; /* those two were told */
	struct events events;
	struct thresholds thresholds;
	uint64_t told; /* events written so far */
};

/* With `flight`, the flight recorder is kept. Nothing that fails there is an error: the feed goes on. */
void tape_begin(struct tape *t, struct feed from, bool flight, const struct thresholds *thresholds);

/* Also write to a new file, or to standard output for "-". 0 or -errno with *e. */
int tape_file(struct tape *t, const char *path, struct err *e);

/*
 * What was kept stays, and what is being saved is waited for: `last` tells how that went, empty where nothing
 * was. -errno when the file could not be written to its end.
 */
int tape_end(struct tape *t, struct word *last, struct err *e);

struct feed tape_feed(struct tape *t);

/* Begin to save the flight recorder, whoever writes it; a word will tell how that went. */
int tape_save(struct tape *t, struct err *e);

/* The next thing to tell: what was saved, or could not be; that a recording broke off. False: none. */
bool tape_word(struct tape *t, struct word *w);

/* A word will come without another moment. */
bool tape_is_busy(const struct tape *t);

#endif
