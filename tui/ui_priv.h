/* SPDX-License-Identifier: MIT */
/* What answers to keys share. */
#ifndef BERTH_TUI_UI_PRIV_H
#define BERTH_TUI_UI_PRIV_H

#include "tui/picture.h"

/* What a key is answered with; `arg` is the answer's own. */
struct ask {
	struct ui *ui;
	struct prefs *prefs;
	const struct frame *f;
	const struct picture *shown;
	struct stroke k;
	int arg;
};

typedef struct action key_fn(const struct ask *a);

static inline struct action just(enum wish_kind kind)
{
	return (struct action) { .kind = kind };
}

static inline bool is_text_page(const struct ui *ui)
{
	return ui->page != PAGE_MAIN;
}

/* The list that has the focus, and the item under its cursor: the first when that is nowhere yet. */
const struct listing *ui_list(const struct ask *a);
uint32_t ui_item(const struct ask *a);

/* "theme: dark" in the last line. */
void ui_tell(const struct ask *a, const char *what, const char *value);

/* To the next list, or the one before (by -1); those with nothing to stand on are passed over. */
void ui_next_list(const struct ask *a, int by);

/* arg: the list; arg -1 or 1: fewer or more rows. */
key_fn ui_on_kill, ui_on_hide, ui_on_hide_this, ui_on_size, ui_on_all;

#endif
