/* SPDX-License-Identifier: MIT */
/* The monitor on a full screen, until it is told to end. */
#ifndef BERTH_TUI_WATCH_H
#define BERTH_TUI_WATCH_H

#include "tui/draw.h"
#include "tui/events.h"
#include "tui/feed.h"

/* Whoever keeps what was seen. */
struct keeper {
	/* Save what was kept: 0 with a sentence in `said`, or a negative errno with *e. */
	int (*save)(void *ctx, char *said, size_t size, struct err *e);
	/* Whether there is something to tell, after each look. */
	bool (*word)(void *ctx, char *said, size_t size);
	void *ctx;
};

struct watching {
	struct feed *feed;
	struct prefs *prefs;         /* keys change them */
	int signals;                 /* a signalfd: SIGWINCH, and those that end */
	const struct keeper *keeper; /* NULL: nobody */
	bool utf8;
	const char *term; /* $TERM */
};

/* Until 'q', a signal that ends, or the terminal's end. */
int watch(struct screen *screen, const struct watching *how, struct err *e);

#endif
