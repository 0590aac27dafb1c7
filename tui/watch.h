/* SPDX-License-Identifier: MIT */
/* The monitor on a full screen, until it is told to end. */
#ifndef BERTH_TUI_WATCH_H
#define BERTH_TUI_WATCH_H

#include "tui/draw.h"
#include "tui/events.h"
#include "tui/tape.h"

struct watching {
	struct feed *feed;
	struct prefs *prefs; /* keys change them */
	int signals;         /* a signalfd: SIGWINCH, and those that end */
	struct tape *tape;   /* what `feed` passes through */
	bool utf8;
	const char *term; /* $TERM */
};

/* Until 'q', a signal that ends, or the terminal's end. */
int watch(struct screen *screen, const struct watching *how, struct err *e);

#endif
