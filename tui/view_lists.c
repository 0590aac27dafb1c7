/* SPDX-License-Identifier: MIT */
/* Other people's processes that hold memory, and the log of events. */
#include <inttypes.h>

#include "base/text.h"
#include "tui/view_priv.h"

struct proc_row {
	const struct frame *f;
	const struct gpu *gpu;
	const struct gpu_proc *proc;
};

static void write_pid(struct pen *p, const void *row)
{
	pen_printf(p, ATTR_PLAIN, "%" PRIu32, ((const struct proc_row *)row)->proc->pid);
}

static void write_name(struct pen *p, const void *row)
{
	const char *name = ((const struct proc_row *)row)->proc->name;

	pen_text(p, ATTR_PLAIN, name[0] ? name : "-");
}

static void write_on(struct pen *p, const void *row)
{
	pen_text(p, ATTR_PLAIN, short_address(((const struct proc_row *)row)->gpu->pci));
}

static void write_bytes(struct pen *p, const struct frame *f, const struct fact *bytes)
{
	char size[TEXT_SIZE_MAX];

	if (fact_known(bytes) && bytes->v >= 0)
		pen_text(p, ATTR_PLAIN, frame_size(f, size, (uint64_t)bytes->v));
	else
		pen_text(p, ATTR_DIM, "-");
}

static void write_vram(struct pen *p, const void *row)
{
	const struct proc_row *r = row;

	write_bytes(p, r->f, &r->proc->vram);
}

static void write_host(struct pen *p, const void *row)
{
	const struct proc_row *r = row;

	write_bytes(p, r->f, &r->proc->host);
}

static void write_engines(struct pen *p, const void *row)
{
	const struct fact_text *t = &((const struct proc_row *)row)->proc->engines;

	if (fact_text_known(t))
		pen_text(p, ATTR_DIM, t->v);
}

/* clang-format off */
static const struct column columns[] = {
	{ "PID",      8,  8,  8, 9, true,  write_pid, false, 0 },
	{ "PROCESS", 10, 20, 31, 8, false, write_name, false, 0 },
	{ "ON",       7,  7, 12, 6, false, write_on, false, 0 },
	{ "MEMORY",   9,  9,  9, 7, true,  write_vram, false, 0 },
	{ "OF RAM",   9,  9,  9, 5, true,  write_host, false, 0 },
	{ "USES",     8, 12, 40, 4, false, write_engines, false, 0 },
};
/* clang-format on */

#define N_COLUMNS (uint32_t)(sizeof(columns) / sizeof(columns[0]))

/* Those for which there was no room, here or where they were counted. */
static void note_left_out(struct rows *r, const struct frame *f, const struct listing *l)
{
	const struct report *report = f->snap->report;
	uint32_t n = l->left_out;

	for (uint32_t i = 0; report && i < report->n_gpus; i++)
		n += report->gpus[i].holders.n_left_out;
	if (n) {
		struct pen p = view_line(&r->view);

		pen_printf(&p, ATTR_WARN, "note: %" PRIu32 " more processes are not shown", n);
	}
	rows_mark(r, 0);
}

void rows_processes(struct rows *r, const struct frame *f, const struct listing *l)
{
	uint32_t widths[COLUMNS_MAX];

	if (!l->n)
		return;
	columns_fit(columns, N_COLUMNS, r->view.cols, true, widths);
	if (r->view.cols >= 60)
		columns_titles(&r->view, columns, N_COLUMNS, widths);
	rows_mark(r, 0);
	for (uint32_t i = 0; i < l->n; i++) {
		const struct proc_row row = { .f = f,
					      .gpu = &f->snap->report->gpus[l->items[i].index],
					      .proc = item_proc(f, &l->items[i]) };

		columns_row(&r->view, columns, N_COLUMNS, widths, &row);
		rows_mark(r, i + 1);
	}
	note_left_out(r, f, l);
}

static void event_row(struct view *v, const struct event *e, bool whole)
{
	static const struct {
		const char *word;
		enum attr attr;
	} looks[] = {
		[SEVERITY_INFO] = { "info ", ATTR_DIM },
		[SEVERITY_WARN] = { "WARN ", ATTR_WARN },
		[SEVERITY_BAD] = { "BAD  ", ATTR_BAD },
	};
	struct pen p = view_line(v);

	if (pen_idles(&p))
		return;
	if (whole)
		pen_flows(&p, 14);
	pen_printf(&p, ATTR_DIM, "%s ", e->clock);
	pen_text(&p, looks[e->severity].attr, looks[e->severity].word);
	if (e->subject[0])
		pen_printf(&p, ATTR_TITLE, "%s ", short_address(e->subject));
	pen_text(&p, ATTR_PLAIN, e->text);
	if (e->help[0]) {
		pen_text(&p, ATTR_PLAIN, ":");
		pen_printf(&p, ATTR_TITLE, " '%s'", e->help);
	}
}

void rows_events(struct rows *r, const struct frame *f, const struct listing *l, bool whole)
{
	struct pen p;

	if (!l->n)
		return;
	if (r->view.cols >= 60) {
		p = view_line(&r->view);
		pen_text(&p, ATTR_HEAD, "EVENTS");
	}
	rows_mark(r, 0);
	for (uint32_t i = 0; i < l->n; i++) {
		const struct event *e = events_newest(f->events, l->items[i].index);

		if (e)
			event_row(&r->view, e, whole);
		rows_mark(r, i + 1);
	}
}
