/* SPDX-License-Identifier: MIT */
/*
 * The monitor as sentences, one a line, for screen readers and terminals that cannot be drawn on: what there
 * is at first, then what changes. Pure.
 */
#ifndef BERTH_TUI_LINE_H
#define BERTH_TUI_LINE_H

#include <stdio.h>

#include "tui/events.h"

/* A sentence for each device and each run. */
void line_state(const struct snapshot *s, FILE *to);

/* The events after the one numbered *seen, oldest first; *seen moves on. */
void line_events(const struct events *ev, uint64_t *seen, FILE *to);

#endif
