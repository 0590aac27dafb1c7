/* SPDX-License-Identifier: MIT */
/* One row a device: what it is, what holds its memory, its power and state. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tui/view_priv.h"

/* A device, ready to print. The host's memory is one of them. */
struct device_row {
	const struct gpu *gpu; /* NULL: the CPU */
	enum device_state state;
	const char *place; /* "c1:00.0", "CPU" */
	const struct fact_text *name;
	struct fact total, used;
	struct held held;
	const struct fact *power, *cap, *temp; /* NULL: no such thing here */
};

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

static void write_device(struct pen *p, const void *row)
{
	const struct device_row *d = row;

	pen_text(p, ATTR_PLAIN, d->place);
	pen_text(p, ATTR_PLAIN, " ");
	if (fact_text_known(d->name))
		pen_text(p, ATTR_PLAIN, short_name(p, d->name->v));
	else if (d->gpu)
		pen_printf(p, ATTR_PLAIN, "%04" PRIx32 ":%04" PRIx32, d->gpu->vendor,
			   d->gpu->device);
}

#define PARTS 4

static const struct {
	enum attr attr;
	char letter;
} parts[PARTS] = {
	{ ATTR_WEIGHTS, 'W' },
	{ ATTR_KV, 'K' },
	{ ATTR_COMPUTE, 'C' },
	{ ATTR_OTHER, 'O' },
};

static uint32_t rounded(double bytes, double total, uint32_t n)
{
	double cells = bytes / total * n + 0.5;

	return cells < n ? (uint32_t)cells : n;
}

static uint32_t largest(const uint32_t cells[PARTS])
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < PARTS; i++)
		if (cells[i] > cells[best])
			best = i;
	return best;
}

/*
 * Share n cells: the filled ones together are as long as what is used, and a part that is there shows
 * at least once, at the cost of the largest.
 */
static void share(const uint64_t bytes[PARTS], double total, uint32_t n, uint32_t cells[PARTS])
{
	uint32_t sum = 0, there = 0, filled;
	double all = 0;

	for (uint32_t i = 0; i < PARTS; i++) {
		cells[i] = rounded((double)bytes[i], total, n);
		cells[i] += bytes[i] && !cells[i];
		there += bytes[i] > 0;
		sum += cells[i];
		all += (double)bytes[i];
	}
	filled = rounded(all, total, n);
	filled = filled < there ? there : filled;
	filled = filled < n ? filled : n;
	for (; sum > filled; sum--)
		cells[largest(cells)]--;
	for (; sum < filled; sum++)
		cells[largest(cells)]++;
}

static void write_bar(struct pen *p, const void *row)
{
	const struct device_row *d = row;
	const uint64_t bytes[PARTS] = {
		d->held.weights,
		d->held.kv,
		d->held.compute,
		fact_known(&d->held.other) ? (uint64_t)d->held.other.v : 0,
	};
	uint32_t n = p->end - p->col;
	uint32_t cells[PARTS];

	if (!fact_known(&d->total) || d->total.v <= 0) {
		pen_text(p, ATTR_DIM, fact_known(&d->total) ? "-" : why_name(d->total.why));
		return;
	}
	if (n < 3)
		return;
	n -= 2;
	share(bytes, (double)d->total.v, n, cells);
	pen_text(p, ATTR_PLAIN, "[");
	for (uint32_t i = 0; i < PARTS; i++) {
		pen_fill(p, parts[i].attr, parts[i].letter, cells[i]);
		n -= cells[i];
	}
	pen_fill(p, ATTR_DIM, fact_known(&d->used) ? '.' : '?', n);
	pen_text(p, ATTR_PLAIN, "]");
}

/* "29.1/31.8 GiB", "96/128 GiB": both in the unit of the total. */
static void write_memory(struct pen *p, const void *row)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	const struct device_row *d = row;
	double unit = 1;
	size_t u = 0;
	int digits;

	if (!fact_known(&d->total) || d->total.v < 0) {
		char size[TEXT_SIZE_MAX];

		if (fact_known(&d->used) && d->used.v >= 0)
			pen_printf(p, ATTR_PLAIN, "%s/-", text_size(size, (uint64_t)d->used.v));
		else
			pen_text(p, ATTR_DIM, "-");
		return;
	}
	while ((double)d->total.v / unit >= 1000 && u < 6) {
		unit *= 1024;
		u++;
	}
	digits = (double)d->total.v / unit < 99.95 && u;
	if (fact_known(&d->used) && d->used.v >= 0)
		pen_printf(p, ATTR_PLAIN, "%.*f", digits, (double)d->used.v / unit);
	else
		pen_text(p, ATTR_DIM, "-");
	pen_printf(p, ATTR_PLAIN, "/%.*f %s", digits, (double)d->total.v / unit, units[u]);
}

static bool told(const struct fact *f)
{
	return f && fact_known(f);
}

static void write_power(struct pen *p, const void *row)
{
	const struct device_row *d = row;

	if (!told(d->power)) {
		pen_text(p, ATTR_DIM, "-");
		return;
	}
	pen_printf(p, ATTR_PLAIN, "%.0f", (double)d->power->v / 1000);
	if (told(d->cap))
		pen_printf(p, ATTR_PLAIN, "/%.0f", (double)d->cap->v / 1000);
	pen_text(p, ATTR_PLAIN, " W");
}

static void write_temp(struct pen *p, const void *row)
{
	const struct device_row *d = row;

	if (told(d->temp))
		pen_printf(p, ATTR_PLAIN, "%.0f C", (double)d->temp->v / 1000);
	else
		pen_text(p, ATTR_DIM, "-");
}

static void write_state(struct pen *p, const void *row)
{
	static const enum attr attrs[] = {
		[DEVICE_OK] = ATTR_OK,          [DEVICE_ASLEEP] = ATTR_DIM,
		[DEVICE_NO_DRIVER] = ATTR_WARN, [DEVICE_UNKNOWN] = ATTR_WARN,
		[DEVICE_LOST] = ATTR_BAD,       [DEVICE_SILENT] = ATTR_BAD,
	};
	const struct device_row *d = row;
	enum device_state s = d->state;

	pen_text(p, attrs[s], device_state_name(s));
}

/* clang-format off */
static const struct column columns[] = {
	{ "DEVICE",     12, 26, 44, 9, false, write_device },
	{ "MEMORY",     14, 16, 64, 5, false, write_bar },
	{ "USED/TOTAL", 13, 13, 13, 8, true,  write_memory },
	{ "POWER",       9,  9,  9, 6, true,  write_power },
	{ "TEMP",        5,  5,  5, 4, true,  write_temp },
	{ "STATE",       9,  9,  9, 7, false, write_state },
};
/* clang-format on */

#define N_COLUMNS (uint32_t)(sizeof(columns) / sizeof(columns[0]))

static void gpu_row(struct view *v, const struct snapshot *s, uint32_t i, const uint32_t *widths)
{
	const struct gpu *g = &s->report->gpus[i];
	struct device_row d = {
		.gpu = g,
		.state = judge_device(s, i),
		.place = short_address(g->pci),
		.name = &g->name,
		.total = g->vram_total,
		.used = g->vram_used,
		.power = &g->power_mw,
		.cap = &g->power_cap_mw,
		.temp = &g->temp_mc,
	};

	d.held = judge_held(s, g->pci, &d.used);
	columns_row(v, columns, N_COLUMNS, widths, &d);
}

static void cpu_row(struct view *v, const struct snapshot *s, const uint32_t *widths)
{
	struct device_row d = {
		.place = "CPU",
		.name = &s->report->cpu.name,
		.total = s->report->cpu.ram_total,
		.used = judge_ram_used(&s->report->cpu),
	};

	d.held = judge_held(s, NULL, &d.used);
	columns_row(v, columns, N_COLUMNS, widths, &d);
}

static void say(struct view *v, enum attr a, const char *text)
{
	struct pen p = view_line(v);

	pen_text(&p, a, text);
}

void view_devices(struct view *v, const struct snapshot *s)
{
	uint32_t widths[COLUMNS_MAX];

	if (!s->report) {
		say(v, s->device_error[0] ? ATTR_BAD : ATTR_DIM,
		    s->device_error[0] ? s->device_error : "reading the devices ...");
		return;
	}
	columns_fit(columns, N_COLUMNS, v->cols, widths);
	columns_titles(v, columns, N_COLUMNS, widths);
	for (uint32_t i = 0; i < s->report->n_gpus; i++)
		gpu_row(v, s, i, widths);
	cpu_row(v, s, widths);
	if (!s->report->n_gpus)
		say(v, ATTR_DIM, "No GPU found; the CPU is the device.");
	if (s->report->n_left_out) {
		struct pen p = view_line(v);

		pen_printf(&p, ATTR_WARN, "%" PRIu32 " more display functions are not shown.",
			   s->report->n_left_out);
	}
	if (s->device_error[0])
		say(v, ATTR_BAD, s->device_error);
}
