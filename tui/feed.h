/* SPDX-License-Identifier: MIT */
/*
 * Where snapshots come from: this machine, a captured one, a recording, another machine, a test. The
 * monitor asks for the next one each interval and never waits for it.
 */
#ifndef BERTH_TUI_FEED_H
#define BERTH_TUI_FEED_H

#include "tui/snapshot.h"

struct feed {
	/*
	 * Fill in all but interval_ms and paused, which are the monitor's. What it points to stays valid
	 * until the next call. Never waits for a device.
	 */
	void (*next)(void *ctx, struct snapshot *s);

	/*
	 * A recording can be wound: by so many seconds, which may be negative. The next calls of `next`, as many
	 * as it says, show the seconds before that place, so that there are curves. NULL: it cannot.
	 */
	uint32_t (*wind)(void *ctx, int64_t seconds);

	/* Each time that the screen stands as it shall, with the number of keys answered so far; NULL. */
	void (*painted)(void *ctx, uint64_t keys);

	/* Whom it is for has left: with nothing to show besides, there is no more to do. NULL: nobody leaves. */
	bool (*over)(void *ctx);

	/* The other end answers keys that change something here: processes may be ended. */
	bool may_kill;
	void *ctx;
};

#endif
