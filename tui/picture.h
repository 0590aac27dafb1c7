/* SPDX-License-Identifier: MIT */
/* The whole screen: a frame and a size in, rows of cells out, with what stands where. Pure. */
#ifndef BERTH_TUI_PICTURE_H
#define BERTH_TUI_PICTURE_H

#include "tui/frame.h"

#define PICTURE_ROWS_MAX 300

/* What a row of the screen belongs to, for the mouse. */
struct place {
	bool of_pane;
	enum pane pane;
	uint32_t item; /* index in the listing + 1; 0: a title, or nothing */
};

struct picture {
	struct view view; /* as many rows as the screen has */
	struct listing lists[PANES];
	struct layout layout;
	struct place places[PICTURE_ROWS_MAX];
	uint32_t scroll
		[PANES]; /* where each pane stands now; the ui keeps it for the next picture */
	uint32_t page_scroll;
};

/* A key of the monitor, for the help and the last line; the table is in keys.c. */
struct key_help {
	const char *label; /* "q" */
	const char *name;  /* "quit": the last line; NULL: only in the help */
	const char *help;  /* "Leave." */
};
extern const struct key_help key_helps[];
extern const uint32_t n_key_helps;

void picture_init(struct picture *p);
void picture_fini(struct picture *p);

/* cols and rows are held to VIEW_COLS_MAX and PICTURE_ROWS_MAX. f->ui may not be NULL. */
void picture_make(struct picture *p, const struct frame *f, uint32_t cols, uint32_t rows,
		  bool utf8);

#endif
