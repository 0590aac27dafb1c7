/* SPDX-License-Identifier: MIT */
/* The terminal: the only file that knows ncurses is draw.c. */
#ifndef BERTH_TUI_DRAW_H
#define BERTH_TUI_DRAW_H

#include "tui/ui.h"
#include "tui/view.h"

struct screen; /* opaque: the terminal while it is ours */

/* Take the terminal. NULL when its TERM is unknown: it is as it was, then. */
struct screen *screen_open(bool colour, enum theme theme);

/* Give the terminal back as it was. */
void screen_close(struct screen *s);

/* Other colours from the next painting on. */
void screen_theme(struct screen *s, enum theme theme);

/* Whether clicks come to us, or the terminal keeps them to select text. */
void screen_mouse(struct screen *s, bool ours);

uint32_t screen_cols(const struct screen *s);
uint32_t screen_rows(const struct screen *s);

/* After SIGWINCH: ask the terminal for its size. */
void screen_resize(struct screen *s);

/* Paint as many rows as there are, and rest the cursor where the view wants it. */
void screen_paint(struct screen *s, const struct view *v);

/* The next key or click, if any; never waits. False: there is none. */
bool screen_stroke(struct screen *s, struct stroke *k);

#endif
