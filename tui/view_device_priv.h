/* SPDX-License-Identifier: MIT */
/* One device as rows and cards of it are written. */
#ifndef BERTH_TUI_VIEW_DEVICE_PRIV_H
#define BERTH_TUI_VIEW_DEVICE_PRIV_H

#include "tui/view_priv.h"

/* A device, ready to print. The host's memory is one of them. */
struct device_row {
	const struct frame *f;
	const struct gpu *gpu; /* NULL: the CPU */
	const struct device_seen *seen;
	const struct device_history *past; /* NULL: none */
	enum device_state state;
	const char *place; /* "c1:00.0", "CPU" */
	const struct fact_text *name;
	struct fact total, used;
	struct held held;
};

/* Writers of columns, which cards use too. */
void device_write_link(struct pen *p, const void *row);
void device_write_held_back(struct pen *p, const void *row);

/* The lines below its row; none where there is nothing to say. */
void device_card(struct view *v, const struct device_row *d);

#endif
