/* SPDX-License-Identifier: MIT */
/* Tables: which columns a width has room for, and how wide each is. */
#include <string.h>

#include "tui/view_priv.h"

static uint32_t total_width(const uint32_t *widths, uint32_t n)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += widths[i] ? widths[i] + (total > 0) : 0;
	return total;
}

/* The column that matters most of those that are narrower than they want; n: none. */
static uint32_t wanting(const struct column *columns, uint32_t n, const uint32_t *widths)
{
	uint32_t best = n;

	for (uint32_t i = 0; i < n; i++)
		if (widths[i] && widths[i] < columns[i].want &&
		    (best == n || columns[i].matters > columns[best].matters))
			best = i;
	return best;
}

/* The column that has grown least beyond its want, of those that may grow; n: none. */
static uint32_t growing(const struct column *columns, uint32_t n, const uint32_t *widths)
{
	uint32_t best = n;

	for (uint32_t i = 0; i < n; i++)
		if (widths[i] && widths[i] < columns[i].max &&
		    (best == n || widths[i] - columns[i].want < widths[best] - columns[best].want))
			best = i;
	return best;
}

static void widen(const struct column *columns, uint32_t n, uint32_t spare, uint32_t *widths)
{
	for (; spare; spare--) {
		uint32_t i = wanting(columns, n, widths);

		if (i == n)
			i = growing(columns, n, widths);
		if (i == n)
			return;
		widths[i]++;
	}
}

void columns_fit(const struct column *columns, uint32_t n, uint32_t cols, bool past,
		 uint32_t *widths)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool fits = cols >= columns[i].from && (past || !columns[i].past);

		widths[i] = fits ? columns[i].min : 0;
		left += widths[i] > 0;
	}
	while (total_width(widths, n) > cols) {
		uint32_t drop = n;

		for (uint32_t i = 0; i < n; i++)
			if (widths[i] && (drop == n || columns[i].matters < columns[drop].matters))
				drop = i;
		if (left-- == 1) {
			widths[drop] = cols;
			return;
		}
		widths[drop] = 0;
	}
	widen(columns, n, cols - total_width(widths, n), widths);
}

/* Where column i starts: after the widths before it and one space each. */
static struct pen column_pen(struct pen line, const uint32_t *widths, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		line.col += widths[k] ? widths[k] + 1 : 0;
	line.end = line.col + widths[i];
	return line;
}

void columns_titles(struct view *v, const struct column *columns, uint32_t n,
		    const uint32_t *widths)
{
	struct pen line = view_line(v);

	for (uint32_t i = 0; i < n && !pen_idles(&line); i++) {
		struct pen p = column_pen(line, widths, i);
		uint32_t cells = text_cells(v, columns[i].title);

		if (!widths[i])
			continue;
		if (columns[i].right && cells < widths[i])
			p.col += widths[i] - cells;
		pen_text(&p, ATTR_HEAD, columns[i].title);
	}
}

/* Move what was written from the left edge of a column to its right edge. */
static void push_right(struct pen *p, uint32_t start)
{
	struct cell *cells = &p->v->cells[(size_t)p->row * p->v->cols];
	uint32_t by = p->end - p->col;

	if (!by)
		return;
	memmove(cells + start + by, cells + start, (p->col - start) * sizeof(*cells));
	for (uint32_t i = 0; i < by; i++)
		cells[start + i] = (struct cell) { .ch = ' ' };
}

void columns_row(struct view *v, const struct column *columns, uint32_t n, const uint32_t *widths,
		 const void *row)
{
	struct pen line = view_line(v);

	for (uint32_t i = 0; i < n && !pen_idles(&line); i++) {
		struct pen p = column_pen(line, widths, i);
		uint32_t start = p.col;

		if (!widths[i])
			continue;
		columns[i].write(&p, row);
		if (columns[i].right)
			push_right(&p, start);
	}
}

struct fitted table_begin(struct rows *r, const struct table *t, enum form form, bool past)
{
	const bool brief = form == FORM_SHORT;
	struct fitted f = { .columns = brief ? t->brief : t->columns,
			    .n = (uint32_t)(brief ? t->n_brief : t->n) };

	columns_fit(f.columns, f.n, r->view.cols, past, f.widths);
	if (!brief)
		columns_titles(&r->view, f.columns, f.n, f.widths);
	rows_mark(r, 0);
	return f;
}

void table_row(struct rows *r, const struct fitted *t, const void *row)
{
	columns_row(&r->view, t->columns, t->n, t->widths, row);
}
