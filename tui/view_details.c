/* SPDX-License-Identifier: MIT */
/* All about one device, or one run. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_details_priv.h"

#define NAME_COLS 14

struct pen details_line(struct view *v, const char *name)
{
	struct pen p = view_line(v);

	pen_printf(&p, ATTR_HEAD, "%s", name);
	p.col = p.col < NAME_COLS ? NAME_COLS : p.col + 1;
	return p;
}

static void put_text(struct view *v, const char *name, const struct fact_text *t)
{
	struct pen p = details_line(v, name);

	if (fact_text_known(t))
		pen_text(&p, ATTR_PLAIN, t->v);
	else
		pen_printf(&p, ATTR_DIM, "unknown (%s)", why_name(t->why));
}

static void put_bytes(struct pen *p, const struct frame *f, const char *what, const struct fact *b)
{
	char size[TEXT_SIZE_MAX];

	if (fact_known(b) && b->v >= 0)
		pen_printf(p, ATTR_PLAIN, "%s %s  ", what, frame_size(f, size, (uint64_t)b->v));
}

static void put_number(struct pen *p, const char *what, const struct fact *n, int64_t unit,
		       const char *word)
{
	if (fact_known(n))
		pen_printf(p, ATTR_PLAIN, "%s %" PRId64 "%s  ", what, n->v / unit, word);
	else
		pen_printf(p, ATTR_DIM, "%s %s  ", what, why_name(n->why));
}

void details_chart(struct view *v, const struct frame *f, const char *name, const struct series *s,
		   double top, const char *unit, uint32_t rows)
{
	double newest = (double)s->points[HISTORY_POINTS - 1];
	struct chart c = { .series = s, .glyphs = f->glyphs, .rows = rows };
	uint32_t room = v->cols > NAME_COLS + 2 ? v->cols - NAME_COLS - 2 : 0;
	uint32_t most = HISTORY_POINTS / glyphs_seconds(f->glyphs);

	c.top = top > 0 ? top : chart_top(series_max(s, HISTORY_POINTS));
	c.cols = room < most ? room : most;
	for (uint32_t row = 0; row < rows; row++) {
		struct pen p = details_line(v, row ? "" : name);

		if (row == 1 || (rows == 1 && row == 0)) {
			p.col = rows == 1 ? (uint32_t)strlen(name) + 1 : 0;
			pen_printf(&p, ATTR_DIM, newest < 0 ? "-" : "%.4g %s", newest, unit);
		} else if (row == 2) {
			p.col = 0;
			pen_printf(&p, ATTR_DIM, "of %.4g", c.top);
		}
		p.col = NAME_COLS;
		pen_text(&p, ATTR_DIM, "|");
		for (uint32_t col = 0; col < c.cols; col++)
			pen_char(&p, ATTR_PLAIN, chart_at(&c, row, col), 1);
	}
}

uint32_t details_chart_rows(const struct view *v, uint32_t rows, uint32_t n)
{
	uint32_t left = rows > v->n_rows ? rows - v->n_rows : 0;
	uint32_t each = left / n;

	return each < 1 ? 1 : each > 6 ? 6 : each;
}

void details_events(struct view *v, const struct frame *f, const char *key)
{
	const struct event *e;
	uint32_t shown = 0;

	for (uint32_t i = 0; f->events && shown < 4 && (e = events_newest(f->events, i)); i++) {
		struct pen p;

		if (strcmp(e->subject, key) != 0)
			continue;
		p = details_line(v, shown++ ? "" : "events");
		pen_printf(&p, ATTR_DIM, "%s ", e->clock);
		pen_text(&p, e->severity > SEVERITY_INFO ? ATTR_WARN : ATTR_PLAIN, e->text);
		if (e->help[0])
			pen_printf(&p, ATTR_TITLE, ": '%s'", e->help);
	}
}

/* --- a device --- */

static uint32_t find_gpu(const struct frame *f)
{
	const struct report *r = f->snap->report;
	uint32_t i = 0;

	while (r && i < r->n_gpus && strcmp(r->gpus[i].pci, f->ui->subject) != 0)
		i++;
	return i;
}

static void put_memory(struct view *v, const struct frame *f, const struct gpu *g)
{
	struct held h = judge_held(f->snap, g->pci, &g->vram_used);
	struct fact w = fact_of((int64_t)h.weights, SRC_ENGINE),
		    k = fact_of((int64_t)h.kv, SRC_ENGINE);
	struct fact c = fact_of((int64_t)h.compute, SRC_ENGINE);
	struct pen p = details_line(v, "memory");

	pen_memory(&p, &h, &g->vram_total, &g->vram_used);
	p = details_line(v, "");
	put_bytes(&p, f, "total", &g->vram_total);
	put_bytes(&p, f, "used", &g->vram_used);
	put_bytes(&p, f, "free", &g->vram_free);
	p = details_line(v, "by purpose");
	put_bytes(&p, f, "W weights", &w);
	put_bytes(&p, f, "K kv cache", &k);
	put_bytes(&p, f, "C compute", &c);
	put_bytes(&p, f, "O other", &h.other);
}

static void put_sensors(struct view *v, const struct frame *f, const struct gpu *g)
{
	const struct live *l = &g->live;
	struct pen p = details_line(v, "power");

	put_number(&p, "now", &g->power_mw, 1000, " W");
	put_number(&p, "limit", &g->power_cap_mw, 1000, " W");
	put_number(&p, "from", &l->power_cap_min_mw, 1000, " W");
	put_number(&p, "to", &l->power_cap_max_mw, 1000, " W");
	p = details_line(v, "temperature");
	pen_degrees(&p, f, ATTR_PLAIN, &g->temp_mc);
	if (fact_known(&l->temp_limit_mc)) {
		pen_text(&p, ATTR_PLAIN, " of ");
		pen_degrees(&p, f, ATTR_PLAIN, &l->temp_limit_mc);
	}
	pen_text(&p, ATTR_PLAIN, "  hot spot ");
	pen_degrees(&p, f, ATTR_PLAIN, &l->temp_hotspot_mc);
	pen_text(&p, ATTR_PLAIN, "  memory ");
	pen_degrees(&p, f, ATTR_PLAIN, &l->temp_memory_mc);
	p = details_line(v, "works");
	put_number(&p, "busy", &g->busy_percent, 1, " %");
	put_number(&p, "clock", &l->core_mhz, 1, " MHz");
	put_number(&p, "of", &l->core_max_mhz, 1, " MHz");
	put_number(&p, "memory", &l->mem_mhz, 1, " MHz");
	put_text(v, "held back by", &l->throttle);
}

static void put_way(struct view *v, const struct frame *f, const struct gpu *g)
{
	const struct link *l = &g->link;
	struct pen p = details_line(v, "link");
	char size[TEXT_SIZE_MAX];

	if (fact_known(&l->bytes_per_s) && l->bytes_per_s.v >= 0)
		pen_printf(&p, ATTR_PLAIN, "%s/s expected under load  ",
			   frame_size(f, size, (uint64_t)l->bytes_per_s.v));
	else
		pen_printf(&p, ATTR_DIM, "unknown (%s)  ", why_name(l->bytes_per_s.why));
	pen_printf(&p, l->cause == LINK_CAUSE_DOWN ? ATTR_WARN : ATTR_PLAIN, "%s",
		   link_cause_name(l->cause));
	for (uint32_t i = 0; i < l->n_hops && i < LINK_HOPS_MAX; i++) {
		p = details_line(v, "");
		pen_printf(&p, ATTR_DIM, "%s %s  ", short_address(l->hops[i].pci),
			   hop_kind_name(l->hops[i].kind));
		put_number(&p, "", &l->hops[i].speed_mts, 1, " MT/s");
		put_number(&p, "x", &l->hops[i].width, 1, "");
	}
}

static void put_holders(struct view *v, const struct frame *f, const struct gpu *g)
{
	for (uint32_t i = 0; i < g->holders.n_procs && i < PROCS_MAX; i++) {
		const struct gpu_proc *proc = &g->holders.procs[i];
		struct pen p = details_line(v, i ? "" : "held by");

		pen_printf(&p, ATTR_PLAIN, "%" PRIu32 " %s  ", proc->pid, proc->name);
		put_bytes(&p, f, "", &proc->vram);
	}
	for (uint32_t i = 0; i < f->snap->n_runs; i++) {
		const struct run_seen *r = &f->snap->runs[i];

		for (uint32_t k = 0; !r->rc && k < r->page.run.n_devices && k < TELEM_DEVICES_MAX;
		     k++)
			if (!strcasecmp(r->page.run.devices[k].pci, g->pci)) {
				struct pen p = details_line(v, "run");

				pen_printf(&p, ATTR_TITLE, "%s ", run_key(r));
				pen_printf(&p, ATTR_PLAIN, "%s  %" PRIu32 " layers",
					   run_state_name(judge_run(r)),
					   r->page.run.devices[k].layers_verified);
			}
	}
}

void page_device(struct view *v, const struct frame *f, uint32_t rows)
{
	uint32_t i = find_gpu(f);
	const struct report *r = f->snap->report;
	const struct device_history *d;
	struct pen p = details_line(v, "device");

	if (!r || i >= r->n_gpus) {
		pen_text(&p, ATTR_PLAIN, f->ui->subject);
		if (r && !strcmp(f->ui->subject, "CPU"))
			put_text(v, "name", &r->cpu.name);
		return;
	}
	const struct gpu *g = &r->gpus[i];

	pen_printf(&p, ATTR_TITLE, "%s  ", g->pci);
	pen_text(&p, ATTR_TITLE, fact_text_known(&g->name) ? g->name.v : "");
	p = details_line(v, "state");
	pen_text(&p, ATTR_PLAIN, device_state_name(judge_device(f->snap, i)));
	if (f->snap->devices[i].waiting_ms > SNAP_SILENT_MS)
		pen_printf(&p, ATTR_BAD, ": not answering for %" PRIu64 " s",
			   f->snap->devices[i].waiting_ms / 1000);
	if (f->snap->devices[i].resting)
		pen_text(&p, ATTR_DIM, ": idle, so looked at less often");
	put_text(v, "driver", &g->driver);
	put_memory(v, f, g);
	put_sensors(v, f, g);
	put_way(v, f, g);
	put_holders(v, f, g);
	details_events(v, f, g->pci);
	d = f->history ? history_device(f->history, g->pci) : NULL;
	if (!d)
		return;
	p = details_line(v, "energy");
	pen_printf(&p, ATTR_PLAIN, "%.1f Wh since the monitor began", d->joules / 3600);
	const uint32_t each = details_chart_rows(v, rows, DEVICE_SERIES);
	const double cap = fact_known(&g->power_cap_mw) ? (double)g->power_cap_mw.v / 1000 : 0;

	details_chart(v, f, "power", &d->s[SERIES_POWER_W], cap, "W", each);
	details_chart(v, f, "busy", &d->s[SERIES_BUSY], 100, "%", each);
	details_chart(v, f, "memory", &d->s[SERIES_USED], 100, "%", each);
	details_chart(v, f, "heat", &d->s[SERIES_TEMP_C], 100, "C", each);
}

/* --- a run --- */

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
	if (c->first_tokens && c->first_tokens != TELEM_UNKNOWN &&
	    c->first_token_ns != TELEM_UNKNOWN)
		pen_printf(&p, ATTR_PLAIN, "first token after %.2f s, %.2f s on average",
			   (double)c->last_first_token_ns * 1e-9,
			   (double)c->first_token_ns * 1e-9 / (double)c->first_tokens);
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
