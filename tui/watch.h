/* SPDX-License-Identifier: MIT */
/* The monitor on a full screen, until it is told to end. */
#ifndef BERTH_TUI_WATCH_H
#define BERTH_TUI_WATCH_H

#include "tui/draw.h"
#include "tui/sample.h"

#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 60000

/* Where snapshots come from. */
struct source {
	struct sampler *sampler;
	struct report *hold; /* the report on show; the owner of the source frees it */
	struct snapshot *snap;
	const char *run_dir; /* as sample_runs() */
	int signals;         /* a signalfd: SIGWINCH, and those that end */
};

/* A new snapshot; never waits for a device. */
void source_next(struct source *src);

/* Until 'q', a signal that ends, or the terminal's end. */
void watch(struct screen *screen, struct source *src, bool utf8);

#endif
