/* SPDX-License-Identifier: MIT */
/* The canvas that views are written on, and a table layout. */
#ifndef BERTH_TUI_VIEW_PRIV_H
#define BERTH_TUI_VIEW_PRIV_H

#include "tui/view.h"

/* A place to write: a range of columns in one row. Writing past `end` is cut. */
struct pen {
	struct view *v;
	uint32_t row, col, end;
};

struct pen view_line(struct view *v); /* a new row, the whole width */
void view_clear(struct view *v);

void pen_text(struct pen *p, enum attr a, const char *text);
void pen_printf(struct pen *p, enum attr a, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void pen_fill(struct pen *p, enum attr a, char c, uint32_t n);

/* Cells that the text takes. */
uint32_t text_cells(const struct view *v, const char *text);

/*
 * A column of a table. Those that matter least go first when a terminal is narrow. What is left over
 * widens the columns to what they want, the most important first, and then all evenly to their max.
 */
struct column {
	const char *title;
	uint32_t min, want, max;
	uint32_t matters; /* the least is dropped first; no two are equal */
	bool right;       /* numbers stand right */
	void (*write)(struct pen *p, const void *row);
};

#define COLUMNS_MAX 12

/* Width of each column, 0 when dropped. At least one column stays, cut to `cols`. */
void columns_fit(const struct column *columns, uint32_t n, uint32_t cols, uint32_t *widths);

void columns_titles(struct view *v, const struct column *columns, uint32_t n,
		    const uint32_t *widths);
void columns_row(struct view *v, const struct column *columns, uint32_t n, const uint32_t *widths,
		 const void *row);

/* Without the domain 0000, which almost every machine has alone. */
const char *short_address(const char *pci);

void view_devices(struct view *v, const struct snapshot *s);
void view_runs(struct view *v, const struct snapshot *s);

#endif
