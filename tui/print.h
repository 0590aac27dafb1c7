/* SPDX-License-Identifier: MIT */
/* The monitor without a screen: frames, JSON, sentences, metrics, or nothing but what passes to a recording. */
#ifndef BERTH_TUI_PRINT_H
#define BERTH_TUI_PRINT_H

#include "tui/options.h"
#include "tui/tape.h"

enum output { OUTPUT_FRAMES, OUTPUT_JSON, OUTPUT_LINES, OUTPUT_METRICS, OUTPUT_NOTHING };

struct printer {
	const struct feed *feed;
	struct tape *tape; /* what `feed` passes through */
	const struct log *log;
	const struct prefs *prefs;
	enum output output;
	uint32_t count; /* looks; 0: until a signal ends it */
	bool one;       /* JSON for reading, not a line of a stream */
	int signals;    /* a signalfd; -1: none is watched */
	bool utf8;
};

/* 0 when it ended as asked; -EPIPE with *e: standard output cannot be written to. */
int print_all(const struct printer *p, struct err *e);

#endif
