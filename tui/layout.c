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

static uint32_t least(uint32_t rows, uint32_t most, bool titles)
{
	return titled(rows < most ? rows : most, titles);
}

/* What a pane has to show in a shape. */
static uint32_t rows_of(const struct shape *s, const struct wish *w, enum pane p)
{
	const uint32_t rows[PANES] = {
		[PANE_DEVICES] = w->devices[s->devices],
		[PANE_RUNS] = w->runs[s->runs],
		[PANE_BRIDGES] = w->bridges[s->runs],
		[PANE_PROCESSES] = w->processes,
		[PANE_EVENTS] = w->events,
	};

	return rows[p];
}

/* Rows that a pane takes at most, its title included: all it has, or what the person wants. */
static uint32_t cap(const struct shape *s, const struct wish *w, enum pane p)
{
	uint32_t rows = rows_of(s, w, p), all = titled(rows, s->titles);
	uint32_t few = least(rows, 1, s->titles);

	if (!w->fixed[p] || w->fixed[p] >= all)
		return all;
	return w->fixed[p] > few ? w->fixed[p] : few;
}

static uint32_t whole(const struct shape *s, const struct wish *w)
{
	return cap(s, w, PANE_DEVICES) + cap(s, w, PANE_RUNS) + cap(s, w, PANE_BRIDGES);
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

/* Something of everything first, then what the person asked for, then all of what matters most. */
static void share(struct layout *l, const struct shape *s, const struct wish *w, uint32_t room)
{
	const uint32_t half = room / 2;
	uint32_t most[PANES], few[PANES], some;

	for (int p = 0; p < PANES; p++) {
		most[p] = cap(s, w, (enum pane)p);
		few[p] = least(rows_of(s, w, (enum pane)p), 1, s->titles);
	}
	give(l, PANE_DEVICES, few[PANE_DEVICES], &room);
	give(l, PANE_RUNS, few[PANE_RUNS], &room);
	give(l, PANE_BRIDGES, few[PANE_BRIDGES], &room);
	if (room > 2)
		give(l, PANE_EVENTS, few[PANE_EVENTS], &room);
	for (int p = 0; p < PANES; p++)
		if (w->fixed[p])
			give(l, (enum pane)p, most[p], &room);
	give(l, PANE_DEVICES, most[PANE_DEVICES] < half ? most[PANE_DEVICES] : half, &room);
	if (room > 2)
		give(l, PANE_PROCESSES, few[PANE_PROCESSES], &room);
	give(l, PANE_RUNS, most[PANE_RUNS], &room);
	give(l, PANE_BRIDGES, most[PANE_BRIDGES], &room);
	give(l, PANE_DEVICES, most[PANE_DEVICES], &room);
	some = least(w->events, 3, s->titles);
	give(l, PANE_EVENTS, some < most[PANE_EVENTS] ? some : most[PANE_EVENTS], &room);
	give(l, PANE_PROCESSES, most[PANE_PROCESSES], &room);
	give(l, PANE_EVENTS, most[PANE_EVENTS], &room);
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

	share(&l, s, w, room);
	return l;
}
