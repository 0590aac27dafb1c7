/* SPDX-License-Identifier: MIT */
/* What pages of details share, and all about one device. */
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
	pen_to(&p, p.col < NAME_COLS ? NAME_COLS : p.col + 1);
	pen_flows(&p, NAME_COLS);
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

/* What belongs to the number before it, and says nothing without. */
static void put_known(struct pen *p, const char *what, const struct fact *n, int64_t unit,
		      const char *word)
{
	if (fact_known(n))
		put_number(p, what, n, unit, word);
}

/* Beside the name of a curve of one row there is not always room for its unit. */
static void put_newest(struct pen *p, double newest, const char *unit, bool beside)
{
	char text[32];

	if (newest < 0) {
		pen_text(p, ATTR_DIM, "-");
		return;
	}
	snprintf(text, sizeof(text), "%.*g %s", beside ? 3 : 4, newest, unit);
	if (beside && p->col + strlen(text) > NAME_COLS)
		*strchr(text, ' ') = '\0';
	pen_text(p, ATTR_DIM, text);
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

		p.indent = 0; /* nothing goes between the rows of a curve */
		if (row == 1 || (rows == 1 && row == 0)) {
			pen_to(&p, rows == 1 ? (uint32_t)strlen(name) + 1 : 0);
			put_newest(&p, newest, unit, rows == 1);
		} else if (row == 2) {
			pen_to(&p, 0);
			pen_printf(&p, ATTR_DIM, "of %.4g", c.top);
		} else if (row == 3) {
			pen_to(&p, 0);
			pen_printf(&p, ATTR_DIM, "in %" PRIu32 " s",
				   c.cols * glyphs_seconds(f->glyphs));
		}
		pen_to(&p, NAME_COLS);
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

/* Runs that have something on it; an empty address is the CPU's. */
static void put_runs(struct view *v, const struct frame *f, const char *pci)
{
	for (uint32_t i = 0; i < f->snap->n_runs; i++) {
		const struct run_seen *r = &f->snap->runs[i];

		for (uint32_t k = 0; !r->rc && k < r->page.run.n_devices && k < TELEM_DEVICES_MAX;
		     k++)
			if (!strcasecmp(r->page.run.devices[k].pci, pci)) {
				struct pen p = details_line(v, "run");

				pen_printf(&p, ATTR_TITLE, "%s ", run_key(r));
				pen_printf(&p, ATTR_PLAIN, "%s  %" PRIu32 " layers",
					   run_state_name(judge_run(r)),
					   r->page.run.devices[k].layers_verified);
			}
	}
}

static uint32_t find_gpu(const struct frame *f)
{
	const struct report *r = f->snap->report;
	uint32_t i = 0;

	while (r && i < r->n_gpus && strcmp(r->gpus[i].pci, f->ui->subject) != 0)
		i++;
	return i;
}

/* What runs measured, and what is left of it; nothing where neither is known. */
static void put_purposes(struct view *v, const struct frame *f, const struct held *h)
{
	const struct {
		const char *name;
		uint64_t bytes;
	} parts[] = { { "W weights", h->weights },
		      { "K kv cache", h->kv },
		      { "C compute", h->compute } };
	bool any = h->weights || h->kv || h->compute;
	struct pen p;

	if (!any && !fact_known(&h->other))
		return;
	p = details_line(v, "by purpose");
	for (size_t i = 0; any && i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct fact b = fact_of((int64_t)parts[i].bytes, SRC_ENGINE);

		put_bytes(&p, f, parts[i].name, &b);
	}
	put_bytes(&p, f, "O other", &h->other);
}

/* pci NULL: the CPU. */
static void put_memory(struct view *v, const struct frame *f, const char *pci,
		       const struct fact *total, const struct fact *used, const struct fact *left)
{
	struct held h = judge_held(f->snap, pci, used);
	struct pen p = details_line(v, "memory");

	pen_memory(&p, &h, total, used);
	if (fact_known(total) || fact_known(used) || fact_known(left)) {
		p = details_line(v, "");
		put_bytes(&p, f, "total", total);
		put_bytes(&p, f, "used", used);
		put_bytes(&p, f, "free", left);
	}
	put_purposes(v, f, &h);
}

static void put_sensors(struct view *v, const struct frame *f, const struct gpu *g)
{
	const struct live *l = &g->live;
	struct pen p = details_line(v, "power");

	put_number(&p, "now", &g->power_mw, 1000, " W");
	put_number(&p, "limit", &g->power_cap_mw, 1000, " W");
	put_known(&p, "which may be from", &l->power_cap_min_mw, 1000, " W");
	put_known(&p, "to", &l->power_cap_max_mw, 1000, " W");
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
	put_known(&p, "of", &l->core_max_mhz, 1, " MHz");
	put_number(&p, "memory", &l->mem_mhz, 1, " MHz");
	put_number(&p, "fan", &l->fan_percent, 1, " %");
	put_text(v, "held back by", &l->throttle);
}

static void put_flow(struct pen *p, const struct frame *f, const char *what, const struct fact *b)
{
	char size[TEXT_SIZE_MAX];

	if (fact_known(b) && b->v >= 0)
		pen_printf(p, ATTR_PLAIN, "%s %s/s  ", what, frame_size(f, size, (uint64_t)b->v));
}

/* What comes and goes now, where that is asked, and the cable where there is one. */
static void put_flows(struct view *v, const struct frame *f, const struct gpu *g)
{
	const struct live *l = &g->live;
	const struct tunnel *t = &g->tunnel;
	struct pen p;

	if (fact_known(&l->pcie_rx_bytes_per_s) || fact_known(&l->pcie_tx_bytes_per_s)) {
		p = details_line(v, "moves");
		put_flow(&p, f, "in", &l->pcie_rx_bytes_per_s);
		put_flow(&p, f, "out", &l->pcie_tx_bytes_per_s);
	}
	if (t->tunnelled) {
		p = details_line(v, "tunnel");
		put_flow(&p, f, "expected", &t->pcie_bytes_per_s);
		put_flow(&p, f, "at most", &t->pcie_max_bytes_per_s);
		pen_text(&p, ATTR_DIM, t->how);
	}
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
		/* A switch in a package has no link of its own. */
		if (fact_known(&l->hops[i].speed_mts))
			put_number(&p, "", &l->hops[i].speed_mts, 1, " MT/s");
		if (fact_known(&l->hops[i].width))
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
	if (g->holders.n_left_out) {
		struct pen p = details_line(v, "");

		pen_printf(&p, ATTR_WARN, "and %" PRIu32 " more", g->holders.n_left_out);
	}
}

/* The device of last resort, with the host's memory. */
static void page_cpu(struct view *v, const struct frame *f)
{
	const struct cpu *c = &f->snap->report->cpu;
	struct fact used = judge_ram_used(c);
	struct pen p;

	put_text(v, "name", &c->name);
	p = details_line(v, "works");
	put_number(&p, "cores", &c->cores, 1, "");
	put_number(&p, "threads", &c->threads, 1, "");
	put_number(&p, "busy", &c->busy_percent, 1, " %");
	put_memory(v, f, NULL, &c->ram_total, &used, &c->ram_available);
	put_runs(v, f, "");
}

/* Those of which anything is known. */
static void put_charts(struct view *v, const struct frame *f, const struct gpu *g, uint32_t rows)
{
	const struct device_history *d = f->history ? history_device(f->history, g->pci) : NULL;
	const double cap = fact_known(&g->power_cap_mw) ? (double)g->power_cap_mw.v / 1000 : 0;
	const struct {
		const char *name, *unit;
		uint32_t series;
		double top;
	} charts[] = { { "power", "W", SERIES_POWER_W, cap },
		       { "busy", "%", SERIES_BUSY, 100 },
		       { "memory", "%", SERIES_USED, 100 },
		       { "heat", "C", SERIES_TEMP_C, 100 } };
	uint32_t n = 0, each;

	for (size_t i = 0; d && i < sizeof(charts) / sizeof(charts[0]); i++)
		n += series_max(&d->s[charts[i].series], HISTORY_POINTS) >= 0;
	if (!n)
		return;
	if (series_max(&d->s[SERIES_POWER_W], HISTORY_POINTS) >= 0) {
		struct pen p = details_line(v, "energy");

		pen_printf(&p, ATTR_PLAIN, "%.1f Wh since the monitor began", d->joules / 3600);
	}
	each = details_chart_rows(v, rows, n);
	for (size_t i = 0; i < sizeof(charts) / sizeof(charts[0]); i++)
		if (series_max(&d->s[charts[i].series], HISTORY_POINTS) >= 0)
			details_chart(v, f, charts[i].name, &d->s[charts[i].series], charts[i].top,
				      charts[i].unit, each);
}

void page_device(struct view *v, const struct frame *f, uint32_t rows)
{
	uint32_t i = find_gpu(f);
	const struct report *r = f->snap->report;
	struct pen p = details_line(v, "device");

	if (!r || i >= r->n_gpus) {
		pen_text(&p, ATTR_TITLE, f->ui->subject);
		if (r && !strcmp(f->ui->subject, "CPU"))
			page_cpu(v, f);
		else
			pen_text(&p, ATTR_PLAIN, " is gone");
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
	put_memory(v, f, g->pci, &g->vram_total, &g->vram_used, &g->vram_free);
	put_sensors(v, f, g);
	put_way(v, f, g);
	put_flows(v, f, g);
	put_holders(v, f, g);
	put_runs(v, f, g->pci);
	details_events(v, f, g->pci);
	put_charts(v, f, g, rows);
}
