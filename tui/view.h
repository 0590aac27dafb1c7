/* SPDX-License-Identifier: MIT */
/*
 * What `berth top` shows: a snapshot (the facts of one moment) becomes a view (rows of cells), by pure
 * functions. Where snapshots come from is feed.h, who paints views is draw.c.
 *
 * Unknown is shown as "-" or by its reason, never as zero. Foreign names cannot move the cursor or
 * break a column: control characters, marks without width and broken UTF-8 become '?'.
 */
#ifndef BERTH_TUI_VIEW_H
#define BERTH_TUI_VIEW_H

#include "base/json.h"
#include "tui/judge.h"

/* --- the view --- */

enum attr {
	ATTR_PLAIN,
	ATTR_TITLE,
	ATTR_HEAD, /* column titles */
	ATTR_DIM,
	ATTR_OK,
	ATTR_WARN,
	ATTR_BAD,
	ATTR_WEIGHTS,
	ATTR_KV,
	ATTR_COMPUTE,
	ATTR_OTHER,
	ATTR_COUNT
};

struct cell {
	uint32_t ch;      /* code point; 0: the right half of a wide character */
	uint8_t attr;     /* enum attr */
	uint8_t reversed; /* the cursor stands here */
};

#define VIEW_COLS_MAX 400

/* The rows that are wanted: the first `titles`, and those from `from` to before `to`. */
struct extent {
	uint32_t titles, from, to;
};

/*
 * Rows of `cols` cells each; a row has no more, and unused cells are spaces. Of those that only
 * some are wanted of, the others are counted: what is written there is lost.
 */
struct view {
	uint32_t cols;
	bool utf8; /* other characters than ASCII may be shown */
	uint32_t n_rows, room;
	uint32_t cursor_row, cursor_col; /* where the terminal's own cursor rests */
	struct cell *cells;              /* of a part: the first row takes what is not wanted */
	bool part;
	struct extent only;
};

/* cols is held to 1..VIEW_COLS_MAX. Needs view_fini(). */
void view_init(struct view *v, uint32_t cols, bool utf8);
void view_fini(struct view *v);
const struct cell *view_row(const struct view *v, uint32_t row); /* one that is wanted */

struct frame; /* frame.h */

/* A frame as text, as long as it takes: for --once and where no screen can be drawn on. */
void view_make(struct view *v, const struct frame *f);

/* A code point as UTF-8: its bytes, 1 to 4, without an end. */
size_t view_encode(char to[4], uint32_t ch);

/* A row as text: UTF-8 (or ASCII), without trailing spaces. buf has 4 * VIEW_COLS_MAX + 1 bytes. */
const char *view_text(const struct view *v, uint32_t row, char *buf);

/* --- the same for programs: "berth.top/1"; the caller owns it --- */

json_t *frame_to_json(const struct frame *f);

#endif
