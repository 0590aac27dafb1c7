/* SPDX-License-Identifier: MIT */
/* The keys that show lists and hide them, and give them more or fewer rows. Saved with the settings. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tui/ui_priv.h"

static const char *const pane_names[PANES] = {
	[PANE_DEVICES] = "devices",     [PANE_RUNS] = "runs",     [PANE_BRIDGES] = "bridges",
	[PANE_PROCESSES] = "processes", [PANE_EVENTS] = "events",
};

static bool is_last(const struct ask *a, enum pane pane)
{
	for (int p = 0; p < PANES; p++)
		if (p != (int)pane && !a->prefs->hidden[p] && a->shown->layout.rows[p])
			return false;
	return true;
}

static struct action hide(const struct ask *a, enum pane pane)
{
	bool *hidden = &a->prefs->hidden[pane];

	if (!*hidden && is_last(a, pane)) {
		ui_tell(a, pane_names[pane], "the last list stays");
		return just(DO_NOTHING);
	}
	*hidden = !*hidden;
	ui_tell(a, pane_names[pane], *hidden ? "hidden" : "shown");
	if (*hidden && a->ui->focus == pane)
		ui_next_list(a, 1);
	return just(DO_NOTHING);
}

struct action ui_on_hide(const struct ask *a)
{
	return hide(a, (enum pane)a->arg);
}

struct action ui_on_hide_this(const struct ask *a)
{
	return is_text_page(a->ui) ? just(DO_NOTHING) : hide(a, a->ui->focus);
}

struct action ui_on_size(const struct ask *a)
{
	uint32_t now = a->shown->layout.rows[a->ui->focus];
	uint32_t few = 1 + a->shown->layout.titles;
	char rows[32];

	if (is_text_page(a->ui) || !now)
		return just(DO_NOTHING);
	now = a->arg < 0 ? (now > few ? now - 1 : few) : now + 1;
	a->prefs->rows[a->ui->focus] = now < PANE_ROWS_MAX ? now : PANE_ROWS_MAX;
	snprintf(rows, sizeof(rows), "at most %" PRIu32 " rows", a->prefs->rows[a->ui->focus]);
	ui_tell(a, pane_names[a->ui->focus], rows);
	return just(DO_NOTHING);
}

struct action ui_on_all(const struct ask *a)
{
	memset(a->prefs->hidden, 0, sizeof(a->prefs->hidden));
	memset(a->prefs->rows, 0, sizeof(a->prefs->rows));
	ui_tell(a, "lists", "all, as large as fits");
	return just(DO_NOTHING);
}
