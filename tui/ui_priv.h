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

struct action ui_on_kill(const struct ask *a);

#endif
