/* SPDX-License-Identifier: MIT */
/* The canvas that views are written on, and a table layout. */
#ifndef BERTH_TUI_VIEW_PRIV_H
#define BERTH_TUI_VIEW_PRIV_H

#include "tui/frame.h"

/* A place to write: a range of columns in one row. Writing past `end` is cut, or goes on in a new row. */
struct pen {
	struct view *v;
	uint32_t row, col, end;
	uint32_t indent; /* where words that do not fit go on, a row below; 0: nowhere */
};

struct pen view_line(struct view *v); /* a new row, the whole width */
void view_clear(struct view *v);
void view_only(struct view *v, const struct extent *wanted);

/* What is written here is lost: it may be left out, unless rows depend on where it would end. */
static inline bool pen_idles(const struct pen *p)
{
	return p->v->part && !p->row;
}

void pen_flows(struct pen *p, uint32_t indent); /* less of it where there is little room */
void pen_text(struct pen *p, enum attr a, const char *text);
void pen_printf(struct pen *p, enum attr a, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void pen_char(struct pen *p, enum attr a, uint32_t ch, uint32_t width);
void pen_to(struct pen *p, uint32_t col); /* not beyond its end, on a screen that is narrower */
void pen_fill(struct pen *p, enum attr a, char c, uint32_t n);

/* Cells that the text takes. */
uint32_t text_cells(const struct view *v, const char *text);

/*
 * A column of a table. Those that matter least go first when a terminal is narrow. What is left over
 * widens the columns to what they want, the most important first, and then all evenly to their max.
 */
struct column {
	const char *title;
	uint32_t min, want, max;
	uint32_t matters; /* the least is dropped first; no two are equal */
	bool right;       /* numbers stand right */
	void (*write)(struct pen *p, const void *row);
	bool past;     /* needs a history: left out where there is none */
	uint32_t from; /* columns of a screen that has room for more than what matters */
};

#define COLUMNS_MAX 16

/* Width of each column, 0 when dropped. At least one column stays, cut to `cols`. */
void columns_fit(const struct column *columns, uint32_t n, uint32_t cols, bool past,
		 uint32_t *widths);

void columns_titles(struct view *v, const struct column *columns, uint32_t n,
		    const uint32_t *widths);
void columns_row(struct view *v, const struct column *columns, uint32_t n, const uint32_t *widths,
		 const void *row);

/* Without the domain 0000, which almost every machine has alone. */
const char *short_address(const char *pci);

/* "29.1 GiB", or in powers of ten, as the person wants; at least TEXT_SIZE_MAX bytes. */
const char *frame_size(const struct frame *f, char *buf, uint64_t bytes);
/* Of thousandths of a degree Celsius, in the person's degrees: "71 C". */
void pen_degrees(struct pen *p, const struct frame *f, enum attr a, const struct fact *mc);
/* A series of the last minute, over the rest of the pen's columns; `top` 0: by its own largest point. */
void pen_spark(struct pen *p, const struct frame *f, enum attr a, const struct series *s,
	       double top);
/* Tokens per second, "-" when below 0. */
void pen_rate(struct pen *p, double rate);

/* A count as short as it gets: "940", "1.2k"; "-" for what nobody counts. */
void pen_count(struct pen *p, uint64_t n);
/* The same of a speed, "-" when below 0. */
void pen_per_s(struct pen *p, double rate);
/* What something took: "3.1 us"; "-" when below 0. */
void pen_ns(struct pen *p, double ns);

/* What used and total are counted in, so that both are in one unit: "GiB" and its bytes. */
struct scale {
	const char *unit;
	double bytes;
	int digits;
};
struct scale scale_of(const struct frame *f, uint64_t bytes);

/* A bar of the memory of a device, by purpose, over the rest of the pen's columns. */
void pen_memory(struct pen *p, const struct held *h, const struct fact *total,
		const struct fact *used);

/* Each adds the rows of one pane; items[row] is the index in the listing + 1, 0: none. */
struct rows {
	struct view view;
	uint32_t *items;
	uint32_t room, marked;
};
void rows_mark(struct rows *r, uint32_t item); /* what was added since the last mark */
void rows_fini(struct rows *r);

/* The table of a pane: its columns under titles, and those of FORM_SHORT, which has none. */
struct table {
	const struct column *columns, *brief;
	size_t n, n_brief;
};

#define TABLE(wide, narrow)                                                                        \
	{                                                                                          \
		wide, narrow, sizeof(wide) / sizeof((wide)[0]),                                    \
			sizeof(narrow) / sizeof((narrow)[0])                                       \
	}

/* Its columns as wide as they are on this screen. */
struct fitted {
	const struct column *columns;
	uint32_t n, widths[COLUMNS_MAX];
};
struct fitted table_begin(struct rows *r, const struct table *t, enum form form, bool past);
void table_row(struct rows *r, const struct fitted *t, const void *row); /* not marked yet */

#define VIEW_NARROW 60 /* columns below which a device or run says as little as it can */

void view_header(struct view *v, const struct frame *f);

void rows_devices(struct rows *r, const struct frame *f, const struct listing *l, enum form form);
void rows_runs(struct rows *r, const struct frame *f, const struct listing *l, enum form form);
void rows_bridges(struct rows *r, const struct frame *f, const struct listing *l, enum form form);
void rows_processes(struct rows *r, const struct frame *f, const struct listing *l);
/* whole: what does not fit in a row goes on below it. */
void rows_events(struct rows *r, const struct frame *f, const struct listing *l, bool whole);

/* As it is printed, with one digit: what rounds to zero is no "-0.0". */
double run_drift(double percent);

void page_device(struct view *v, const struct frame *f, uint32_t rows);
void page_fits(struct view *v, const struct frame *f);
void page_run(struct view *v, const struct frame *f, uint32_t rows);
void page_bridge(struct view *v, const struct frame *f, uint32_t rows);

#endif
