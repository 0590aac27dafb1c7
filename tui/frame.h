/* SPDX-License-Identifier: MIT */
/*
 * All that a picture is made of, and the lists of things in the order in which it shows them. Pure: the
 * same frame gives the same picture.
 */
#ifndef BERTH_TUI_FRAME_H
#define BERTH_TUI_FRAME_H

#include "tui/events.h"
#include "tui/fits.h"
#include "tui/glyphs.h"
#include "tui/history.h"
#include "tui/ui.h"
#include "tui/view.h"

#define LIST_MAX EVENTS_MAX

/* One thing that the cursor can stand on. */
struct item {
	char key[96]; /* what it is known by, whatever row it is in */
	uint32_t
		index; /* in report->gpus (n_gpus: the CPU), runs, bridges, or among the newest events */
	uint32_t proc; /* of a process: in the holders of that GPU */
};

struct listing {
	uint32_t n, left_out; /* left_out: what there is no room for */
	struct item items[LIST_MAX];
};

struct frame {
	const struct snapshot *snap;
	const struct history *history; /* NULL: one moment alone, as for --once */
	const struct events *events;   /* NULL: the same */
	const struct fits *fits;       /* what the planner said; NULL: it cannot be asked */
	const struct prefs *prefs;
	const struct ui *ui; /* NULL: nobody is at the keyboard */
	enum glyphs glyphs;
};

/* What a pane lists: filtered and sorted as the person wants it. */
void listing_make(struct listing *l, const struct frame *f, enum pane pane);

/* Where the key is; n: nowhere. */
uint32_t listing_find(const struct listing *l, const char *key);

/* The process of an item of PANE_PROCESSES. */
const struct gpu_proc *item_proc(const struct frame *f, const struct item *i);

#endif
