/* SPDX-License-Identifier: MIT */
/* A recording in a file, to look at any moment of it. */
#ifndef BERTH_TUI_FILM_H
#define BERTH_TUI_FILM_H

#include "tui/feed.h"
#include "tui/recording.h"

#define FILM_BYTES_MAX (UINT64_C(256) << 20)

struct film;

/*
 * Read it whole. Where another boot begins the film's time goes on; snapshots are in the film's time. gzip is not unpacked, a last line without an end is left out. -EBADMSG: not a recording, or
 * nothing in it; -EFBIG: longer than FILM_BYTES_MAX; or an errno of reading.
 */
int film_open(struct film **f, const char *path, struct err *e);
void film_close(struct film *f);

/* The time it begins and ends, milliseconds. */
uint64_t film_first_ms(const struct film *f);
uint64_t film_last_ms(const struct film *f);

/* Lines that made no sense; they were passed over. Counted as they are met. */
uint32_t film_garbled(const struct film *f);

/* The moment at `ms`, which is cut to what there is; as player_snapshot. */
void film_show(struct film *f, uint64_t ms, struct snapshot *s);

/* --- played as time goes by --- */

struct replay {
	struct film *film;
	char name[64];
	uint64_t at_ms;   /* of the film */
	uint64_t last_ns; /* CLOCK_MONOTONIC of the last snapshot; 0: none yet */
	uint32_t ahead;   /* seconds up to where it was wound to; shown one after the other */
};

/* Begins `at_s` seconds into the film; from its end where that is negative. */
void replay_begin(struct replay *r, struct film *f, const char *name, int64_t at_s);

/* The moment where it stands, as it is shown. */
void replay_show(struct replay *r, struct snapshot *s);

/* A feed of snapshots; r must stay. */
struct feed replay_feed(struct replay *r);

#endif
