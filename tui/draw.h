/* SPDX-License-Identifier: MIT */
/* The terminal: the only file that knows ncurses is draw.c. */
#ifndef BERTH_TUI_DRAW_H
#define BERTH_TUI_DRAW_H

#include "tui/view.h"

/* What a key asks for. */
enum act {
	ACT_NONE,
	ACT_QUIT,
	ACT_HELP,
	ACT_PAUSE,
	ACT_FASTER,
	ACT_SLOWER,
	ACT_UP,
	ACT_DOWN,
	ACT_PAGE_UP,
	ACT_PAGE_DOWN,
	ACT_TOP,
	ACT_END,
	ACT_REDRAW,
};

struct screen; /* opaque: the terminal while it is ours */

/* Take the terminal. NULL when its TERM is unknown: it is as it was, then. */
struct screen *screen_open(bool colour);

/* Give the terminal back as it was. */
void screen_close(struct screen *s);

uint32_t screen_cols(const struct screen *s);
uint32_t screen_rows(const struct screen *s);

/* After SIGWINCH: ask the terminal for its size. */
void screen_resize(struct screen *s);

/*
 * Paint: row 0 of `body` on top, the rest of it from row 1 + scroll on, `footer` in the last line.
 * On a screen of one line there is only the header.
 */
void screen_paint(struct screen *s, const struct view *body, uint32_t scroll,
		  const struct view *footer);

/* The next key that was pressed, if any; never waits. */
enum act screen_key(struct screen *s, bool *pressed);

/* The keys, for the help. */
const struct key_help *screen_keys(uint32_t *n);

#endif
