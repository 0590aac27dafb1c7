/* SPDX-License-Identifier: MIT */
/*
 * The monitor without GPUs: the moment of a captured machine in share/berth/demo.berthrec, set in motion. What
 * moves is made up, the same in every run, and the screen says so.
 */
#ifndef BERTH_TUI_DEMO_H
#define BERTH_TUI_DEMO_H

#include "tui/film.h"

struct demo {
	struct film *film;
	uint64_t began_ns; /* CLOCK_MONOTONIC; 0: not yet */
};

/* The film must stay. */
void demo_begin(struct demo *d, struct film *f);
struct feed demo_feed(struct demo *d);

/* The moment so many milliseconds into the demo, as it is shown, but for the time of day. */
void demo_show(const struct demo *d, struct snapshot *s, uint64_t ms);

#endif
