/* SPDX-License-Identifier: MIT */
/* The first line, and a frame as text. */
#include "tui/view_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

const char *short_address(const char *pci)
{
	return strncmp(pci, "0000:", 5) ? pci : pci + 5;
}

void rows_mark(struct rows *r, uint32_t item)
{
	if (r->view.n_rows > r->room) {
		uint32_t room = r->view.n_rows * 2;
		uint32_t *items = realloc(r->items, room * sizeof(*items));

		if (!items)
			abort(); /* as view_line() */
		r->items = items;
		r->room = room;
	}
	while (r->marked < r->view.n_rows)
		r->items[r->marked++] = item;
}

void rows_fini(struct rows *r)
{
	view_fini(&r->view);
	free(r->items);
}

static uint32_t living_runs(const struct snapshot *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_runs; i++)
		n += judge_run_lives(&s->runs[i]);
	return n;
}

static uint32_t living_bridges(const struct snapshot *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_bridges; i++)
		n += judge_bridge_lives(&s->bridges[i]);
	return n;
}

/* What all devices whose power is known take together; -1: none is. */
static double watts(const struct frame *f)
{
	const struct report *r = f->snap->report;
	double sum = -1;

	for (uint32_t i = 0; r && i < r->n_gpus; i++) {
		const struct device_history *d = f->history ? history_device(f->history,
									     r->gpus[i].pci)
							    : NULL;

		if (d && d->watts >= 0)
			sum = (sum < 0 ? 0 : sum) + d->watts;
	}
	return sum;
}

static void write_origin(struct pen *p, const struct snapshot *s)
{
	static const char *const names[] = {
		[ORIGIN_CAPTURED] = "(captured)",
		[ORIGIN_REPLAY] = "REPLAY",
		[ORIGIN_REMOTE] = "REMOTE",
		[ORIGIN_DEMO] = "DEMO, not this machine",
	};

	if (s->origin == ORIGIN_LIVE)
		return;
	pen_printf(p, ATTR_WARN, "%s%s", s->origin == ORIGIN_CAPTURED ? " " : "  ",
		   names[s->origin]);
	if (s->origin_name[0])
		pen_printf(p, ATTR_PLAIN, " %s", s->origin_name);
}

static void write_alarms(struct pen *p, const struct frame *f)
{
	uint32_t bad = f->events ? events_standing(f->events, SEVERITY_BAD) : 0;
	uint32_t all = f->events ? events_standing(f->events, SEVERITY_WARN) : 0;

	if (all)
		pen_printf(p, bad ? ATTR_BAD : ATTR_WARN, "  %" PRIu32 " alarm%s", all,
			   plural(all));
}

/* The first line answers "is it fine?", the most important first: a narrow screen cuts the end. */
void view_header(struct view *v, const struct frame *f)
{
	const struct snapshot *s = f->snap;
	struct pen p = view_line(v);
	uint32_t runs = living_runs(s), bridges = living_bridges(s);
	double w = watts(f);

	pen_text(&p, ATTR_TITLE, v->cols < 40 ? "berth" : "berth top");
	if (s->report && fact_text_known(&s->report->host))
		pen_printf(&p, ATTR_PLAIN, "  %s", s->report->host.v);
	write_origin(&p, s);
	if (s->clock[0])
		pen_printf(&p, ATTR_PLAIN, "  %s", s->clock);
	if (s->paused)
		pen_text(&p, ATTR_WARN, "  PAUSED");
	if (s->report && (s->origin == ORIGIN_LIVE || s->origin == ORIGIN_REMOTE) &&
	    s->device_age_ms > SNAP_OLD_MS)
		pen_printf(&p, ATTR_WARN, "  devices silent for %" PRIu64 " s",
			   s->device_age_ms / 1000);
	write_alarms(&p, f);
	if (s->report)
		pen_printf(&p, ATTR_PLAIN, "  %" PRIu32 " GPU%s", s->report->n_gpus,
			   plural(s->report->n_gpus));
	pen_printf(&p, ATTR_PLAIN, "  %" PRIu32 " run%s", runs, plural(runs));
	if (bridges)
		pen_printf(&p, ATTR_PLAIN, "  %" PRIu32 " bridge%s", bridges, plural(bridges));
	if (w >= 0)
		pen_printf(&p, ATTR_PLAIN, "  %.0f W", w);
	if (s->interval_ms)
		pen_printf(&p, ATTR_DIM, "  every %" PRIu32 ".%" PRIu32 " s", s->interval_ms / 1000,
			   s->interval_ms % 1000 / 100);
}

static void append(struct view *v, const struct view *from)
{
	for (uint32_t i = 0; i < from->n_rows; i++) {
		struct pen p = view_line(v);

		memcpy(&v->cells[(size_t)p.row * v->cols], view_row(from, i),
		       v->cols * sizeof(*v->cells));
	}
}

static void append_pane(struct view *v, const struct frame *f, enum pane pane)
{
	struct listing *l = malloc(sizeof(*l));
	struct rows r = { 0 };

	if (!l)
		abort(); /* as view_line() */
	listing_make(l, f, pane);
	view_init(&r.view, v->cols, v->utf8);
	if (pane == PANE_DEVICES)
		rows_devices(&r, f, l, FORM_ROW);
	else if (pane == PANE_RUNS)
		rows_runs(&r, f, l, FORM_CARD);
	else if (pane == PANE_BRIDGES)
		rows_bridges(&r, f, l, FORM_CARD);
	else
		rows_processes(&r, f, l);
	if (r.view.n_rows && pane != PANE_DEVICES)
		view_line(v);
	append(v, &r.view);
	rows_fini(&r);
	free(l);
}

void view_make(struct view *v, const struct frame *f)
{
	view_clear(v);
	view_header(v, f);
	append_pane(v, f, PANE_DEVICES);
	append_pane(v, f, PANE_RUNS);
	append_pane(v, f, PANE_BRIDGES);
	append_pane(v, f, PANE_PROCESSES);
}
