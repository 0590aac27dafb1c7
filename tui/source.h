/* SPDX-License-Identifier: MIT */
/* Where the monitor's snapshots come from, as its options say: one feed, whatever is behind it. */
#ifndef BERTH_TUI_SOURCE_H
#define BERTH_TUI_SOURCE_H

#include "tui/demo.h"
#include "tui/film.h"
#include "tui/lookout.h"
#include "tui/options.h"
#include "tui/ssh.h"

struct source {
	struct feed feed;
	struct machine machine;
	bool has_machine;
	const char *run_dir;  /* as runs_read() */
	struct lookout *live; /* NULL: one look was taken, and is kept in `hold` */
	struct report *hold;
	struct film *film;
	struct replay replay;
	struct demo demo;
	struct ssh *ssh;
};

/*
 * Nothing is started for --once of this machine: one look is taken. 0, or -errno with *e; source_close in any
 * case. s must stay where it is.
 */
int source_open(struct source *s, const struct options *o, uint32_t interval_ms, struct err *e);

/* False: a reader hangs and was left behind, so the program must end by _exit. */
bool source_close(struct source *s);

#endif
