/* SPDX-License-Identifier: MIT */
/* What pages of details are made of. */
#ifndef BERTH_TUI_VIEW_DETAILS_PRIV_H
#define BERTH_TUI_VIEW_DETAILS_PRIV_H

#include "tui/view_priv.h"

/* "memory        29.1 GiB of 31.8 GiB": the pen stands where the value goes. */
struct pen details_line(struct view *v, const char *name);

/* A curve of `rows` rows with its top and its newest value; nothing where there is no room. top 0: its own. */
void details_chart(struct view *v, const struct frame *f, const char *name, const struct series *s,
		   double top, const char *unit, uint32_t rows);

/* Rows that each of n charts gets of what is left of a screen of `rows`. */
uint32_t details_chart_rows(const struct view *v, uint32_t rows, uint32_t n);

/* The newest events about one thing. */
void details_events(struct view *v, const struct frame *f, const char *key);

#endif
