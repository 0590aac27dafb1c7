/* SPDX-License-Identifier: MIT */
/* All about one run. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_details_priv.h"

static const struct run_seen *find_run(const struct frame *f)
{
	for (uint32_t i = 0; i < f->snap->n_runs; i++)
		if (!strcmp(run_key(&f->snap->runs[i]), f->ui->subject))
			return &f->snap->runs[i];
	return NULL;
}

static void put_pair(struct pen *p, const struct frame *f, const char *what, uint64_t planned,
		     uint64_t measured)
{
	char a[TEXT_SIZE_MAX], b[TEXT_SIZE_MAX];

	pen_printf(p, ATTR_PLAIN, "%s %s of %s  ", what,
		   measured == TELEM_UNKNOWN ? "-" : frame_size(f, a, measured),
		   planned == TELEM_UNKNOWN ? "-" : frame_size(f, b, planned));
}

static void put_placement(struct view *v, const struct frame *f, const struct telem_run *run)
{
	for (uint32_t i = 0; i < run->n_devices && i < TELEM_DEVICES_MAX; i++) {
		const struct telem_device *d = &run->devices[i];
		struct pen p = details_line(v, i ? "" : "on");

		pen_printf(&p, ATTR_TITLE, "%s %s ", d->name, short_address(d->pci));
		pen_printf(&p, d->layers_asked == d->layers_verified ? ATTR_OK : ATTR_BAD,
			   "%" PRIu32 " layers of %" PRIu32 " asked", d->layers_verified,
			   d->layers_asked);
		p = details_line(v, "");
		put_pair(&p, f, "W", d->planned.weights, d->measured.weights);
		put_pair(&p, f, "K", d->planned.kv, d->measured.kv);
		put_pair(&p, f, "C", d->planned.compute, d->measured.compute);
	}
}

static void put_count(struct pen *p, const char *what, uint64_t n)
{
	if (n != TELEM_UNKNOWN)
		pen_printf(p, ATTR_PLAIN, "%" PRIu64 " %s  ", n, what);
}

static void put_counts(struct view *v, const struct telem_run *run)
{
	const struct telem_counts *c = &run->counts;
	struct pen p = details_line(v, "tokens");

	put_count(&p, "of prompts", c->prompt_tokens);
	put_count(&p, "of them not computed again", c->cached_tokens);
	put_count(&p, "generated", c->generated_tokens);
	if (c->drafted_tokens && c->drafted_tokens != TELEM_UNKNOWN) {
		put_count(&p, "drafted", c->drafted_tokens);
		put_count(&p, "accepted", c->accepted_tokens);
	}
	p = details_line(v, "requests");
	put_count(&p, "taken", c->requests);
	put_count(&p, "failed", c->requests_failed);
	put_count(&p, "waiting", run->queue);
	put_count(&p, "at work", run->busy);
	if (c->last_first_token_ns && c->last_first_token_ns != TELEM_UNKNOWN)
		pen_printf(&p, ATTR_PLAIN, "first token after %.2f s  ",
			   (double)c->last_first_token_ns * 1e-9);
	if (c->first_tokens && c->first_tokens != TELEM_UNKNOWN &&
	    c->first_token_ns != TELEM_UNKNOWN)
		pen_printf(&p, ATTR_PLAIN, "%.2f s on average",
			   (double)c->first_token_ns * 1e-9 / (double)c->first_tokens);
}

/* What its work costs, and how far it is from its plan. */
static void put_balance(struct view *v, const struct frame *f, const struct telem_run *run,
			const struct run_history *h)
{
	double joule = h ? history_tokens_per_joule(h) : -1;
	double percent, measured, planned;
	struct pen p = details_line(v, "speed");

	pen_text(&p, ATTR_DIM, "prompts ");
	pen_rate(&p, judge_prompt_rate(run));
	pen_text(&p, ATTR_DIM, " t/s  text ");
	pen_rate(&p, judge_average_rate(run));
	pen_text(&p, ATTR_DIM, " t/s, of the whole run");
	if (judge_drift(run, &percent, &measured, &planned) && percent < 100000)
		pen_printf(&p, ATTR_PLAIN, "  drift %+.1f %%", run_drift(percent));
	p = details_line(v, "energy");
	if (joule <= 0) {
		pen_text(&p, ATTR_DIM, "unknown: no power of GPUs that it has to itself");
		return;
	}
	pen_printf(&p, ATTR_PLAIN, joule < 10 ? "%.3f tokens per joule" : "%.1f tokens per joule",
		   joule);
	if (f->prefs && f->prefs->price_kwh > 0)
		pen_printf(&p, ATTR_PLAIN, "  %.2f %s for a million",
			   history_cost(joule, f->prefs->price_kwh), f->prefs->currency);
}

static void put_supervisor(struct view *v, const struct run_seen *r)
{
	struct pen p;

	if (!r->phase[0])
		return;
	p = details_line(v, "supervisor");
	pen_printf(&p, r->supervised ? ATTR_PLAIN : ATTR_BAD, "%s, %s, start %" PRIu32,
		   r->supervised ? "lives" : "is gone", r->phase, r->starts);
	if (r->last_class[0]) {
		p = details_line(v, "last end");
		pen_printf(&p, ATTR_WARN, "%s, %s", r->last_class, r->last_sentence);
	}
}

void page_run(struct view *v, const struct frame *f, uint32_t rows)
{
	const struct run_seen *r = find_run(f);
	const struct run_history *h = f->history ? history_run(f->history, f->ui->subject) : NULL;
	struct pen p = details_line(v, "run");

	pen_text(&p, ATTR_TITLE, f->ui->subject);
	if (!r) {
		pen_text(&p, ATTR_PLAIN, " is gone");
		return;
	}
	p = details_line(v, "state");
	pen_text(&p, ATTR_PLAIN, run_state_name(judge_run(r)));
	put_supervisor(v, r);
	if (r->rc)
		return;
	p = details_line(v, "model");
	pen_text(&p, ATTR_PLAIN, r->page.run.model);
	p = details_line(v, "process");
	pen_printf(&p, ATTR_PLAIN, "%" PRId32 "  plan %.16s", r->page.header.writer_pid,
		   r->page.run.plan_id);
	put_placement(v, f, &r->page.run);
	put_counts(v, &r->page.run);
	put_balance(v, f, &r->page.run, h);
	if (r->page.run.ctx_tokens && r->page.run.ctx_used_tokens != TELEM_UNKNOWN32) {
		p = details_line(v, "context");
		pen_printf(&p, ATTR_PLAIN,
			   "%" PRIu32 " of %" PRIu32 " tokens in the fullest of %" PRIu32
			   " sequences",
			   r->page.run.ctx_used_tokens, r->page.run.ctx_tokens, r->page.run.n_seq);
	}
	details_events(v, f, f->ui->subject);
	if (!h)
		return;
	const uint32_t each = details_chart_rows(v, rows, RUN_SERIES);

	details_chart(v, f, "text", &h->s[SERIES_GENERATED], 0, "t/s", each);
	details_chart(v, f, "prompts", &h->s[SERIES_PROMPT], 0, "t/s", each);
	details_chart(v, f, "context", &h->s[SERIES_CONTEXT], 100, "%", each);
}
