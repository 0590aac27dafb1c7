/* SPDX-License-Identifier: MIT */
/*
 * Which parts a screen of a given size shows, and how many rows each gets. Pure; the forms are a table
 * (layout.c). Row 0 is the header and the last row the keys, where there is room for them.
 */
#ifndef BERTH_TUI_LAYOUT_H
#define BERTH_TUI_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

enum pane { PANE_DEVICES, PANE_RUNS, PANE_BRIDGES, PANE_PROCESSES, PANE_EVENTS, PANES };

/* How much is said about one device or run. */
enum form {
	FORM_SHORT, /* one row without titles: 20 to 59 columns */
	FORM_ROW,   /* one row under titles */
	FORM_CARD,  /* a row and its details */
};

#define PANE_ROWS_MAX 300

struct layout {
	const char *name;
	enum form devices, runs; /* bridges have the form of runs */
	bool footer;
	bool titles;          /* panes have a line that names them */
	uint32_t rows[PANES]; /* on the screen, with the title; 0: not shown */
};

/* What each pane would take, without its title, in each form; 0: it has nothing to show. */
struct wish {
	uint32_t devices[3], runs[3], bridges[3]; /* by enum form */
	uint32_t processes, events;
	uint32_t fixed
		[PANES]; /* rows that the person wants, the title included; 0: as many as fit */
};

/*
 * rows 0: as many as it takes (a frame printed as text). Panes that do not fit scroll; devices and runs
 * keep at least one row each while the screen has them.
 */
struct layout layout_choose(uint32_t cols, uint32_t rows, const struct wish *w);

#endif
