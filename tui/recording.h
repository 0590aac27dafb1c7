/* SPDX-License-Identifier: MIT */
/*
 * The recording format, berth.recording/1 (docs/formats.md): snapshots as lines of JSON, of which only what
 * changed is written, and every minute everything. Both directions without files: whoever writes hands
 * over a function for a line, whoever reads hands in lines. A recording may end anywhere, and several that
 * follow each other are one.
 *
 * Lines that are read are hostile.
 */
#ifndef BERTH_TUI_RECORDING_H
#define BERTH_TUI_RECORDING_H

#include "tui/events.h"
#include "tui/snapshot.h"

#define RECORDING_SCHEMA   "berth.recording/1"
#define RECORDING_INDEX_MS 60000
#define RECORDING_MS_MAX                                                                           \
	(UINT64_C(1) << 43)           /* the latest time of a line: there are nanoseconds, too */
#define RECORDING_LINE_MAX (1u << 20) /* bytes; a longer line is no recording's */

/* --- writing --- */

/* A line with its newline. 0, or -errno which the writer hands on. */
typedef int recording_put(void *ctx, const char *line, size_t size);

struct recorder;

struct recorder *recorder_new(void); /* NULL: no memory */
void recorder_free(struct recorder *r);

/* What changed since the moment before; all of it in the first one, and whenever a minute has passed. */
int recorder_moment(struct recorder *r, const struct snapshot *s, recording_put *put, void *ctx);

/* An event, for people who read recordings with other tools: replaying finds events anew. */
int recorder_event(struct recorder *r, const struct event *ev, recording_put *put, void *ctx);

/* Begin anew, with a header, at the next moment: what was written before may be thrown away. */
void recorder_restart(struct recorder *r);

/* --- reading --- */

struct player;

/* What a line was. */
enum frame_kind {
	FRAME_HEADER,
	FRAME_INDEX,  /* from here on everything is told anew */
	FRAME_STATE,  /* of the machine, a device or a run */
	FRAME_MOMENT, /* all of a moment has been told */
	FRAME_EVENT,
	FRAME_OTHER, /* of a later version: nothing for us */
};

struct player *player_new(void); /* NULL: no memory */
void player_free(struct player *p);

/*
 * Take in a line without its newline. Its kind (enum frame_kind), or -EBADMSG with *e: not a recording, of
 * another version, or garbled. What was taken in before stays.
 */
int player_line(struct player *p, const char *line, size_t size, struct err *e);

/*
 * The moment after the last line: all but origin, interval_ms and paused. The report belongs to the
 * player, until the next call.
 */
void player_snapshot(struct player *p, struct snapshot *s);

/* The kind and time of a line, without taking it in: for an index. -EBADMSG: none. */
int recording_peek(const char *line, size_t size, uint64_t *ms);

#endif
