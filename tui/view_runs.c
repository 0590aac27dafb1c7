/* SPDX-License-Identifier: MIT */
/* Runs: what each does now and, in a card, where it really is and what is wrong with it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_priv.h"

#define DRIFT_COLS 32 /* that a placement leaves for its drift in the same row */

struct run_row {
	const struct frame *f;
	const struct run_seen *seen;
	const struct run_history *past; /* NULL: none */
	enum run_state state;
};

static const struct telem_run *run_of(const void *row)
{
	return &((const struct run_row *)row)->seen->page.run;
}

/* Without a page there is nothing but what its supervisor says. */
static bool has_page(const void *row)
{
	return !((const struct run_row *)row)->seen->rc;
}

static void write_model(struct pen *p, const void *row)
{
	const struct run_seen *r = ((const struct run_row *)row)->seen;
	const char *model = r->rc ? "" : r->page.run.model;
	/* A run is mostly called as its model is: once will do. */
	bool same = r->name[0] && !strncmp(model, r->name, strlen(r->name));

	if (r->name[0] && !same) {
		pen_printf(p, ATTR_TITLE, "%s: ", r->name);
		pen_text(p, ATTR_PLAIN, model);
	} else {
		pen_text(p, ATTR_TITLE, model[0] ? model : "-");
	}
}

static void write_state(struct pen *p, const void *row)
{
	static const enum attr attrs[RUN_STATE_COUNT] = {
		[RUN_STARTING] = ATTR_WARN, [RUN_READY] = ATTR_OK,     [RUN_GENERATING] = ATTR_OK,
		[RUN_STOPPED] = ATTR_DIM,   [RUN_ASLEEP] = ATTR_DIM,   [RUN_STOPPING] = ATTR_DIM,
		[RUN_FAILED] = ATTR_BAD,    [RUN_STALLED] = ATTR_WARN, [RUN_LOST] = ATTR_BAD,
		[RUN_WAITING] = ATTR_WARN,  [RUN_NO_PAGE] = ATTR_WARN,
	};
	enum run_state s = ((const struct run_row *)row)->state;

	pen_text(p, attrs[s], run_state_name(s));
}

/* Where the numbers say that all is well. */
static void write_trouble(struct pen *p, const void *row)
{
	enum run_state s = ((const struct run_row *)row)->state;

	if (s != RUN_READY && s != RUN_GENERATING)
		write_state(p, row);
	else if (!judge_verified(run_of(row)))
		pen_text(p, ATTR_BAD, "NOT VERIFIED");
}

static void write_verified(struct pen *p, const void *row)
{
	const struct telem_run *run = run_of(row);
	enum run_state s = ((const struct run_row *)row)->state;

	if (!has_page(row))
		pen_text(p, ATTR_DIM, "-");
	else if (judge_verified(run))
		pen_text(p, ATTR_OK, "verified");
	else if (s == RUN_STARTING || s == RUN_WAITING)
		pen_text(p, ATTR_DIM, "not yet");
	else
		pen_text(p, ATTR_BAD, "NOT VERIFIED");
}

static void write_context(struct pen *p, const void *row)
{
	const struct telem_run *run = run_of(row);
	uint32_t room = p->end - p->col;
	uint64_t percent;

	if (!has_page(row) || !run->ctx_tokens || run->ctx_used_tokens == TELEM_UNKNOWN32) {
		pen_text(p, ATTR_DIM, "-");
		return;
	}
	percent = (uint64_t)run->ctx_used_tokens * 100 / run->ctx_tokens;
	if (room < 9) {
		pen_printf(p, ATTR_PLAIN, "%" PRIu64 "%%", percent);
		return;
	}
	pen_printf(p, ATTR_PLAIN, "%" PRIu32 "/%" PRIu32, run->ctx_used_tokens, run->ctx_tokens);
	/* The share only where there is room for it when the context is full, too: it shall not come and go. */
	if (room >= (uint32_t)snprintf(NULL, 0, "%" PRIu32 "/%" PRIu32 " 100%%", run->ctx_tokens,
				       run->ctx_tokens))
		pen_printf(p, ATTR_PLAIN, " %3" PRIu64 "%%", percent);
}

/* Over the last minute where it is known, else over all of the run. */
static void write_prompt_rate(struct pen *p, const void *row)
{
	const struct run_row *r = row;
	double now = r->past ? history_prompt_rate(r->past) : -1;

	pen_rate(p, !has_page(row) ? -1 : now >= 0 ? now : judge_prompt_rate(run_of(row)));
}

static double rate_now(const struct run_row *r)
{
	return has_page(r) ? history_rate_now(r->past, r->f->snap, r->seen) : -1;
}

static void write_rate_now(struct pen *p, const void *row)
{
	pen_rate(p, rate_now(row));
}

static void write_average_rate(struct pen *p, const void *row)
{
	pen_rate(p, has_page(row) ? judge_average_rate(run_of(row)) : -1);
}

static void write_short_rate(struct pen *p, const void *row)
{
	write_rate_now(p, row);
	if (rate_now(row) >= 0)
		pen_text(p, ATTR_PLAIN, "t/s");
}

static void write_spark(struct pen *p, const void *row)
{
	const struct run_row *r = row;

	if (r->past)
		pen_spark(p, r->f, ATTR_DIM, &r->past->s[SERIES_GENERATED], 0);
}

static void write_first_token(struct pen *p, const void *row)
{
	uint64_t ns = run_of(row)->counts.last_first_token_ns;

	if (!has_page(row) || !ns || ns == TELEM_UNKNOWN)
		pen_text(p, ATTR_DIM, "-");
	else
		pen_printf(p, ATTR_PLAIN, ns < UINT64_C(99950000000) ? "%.2f s" : "%.0f s",
			   (double)ns * 1e-9);
}

static double tokens_per_joule(const struct run_row *r)
{
	return r->past ? history_tokens_per_joule(r->past) : -1;
}

static void write_joule(struct pen *p, const void *row)
{
	double v = tokens_per_joule(row);

	if (v < 0)
		pen_text(p, ATTR_DIM, "-");
	else
		pen_printf(p, ATTR_PLAIN, v < 10 ? "%.3f" : "%.1f", v);
}

static void write_cost(struct pen *p, const void *row)
{
	const struct run_row *r = row;
	double v = tokens_per_joule(r);

	if (v <= 0 || !r->f->prefs || r->f->prefs->price_kwh <= 0)
		pen_text(p, ATTR_DIM, "-");
	else
		pen_printf(p, ATTR_PLAIN, "%.2f %s", history_cost(v, r->f->prefs->price_kwh),
			   r->f->prefs->currency);
}

static void write_queue(struct pen *p, const void *row)
{
	if (has_page(row))
		pen_printf(p, ATTR_PLAIN, "%" PRIu32, run_of(row)->queue);
	else
		pen_text(p, ATTR_DIM, "-");
}

double run_drift(double percent)
{
	return percent > -0.05 && percent < 0 ? 0 : percent;
}

static void write_drift_percent(struct pen *p, const void *row)
{
	double percent, measured, planned;

	if (has_page(row) && judge_drift(run_of(row), &percent, &measured, &planned) &&
	    percent < 100000)
		pen_printf(p, ATTR_PLAIN, "%+.1f %%", run_drift(percent));
	else
		pen_text(p, ATTR_DIM, "-");
}

/* clang-format off */
static const struct column columns[] = {
	{ "RUN",        12, 24, 48, 20, false, write_model, false, 0 },
	{ "STATE",      10, 10, 10, 19, false, write_state, false, 0 },
	{ "LAYERS",     12, 12, 12, 18, false, write_verified, false, 0 },
	{ "CONTEXT",    11, 18, 22, 14, true,  write_context, false, 0 },
	{ "PROMPT t/s", 10, 10, 10, 15, true,  write_prompt_rate, false, 0 },
	{ "NOW t/s",     7,  7,  8, 17, true,  write_rate_now, false, 0 },
	{ "AVG t/s",     7,  7,  8, 13, true,  write_average_rate, false, 0 },
	{ "60 s",        8, 15, 60, 16, false, write_spark, true, 80 },
	{ "FIRST",       7,  7,  7, 12, true,  write_first_token, false, 92 },
	{ "tok/J",       6,  6,  6, 11, true,  write_joule, true, 100 },
	{ "QUEUE",       5,  5,  5, 10, true,  write_queue, false, 106 },
	{ "DRIFT",       7,  7,  7,  9, true,  write_drift_percent, false, 124 },
	{ "COST/M",     10, 10, 12,  8, true,  write_cost, true, 132 },
};

static const struct column short_columns[] = {
	{ "",  8, 12, 30, 9, false, write_model, false, 0 },
	{ "",  8,  8,  9, 8, true,  write_short_rate, false, 0 },
	{ "",  4,  4,  4, 6, true,  write_context, false, 0 },
	{ "",  8, 10, 12, 7, false, write_trouble, false, 0 },
	{ "",  6, 10, 15, 5, false, write_spark, true, 0 },
};
/* clang-format on */

static const struct table table = TABLE(columns, short_columns);

/* --- cards --- */

static void write_device(struct pen *p, const struct telem_device *d)
{
	enum attr a = d->layers_asked == d->layers_verified ? ATTR_PLAIN : ATTR_BAD;

	pen_printf(p, a, "%s", d->name[0] ? d->name : "-");
	if (d->pci[0])
		pen_printf(p, a, " %s", short_address(d->pci));
	pen_printf(p, a, " %" PRIu32 "/%" PRIu32, d->layers_verified, d->layers_asked);
}

/* Unknown sums are not shown: a run that is loading has measured nothing yet. */
static void write_drift(struct pen *p, const struct frame *f, const struct telem_run *run)
{
	char size[TEXT_SIZE_MAX];
	double percent, measured, planned;

	if (!judge_drift(run, &percent, &measured, &planned)) {
		pen_text(p, ATTR_DIM, "drift -");
		return;
	}
	/* Beyond 2^63 a page lies; sizes are integers. */
	if (measured >= 9e18 || planned >= 9e18 || percent > 99999) {
		pen_text(p, ATTR_BAD, "drift beyond sense");
		return;
	}
	pen_printf(p, ATTR_PLAIN, "drift %+.1f%% of %s planned", run_drift(percent),
		   frame_size(f, size, (uint64_t)planned));
}

static void placement_line(struct view *v, const struct run_row *r)
{
	const struct telem_run *run = run_of(r);
	struct pen p = view_line(v);
	uint32_t n = run->n_devices < TELEM_DEVICES_MAX ? run->n_devices : TELEM_DEVICES_MAX;

	pen_text(&p, ATTR_DIM, "  on ");
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			pen_text(&p, ATTR_DIM, ", ");
		write_device(&p, &run->devices[i]);
	}
	pen_text(&p, ATTR_DIM, n ? " layers  " : "-  ");
	if (r->state == RUN_STARTING)
		return;
	if (p.col + DRIFT_COLS > v->cols) {
		p = view_line(v);
		pen_text(&p, ATTR_DIM, "  ");
	}
	write_drift(&p, r->f, run);
}

/* What a person should know about a run that is not well; nothing for one that is. */
static void trouble_line(struct view *v, const struct run_row *r)
{
	const struct run_seen *seen = r->seen;
	struct pen p;

	if (r->state == RUN_LOST && !seen->rc) {
		p = view_line(v);
		pen_printf(&p, ATTR_BAD,
			   "  writer dead: process %" PRId32
			   " is gone; these are the last numbers it wrote",
			   seen->page.header.writer_pid);
	} else if (r->state == RUN_STALLED) {
		p = view_line(v);
		pen_printf(&p, ATTR_WARN, "  process %" PRId32 " lives, but gives no sign of life",
			   seen->page.header.writer_pid);
	}
	if (seen->last_class[0] && (r->state == RUN_WAITING || r->state == RUN_FAILED ||
				    r->state == RUN_LOST || seen->starts > 1)) {
		p = view_line(v);
		pen_printf(&p, r->state == RUN_FAILED ? ATTR_BAD : ATTR_WARN,
			   "  start %" PRIu32 "; the last ended: %s, %s", seen->starts,
			   seen->last_class, seen->last_sentence);
	}
}

/* --- rows --- */

static void notes(struct rows *r, const struct frame *f)
{
	const struct snapshot *s = f->snap;
	struct pen p;

	for (uint32_t i = 0; i < s->n_runs; i++) {
		if (judge_run(&s->runs[i]) != RUN_NO_PAGE)
			continue;
		p = view_line(&r->view);
		pen_printf(&p, ATTR_WARN, "note: %s", s->runs[i].note);
	}
	if (s->n_runs_left_out) {
		p = view_line(&r->view);
		pen_printf(&p, ATTR_WARN, "note: %" PRIu32 " more telemetry pages are not shown",
			   s->n_runs_left_out);
	}
	rows_mark(r, 0);
}

void rows_runs(struct rows *r, const struct frame *f, const struct listing *l, enum form form)
{
	struct pen p;

	if (!l->n) {
		p = view_line(&r->view);
		pen_text(&p, ATTR_DIM,
			 f->ui && f->ui->filter[0] ? "No run that the filter lets through."
						   : "No runs; 'berth launch MODEL' starts one.");
		notes(r, f);
		return;
	}
	const struct fitted t = table_begin(r, &table, form, f->history != NULL);

	for (uint32_t i = 0; i < l->n; i++) {
		const struct run_seen *seen = &f->snap->runs[l->items[i].index];
		const struct run_row row = {
			.f = f,
			.seen = seen,
			.past = f->history ? history_run(f->history, run_key(seen)) : NULL,
			.state = judge_run(seen)
		};

		table_row(r, &t, &row);
		if (form == FORM_CARD && !seen->rc)
			placement_line(&r->view, &row);
		if (form == FORM_CARD)
			trouble_line(&r->view, &row);
		rows_mark(r, i + 1);
	}
	notes(r, f);
}
