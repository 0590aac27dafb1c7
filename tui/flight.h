/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder: the last hours of this machine in a folder of the runtime directory, at most
 * FLIGHT_BYTES, in pieces of which each is a recording. One process writes; whoever comes second is told so.
 */
#ifndef BERTH_TUI_FLIGHT_H
#define BERTH_TUI_FLIGHT_H

#include "tui/recording.h"

#define FLIGHT_PIECES 16
#define FLIGHT_PIECE  (1u << 20)
#define FLIGHT_BYTES  (FLIGHT_PIECES * FLIGHT_PIECE)

struct flight;

/* Begin to write below `dir` (made when it is missing). -EBUSY: another process writes there. */
int flight_open(struct flight **f, const char *dir, struct err *e);
void flight_close(struct flight *f); /* what was written stays; NULL is fine */

/* Add a moment, or an event. 0 or -errno; a moment that could not be written whole is begun anew. */
int flight_moment(struct flight *f, const struct snapshot *s);
int flight_event(struct flight *f, const struct event *ev);

/* The folder of this user's flight recorder: "flight" in the runtime directory. */
int flight_dir(char *dir, size_t size, struct err *e);

/*
 * Copy what is there, of whoever writes it, to a new file of mode 0600. -ENOENT: nothing was recorded;
 * -EEXIST; else -errno, and no file is left.
 */
int flight_save(const char *dir, const char *path, struct err *e);

/*
 * "$XDG_STATE_HOME/berth/PREFIX2026-11-21T12-34-56.berthrec" (else ~/.local/state), its folder made; with
 * "-2" and so on for the nth of one second.
 */
int flight_new_name(const char *prefix, uint32_t nth, char *path, size_t size, struct err *e);

#endif
