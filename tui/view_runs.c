/* SPDX-License-Identifier: MIT */
/* Two rows a run: what it does now, and where it really is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tui/view_priv.h"

#define WIDE 76 /* columns that hold a placement and its drift in one row */

struct run_row {
	const struct run_seen *seen;
	uint64_t now_ns;
};

static const struct telem_run *run_of(const void *row)
{
	return &((const struct run_row *)row)->seen->page.run;
}

static void write_model(struct pen *p, const void *row)
{
	const struct telem_run *run = run_of(row);

	pen_text(p, ATTR_TITLE, run->model[0] ? run->model : "-");
}

static void write_state(struct pen *p, const void *row)
{
	static const enum attr attrs[] = {
		[RUN_STARTING] = ATTR_WARN, [RUN_READY] = ATTR_OK,     [RUN_GENERATING] = ATTR_OK,
		[RUN_STOPPED] = ATTR_DIM,   [RUN_ASLEEP] = ATTR_DIM,   [RUN_STOPPING] = ATTR_DIM,
		[RUN_FAILED] = ATTR_BAD,    [RUN_STALLED] = ATTR_WARN, [RUN_LOST] = ATTR_BAD,
		[RUN_WAITING] = ATTR_WARN,  [RUN_NO_PAGE] = ATTR_WARN,
	};
	enum run_state s = judge_run(((const struct run_row *)row)->seen);

	pen_text(p, attrs[s], run_state_name(s));
}

static void write_verified(struct pen *p, const void *row)
{
	const struct telem_run *run = run_of(row);

	if (judge_verified(run))
		pen_text(p, ATTR_OK, "verified");
	else if (judge_run(((const struct run_row *)row)->seen) == RUN_STARTING)
		pen_text(p, ATTR_DIM, "not yet");
	else
		pen_text(p, ATTR_BAD, "NOT VERIFIED");
}

static void write_context(struct pen *p, const void *row)
{
	const struct telem_run *run = run_of(row);
	char buf[64];
	int n;

	if (!run->ctx_tokens || run->ctx_used_tokens == TELEM_UNKNOWN32) {
		pen_text(p, ATTR_DIM, "-");
		return;
	}
	n = snprintf(buf, sizeof(buf), "%" PRIu32 "/%" PRIu32, run->ctx_used_tokens,
		     run->ctx_tokens);
	snprintf(buf + n, sizeof(buf) - (size_t)n, " %3" PRIu64 "%%",
		 (uint64_t)run->ctx_used_tokens * 100 / run->ctx_tokens);
	if (strlen(buf) > p->end - p->col)
		buf[n] = '\0'; /* the share only where there is room */
	pen_text(p, ATTR_PLAIN, buf);
}

static void write_rate(struct pen *p, double rate)
{
	if (rate < 0)
		pen_text(p, ATTR_DIM, "-");
	else if (rate >= 1e6)
		pen_printf(p, ATTR_PLAIN, "%.1e", rate);
	else
		pen_printf(p, ATTR_PLAIN, rate < 100 ? "%.1f" : "%.0f", rate);
}

static void write_prompt_rate(struct pen *p, const void *row)
{
	write_rate(p, judge_prompt_rate(run_of(row)));
}

static void write_rate_now(struct pen *p, const void *row)
{
	const struct run_row *r = row;

	write_rate(p, judge_rate_now(r->seen, r->now_ns));
}

static void write_average_rate(struct pen *p, const void *row)
{
	write_rate(p, judge_average_rate(run_of(row)));
}

/* clang-format off */
static const struct column columns[] = {
	{ "RUN",         8, 24, 48, 9, false, write_model },
	{ "STATE",      10, 10, 10, 8, false, write_state },
	{ "LAYERS",     12, 12, 12, 7, false, write_verified },
	{ "CONTEXT",    11, 18, 22, 3, true,  write_context },
	{ "PROMPT t/s", 10, 10, 10, 4, true,  write_prompt_rate },
	{ "NOW t/s",     7,  7,  8, 6, true,  write_rate_now },
	{ "AVG t/s",     7,  7,  8, 5, true,  write_average_rate },
};
/* clang-format on */

#define N_COLUMNS (uint32_t)(sizeof(columns) / sizeof(columns[0]))

static void write_device(struct pen *p, const struct telem_device *d)
{
	enum attr a = d->layers_asked == d->layers_verified ? ATTR_PLAIN : ATTR_BAD;

	pen_printf(p, a, "%s", d->name[0] ? d->name : "-");
	if (d->pci[0])
		pen_printf(p, a, " %s", short_address(d->pci));
	pen_printf(p, a, " %" PRIu32 "/%" PRIu32, d->layers_verified, d->layers_asked);
}

/* Unknown sums are not shown: a run that is loading has measured nothing yet. */
static void write_drift(struct pen *p, const struct telem_run *run)
{
	char size[TEXT_SIZE_MAX];
	double percent, measured, planned;

	if (!judge_drift(run, &percent, &measured, &planned)) {
		pen_text(p, ATTR_DIM, "drift -");
		return;
	}
	/* Beyond 2^63 a page lies; text_size takes integers. */
	if (measured >= 9e18 || planned >= 9e18 || percent > 99999) {
		pen_text(p, ATTR_BAD, "drift beyond sense");
		return;
	}
	pen_printf(p, ATTR_PLAIN, "drift %+.1f%% of %s planned", percent,
		   text_size(size, (uint64_t)planned));
}

static void placement_line(struct view *v, const struct run_seen *r)
{
	const struct telem_run *run = &r->page.run;
	struct pen p = view_line(v);
	uint32_t n = run->n_devices < TELEM_DEVICES_MAX ? run->n_devices : TELEM_DEVICES_MAX;

	pen_text(&p, ATTR_DIM, "  on ");
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			pen_text(&p, ATTR_DIM, ", ");
		write_device(&p, &run->devices[i]);
	}
	pen_text(&p, ATTR_DIM, n ? " layers  " : "-  ");
	if (judge_run(r) == RUN_STARTING)
		return;
	if (v->cols < WIDE) {
		p = view_line(v);
		pen_text(&p, ATTR_DIM, "  ");
	}
	write_drift(&p, run);
}

/* What a person should know about a run that is not well; nothing for one that is. */
static void trouble_line(struct view *v, const struct run_seen *r)
{
	enum run_state s = judge_run(r);
	struct pen p;

	if (s != RUN_LOST && s != RUN_STALLED)
		return;
	p = view_line(v);
	if (s == RUN_LOST)
		pen_printf(&p, ATTR_BAD,
			   "  writer dead: process %" PRId32
			   " is gone; these are the last numbers it wrote",
			   r->page.header.writer_pid);
	else
		pen_printf(&p, ATTR_WARN, "  process %" PRId32 " lives, but gives no sign of life",
			   r->page.header.writer_pid);
}

static void run_rows(struct view *v, const struct snapshot *s, const struct run_seen *r,
		     const uint32_t *widths)
{
	struct run_row row = { .seen = r, .now_ns = s->now_ns };

	columns_row(v, columns, N_COLUMNS, widths, &row);
	placement_line(v, r);
	trouble_line(v, r);
}

void view_runs(struct view *v, const struct snapshot *s)
{
	uint32_t widths[COLUMNS_MAX];
	uint32_t shown = 0;
	struct pen p;

	for (uint32_t i = 0; i < s->n_runs; i++) {
		if (s->runs[i].rc)
			continue;
		if (!shown++) {
			columns_fit(columns, N_COLUMNS, v->cols, widths);
			columns_titles(v, columns, N_COLUMNS, widths);
		}
		run_rows(v, s, &s->runs[i], widths);
	}
	if (!shown) {
		p = view_line(v);
		pen_text(&p, ATTR_DIM, "No runs; 'berth launch MODEL' starts one.");
	}
	for (uint32_t i = 0; i < s->n_runs; i++) {
		if (!s->runs[i].rc)
			continue;
		p = view_line(v);
		pen_printf(&p, ATTR_WARN, "note: %s", s->runs[i].note);
	}
	if (s->n_runs_left_out) {
		p = view_line(v);
		pen_printf(&p, ATTR_WARN, "note: %" PRIu32 " more telemetry pages are not shown",
			   s->n_runs_left_out);
	}
}
