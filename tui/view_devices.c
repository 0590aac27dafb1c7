/* SPDX-License-Identifier: MIT */
/* Devices: a row each: what it is, what holds its memory, its power and state. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_device_priv.h"

/* Makers whose name the model's name does without, where the column is narrow. */
static const char *const makers[] = { "NVIDIA ", "AMD ", "Intel ", "Intel(R) " };

static const char *short_name(const struct pen *p, const char *name)
{
	if (text_cells(p->v, name) <= p->end - p->col)
		return name;
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (!strncmp(name, makers[i], strlen(makers[i])))
			return name + strlen(makers[i]);
	return name;
}

/* What a device said before it fell silent is old, and looks so. */
static enum attr tone(const struct device_row *d)
{
	return d->state == DEVICE_LOST || d->state == DEVICE_SILENT ? ATTR_DIM : ATTR_PLAIN;
}

static void write_place(struct pen *p, const void *row)
{
	pen_text(p, ATTR_PLAIN, ((const struct device_row *)row)->place);
}

static void write_device(struct pen *p, const void *row)
{
	const struct device_row *d = row;

	write_place(p, row);
	pen_text(p, ATTR_PLAIN, " ");
	if (fact_text_known(d->name))
		pen_text(p, ATTR_PLAIN, short_name(p, d->name->v));
	else if (d->gpu)
		pen_printf(p, ATTR_PLAIN, "%04" PRIx32 ":%04" PRIx32, d->gpu->vendor,
			   d->gpu->device);
}

static void write_bar(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	uint64_t s = d->seen ? d->seen->waiting_ms / 1000 : 0;

	if (d->state == DEVICE_SILENT)
		pen_printf(p, ATTR_BAD,
			   p->end - p->col < 19 ? "silent %" PRIu64 " s"
						: "not answering %" PRIu64 " s",
			   s);
	else if (d->state == DEVICE_LOST)
		pen_text(p, ATTR_BAD, "left the bus");
	else
		pen_memory(p, &d->held, &d->total, &d->used);
}

/* "29.1/31.8 GiB", "96/128 GiB": both in the unit of the total. */
static void write_memory(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	char size[TEXT_SIZE_MAX];
	struct scale s;

	if (!fact_known(&d->total) || d->total.v < 0) {
		if (fact_known(&d->used) && d->used.v >= 0)
			pen_printf(p, ATTR_PLAIN, "%s/-",
				   frame_size(d->f, size, (uint64_t)d->used.v));
		else
			pen_text(p, ATTR_DIM, "-");
		return;
	}
	s = scale_of(d->f, (uint64_t)d->total.v);
	if (fact_known(&d->used) && d->used.v >= 0)
		pen_printf(p, tone(d), "%.*f", s.digits, (double)d->used.v / s.bytes);
	else
		pen_text(p, ATTR_DIM, "-");
	/* Narrow columns do with the unit's first letter. */
	pen_printf(p, tone(d), "/%.*f%s%.*s", s.digits, (double)d->total.v / s.bytes,
		   p->end - p->col < 9 ? "" : " ", p->end - p->col < 9 ? 1 : 3, s.unit);
}

static double watts_of(const struct device_row *d)
{
	if (d->past && d->past->watts >= 0)
		return d->past->watts;
	return d->gpu && fact_known(&d->gpu->power_mw) ? (double)d->gpu->power_mw.v / 1000 : -1;
}

static void write_power(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	double watts = watts_of(d);

	if (watts < 0) {
		pen_text(p, ATTR_DIM, "-");
		return;
	}
	pen_printf(p, tone(d), "%.0f", watts);
	if (fact_known(&d->gpu->power_cap_mw) && p->end - p->col > 5)
		pen_printf(p, tone(d), "/%.0f", (double)d->gpu->power_cap_mw.v / 1000);
	pen_text(p, tone(d), p->end - p->col > 1 ? " W" : "W");
}

static void write_temp(struct pen *p, const void *row)
{
	const struct device_row *d = row;

	if (d->gpu)
		pen_degrees(p, d->f, tone(d), &d->gpu->temp_mc);
	else
		pen_text(p, ATTR_DIM, "-");
}

static void write_busy(struct pen *p, const void *row)
{
	const struct device_row *d = row;

	const struct fact *busy = d->gpu ? &d->gpu->busy_percent
					 : &d->f->snap->report->cpu.busy_percent;

	if (fact_known(busy))
		pen_printf(p, tone(d), "%" PRId64 " %%", busy->v);
	else
		pen_text(p, ATTR_DIM, "-");
}

static void write_clock(struct pen *p, const void *row)
{
	const struct device_row *d = row;

	if (d->gpu && fact_known(&d->gpu->live.core_mhz))
		pen_printf(p, tone(d), "%" PRId64 " MHz", d->gpu->live.core_mhz.v);
	else
		pen_text(p, ATTR_DIM, "-");
}

/* The generation of PCIe by its rate; 0: none. */
static uint32_t generation(int64_t mts)
{
	static const int64_t rates[] = { 2500, 5000, 8000, 16000, 32000, 64000 };

	for (uint32_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		if (rates[i] == mts)
			return i + 1;
	return 0;
}

/* The narrowest hop, as it will be under load: an idle link slows down by itself. */
void device_write_link(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	const struct link *l = d->gpu ? &d->gpu->link : NULL;
	enum attr a = l && l->cause == LINK_CAUSE_DOWN ? ATTR_WARN : ATTR_PLAIN;
	const struct hop *h;
	bool best;

	if (d->gpu && judge_tunnelled(d->gpu)) {
		pen_text(p, a, "tunnel");
		return;
	}
	if (!l || l->bottleneck < 0 || (uint32_t)l->bottleneck >= l->n_hops) {
		pen_text(p, ATTR_DIM, "-");
		return;
	}
	h = &l->hops[l->bottleneck];
	best = l->cause == LINK_CAUSE_IDLE && fact_known(&h->max_speed_mts);
	const struct fact *speed = best ? &h->max_speed_mts : &h->speed_mts;
	uint32_t gen = fact_known(speed) ? generation(speed->v) : 0;

	if (gen && fact_known(&h->width))
		pen_printf(p, a, "gen%" PRIu32 " x%" PRId64, gen, h->width.v);
	else
		pen_text(p, ATTR_DIM, "-");
}

static void write_spark(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	double cap = d->gpu && fact_known(&d->gpu->power_cap_mw)
			     ? (double)d->gpu->power_cap_mw.v / 1000
			     : 0;

	if (d->past)
		pen_spark(p, d->f, ATTR_DIM, &d->past->s[SERIES_POWER_W], cap);
}

void device_write_held_back(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	const struct fact_text *t = d->gpu ? &d->gpu->live.throttle : NULL;

	if (!t || !fact_text_known(t))
		pen_text(p, ATTR_DIM, "-");
	else
		pen_text(p, strstr(t->v, "thermal") ? ATTR_WARN : ATTR_PLAIN, t->v);
}

/* Of a device that works, its worst alarm. */
static void write_state(struct pen *p, const void *row)
{
	static const enum attr attrs[DEVICE_STATE_COUNT] = {
		[DEVICE_OK] = ATTR_OK,          [DEVICE_ASLEEP] = ATTR_DIM,
		[DEVICE_NO_DRIVER] = ATTR_WARN, [DEVICE_UNKNOWN] = ATTR_WARN,
		[DEVICE_LOST] = ATTR_BAD,       [DEVICE_SILENT] = ATTR_BAD,
	};
	const struct device_row *d = row;
	enum severity worst;

	if (d->state == DEVICE_OK && d->gpu && d->f->events &&
	    events_worst(d->f->events, d->gpu->pci, &worst) && worst > SEVERITY_INFO)
		pen_text(p, ATTR_WARN, "WARN");
	else
		pen_text(p, attrs[d->state], device_state_name(d->state));
}

/* Where a word for "all is well" costs room that the name needs. */
static void write_trouble(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	enum severity worst = SEVERITY_INFO;
	bool any = d->gpu && d->f->events && events_worst(d->f->events, d->gpu->pci, &worst);

	if (d->state != DEVICE_OK || (any && worst > SEVERITY_INFO))
		write_state(p, row);
}

/* clang-format off */
static const struct column columns[] = {
	{ "DEVICE",     12, 26, 44, 20, false, write_device, false, 0 },
	{ "MEMORY",     14, 16, 64, 17, false, write_bar, false, 0 },
	{ "USED/TOTAL", 13, 13, 13, 19, true,  write_memory, false, 0 },
	{ "POWER",       9,  9,  9, 16, true,  write_power, false, 0 },
	{ "TEMP",        5,  5,  5, 15, true,  write_temp, false, 0 },
	{ "BUSY",        5,  5,  5, 14, true,  write_busy, false, 86 },
	{ "STATE",       9,  9,  9, 18, false, write_state, false, 0 },
	{ "LINK",        8,  8,  8, 13, false, device_write_link, false, 96 },
	{ "CLOCK",       8,  8,  8, 12, true,  write_clock, false, 110 },
	{ "POWER 60 s", 12, 30, 60, 11, false, write_spark, true, 116 },
	{ "HELD BACK",  14, 18, 30, 10, false, device_write_held_back, false, 150 },
};

static const struct column short_columns[] = {
	{ "", 7,  7,  7, 9, false, write_place, false, 0 },
	{ "", 10, 10, 10, 8, true, write_memory, false, 0 },
	{ "", 6,  9,  9, 7, false, write_trouble, false, 0 },
	{ "", 8, 12, 30, 5, false, write_bar, false, 0 },
	{ "", 5,  5,  5, 6, true, write_power, false, 0 },
	{ "", 4,  4,  5, 4, true, write_temp, false, 0 },
};
/* clang-format on */

static const struct table table = TABLE(columns, short_columns);

/* --- rows --- */

static struct device_row row_of(const struct frame *f, const struct item *item)
{
	const struct report *r = f->snap->report;
	const struct gpu *g = item->index < r->n_gpus ? &r->gpus[item->index] : NULL;
	struct device_row d = { .f = f, .gpu = g, .place = "CPU", .name = &r->cpu.name };

	if (!g) {
		d.total = r->cpu.ram_total;
		d.used = judge_ram_used(&r->cpu);
	} else {
		d.place = short_address(g->pci);
		d.name = &g->name;
		d.seen = &f->snap->devices[item->index];
		d.past = f->history ? history_device(f->history, g->pci) : NULL;
		d.state = judge_device(f->snap, item->index);
		d.total = g->vram_total;
		d.used = g->vram_used;
	}
	d.held = judge_held(f->snap, g ? g->pci : NULL, &d.used);
	return d;
}

static void say(struct rows *r, enum attr a, const char *text)
{
	struct pen p = view_line(&r->view);

	pen_text(&p, a, text);
	rows_mark(r, 0);
}

static void notes(struct rows *r, const struct frame *f, const struct listing *l)
{
	const struct report *report = f->snap->report;
	struct pen p;

	if (!l->n)
		say(r, ATTR_DIM, "No device that the filter lets through.");
	else if (!report->n_gpus)
		say(r, ATTR_DIM, "No GPU found; the CPU is the device.");
	if (report->n_left_out) {
		p = view_line(&r->view);
		pen_printf(&p, ATTR_WARN, "%" PRIu32 " more display functions are not shown.",
			   report->n_left_out);
	}
	if (f->snap->device_error[0]) {
		p = view_line(&r->view);
		pen_text(&p, ATTR_BAD, f->snap->device_error);
	}
	rows_mark(r, 0);
}

void rows_devices(struct rows *r, const struct frame *f, const struct listing *l, enum form form)
{
	if (!f->snap->report) {
		say(r, f->snap->device_error[0] ? ATTR_BAD : ATTR_DIM,
		    f->snap->device_error[0] ? f->snap->device_error : "reading the devices ...");
		return;
	}
	const struct fitted t = table_begin(r, &table, form, f->history != NULL);

	for (uint32_t i = 0; i < l->n; i++) {
		struct device_row d = row_of(f, &l->items[i]);

		table_row(r, &t, &d);
		if (form == FORM_CARD && d.gpu) {
			device_card(&r->view, &d);
		}
		rows_mark(r, i + 1);
	}
	notes(r, f, l);
}
