/* SPDX-License-Identifier: MIT */
#include "tui/layout.h"

#include <stddef.h>

#define FOOTER_FROM 4 /* rows: below that there is no room for keys */

/* The richest that a screen has room for, first; what does not fit whole falls to the next of its width. */
static const struct shape {
	const char *name;
	uint32_t min_cols;
	enum form devices, runs;
	bool titles;
} shapes[] = {
	{ "cards", 100, FORM_CARD, FORM_CARD, true },
	{ "wide", 60, FORM_ROW, FORM_CARD, true },
	{ "rows", 60, FORM_ROW, FORM_ROW, true },
	{ "short", 0, FORM_SHORT, FORM_SHORT, false },
};

#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Room that events and other people's processes shall have left before more is said of anything else. */
static uint32_t beside(const struct shape *s, const struct wish *w)
{
	uint32_t n = 0;

	if (w->events)
		n += s->titles + (w->events < 3 ? w->events : 3);
	if (w->processes)
		n += s->titles + (w->processes < 2 ? w->processes : 2);
	return n;
}

/* With its title, if it has anything to show. */
static uint32_t titled(uint32_t rows, bool titles)
{
	return rows ? rows + titles : 0;
}

static uint32_t whole(const struct shape *s, const struct wish *w)
{
	return 2 * s->titles + w->devices[s->devices] + w->runs[s->runs] +
	       titled(w->bridges[s->runs], s->titles);
}

static const struct shape *choose(uint32_t cols, uint32_t room, const struct wish *w)
{
	size_t i = 0;

	for (; i + 1 < N_SHAPES; i++) {
		const struct shape *s = &shapes[i];
		bool last = shapes[i + 1].min_cols < s->min_cols && i > 0;

		if (cols >= s->min_cols && (last || whole(s, w) + beside(s, w) <= room))
			break;
	}
	return &shapes[i];
}

/* Give pane p rows until it has `upto`, its title included, as long as there are any. */
static void give(struct layout *l, enum pane p, uint32_t upto, uint32_t *room)
{
	uint32_t more = upto > l->rows[p] ? upto - l->rows[p] : 0;

	if (more > *room)
		more = *room;
	l->rows[p] += more;
	*room -= more;
}

static uint32_t least(uint32_t rows, uint32_t most, bool titles)
{
	return titled(rows < most ? rows : most, titles);
}

/* Something of everything first, then all of what matters most. */
static void share(struct layout *l, const struct wish *w, uint32_t room)
{
	const uint32_t devices = titled(w->devices[l->devices], l->titles);
	const uint32_t runs = titled(w->runs[l->runs], l->titles);
	const uint32_t bridges = titled(w->bridges[l->runs], l->titles);
	const uint32_t half = room / 2;

	give(l, PANE_DEVICES, least(w->devices[l->devices], 1, l->titles), &room);
	give(l, PANE_RUNS, least(w->runs[l->runs], 1, l->titles), &room);
	give(l, PANE_BRIDGES, least(w->bridges[l->runs], 1, l->titles), &room);
	if (room > 2)
		give(l, PANE_EVENTS, least(w->events, 1, l->titles), &room);
	give(l, PANE_DEVICES, devices < half ? devices : half, &room);
	if (room > 2)
		give(l, PANE_PROCESSES, least(w->processes, 1, l->titles), &room);
	give(l, PANE_RUNS, runs, &room);
	give(l, PANE_BRIDGES, bridges, &room);
	give(l, PANE_DEVICES, devices, &room);
	give(l, PANE_EVENTS, least(w->events, 3, l->titles), &room);
	give(l, PANE_PROCESSES, titled(w->processes, l->titles), &room);
	give(l, PANE_EVENTS, titled(w->events, l->titles), &room);
}

struct layout layout_choose(uint32_t cols, uint32_t rows, const struct wish *w)
{
	uint32_t used = 1 + (rows >= FOOTER_FROM);
	uint32_t room = !rows ? UINT32_MAX : rows > used ? rows - used : 0;
	const struct shape *s = choose(cols, room, w);
	struct layout l = { .name = s->name,
			    .devices = s->devices,
			    .runs = s->runs,
			    .footer = rows >= FOOTER_FROM,
			    .titles = s->titles };

	share(&l, w, room);
	return l;
}
