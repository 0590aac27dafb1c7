/* SPDX-License-Identifier: MIT */
/* Cells, the width of characters, and columns that fit. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/view_priv.h"

/*
 * Ranges of Unicode 15 that are two cells wide (EastAsianWidth.txt, W and F) or have no width of their
 * own (DerivedGeneralCategory.txt, Mn, Me, Cf), coarsely: what is listed as 0 is shown as '?'.
 */
static const struct {
	uint32_t first, last;
	uint32_t width;
} ranges[] = {
	{ 0x0000, 0x001f, 0 },   { 0x007f, 0x009f, 0 },    { 0x00ad, 0x00ad, 0 },
	{ 0x0300, 0x036f, 0 },   { 0x0483, 0x0489, 0 },    { 0x0591, 0x05bd, 0 },
	{ 0x0600, 0x0605, 0 },   { 0x0610, 0x061c, 0 },    { 0x064b, 0x065f, 0 },
	{ 0x0900, 0x0902, 0 },   { 0x093a, 0x094d, 0 },    { 0x0e31, 0x0e3a, 0 },
	{ 0x0e47, 0x0e4e, 0 },   { 0x1100, 0x115f, 2 },    { 0x1160, 0x11ff, 0 },
	{ 0x1ab0, 0x1aff, 0 },   { 0x1dc0, 0x1dff, 0 },    { 0x200b, 0x200f, 0 },
	{ 0x2028, 0x202e, 0 },   { 0x2060, 0x206f, 0 },    { 0x20d0, 0x20ff, 0 },
	{ 0x231a, 0x231b, 2 },   { 0x23e9, 0x23ec, 2 },    { 0x2e80, 0x303e, 2 },
	{ 0x3041, 0xa4cf, 2 },   { 0xa960, 0xa97c, 2 },    { 0xac00, 0xd7a3, 2 },
	{ 0xd800, 0xf8ff, 0 },   { 0xf900, 0xfaff, 2 },    { 0xfe00, 0xfe0f, 0 },
	{ 0xfe20, 0xfe2f, 0 },   { 0xfe30, 0xfe6f, 2 },    { 0xfeff, 0xfeff, 0 },
	{ 0xff00, 0xff60, 2 },   { 0xffe0, 0xffe6, 2 },    { 0xfff9, 0xfffb, 0 },
	{ 0x16fe0, 0x18aff, 2 }, { 0x1b000, 0x1b2ff, 2 },  { 0x1d165, 0x1d1ad, 0 },
	{ 0x1f004, 0x1f004, 2 }, { 0x1f0cf, 0x1f0cf, 2 },  { 0x1f18e, 0x1f19a, 2 },
	{ 0x1f1e6, 0x1f1ff, 0 }, { 0x1f200, 0x1f320, 2 },  { 0x1f32d, 0x1f64f, 2 },
	{ 0x1f680, 0x1f6ff, 2 }, { 0x1f7e0, 0x1f7f0, 2 },  { 0x1f90c, 0x1faff, 2 },
	{ 0x20000, 0x3fffd, 2 }, { 0xe0000, 0x10ffff, 0 },
};

static uint32_t char_width(uint32_t ch)
{
	/* In order: most characters are below the third. */
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]) && ch >= ranges[i].first; i++)
		if (ch <= ranges[i].last)
			return ranges[i].width;
	return 1;
}

/* Bytes of the character at s, or 0 when it is no sound UTF-8 (too long, a surrogate, cut off). */
static uint32_t decode(const char *s, uint32_t *ch)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *u = (const unsigned char *)s;
	uint32_t n = u[0] < 0x80       ? 1
		     : u[0] >> 5 == 6  ? 2
		     : u[0] >> 4 == 14 ? 3
		     : u[0] >> 3 == 30 ? 4
				       : 0;

	if (n <= 1) {
		*ch = u[0];
		return n;
	}
	*ch = u[0] & (0x7fu >> n);
	for (uint32_t i = 1; i < n; i++) {
		if (u[i] >> 6 != 2)
			return 0;
		*ch = *ch << 6 | (u[i] & 0x3f);
	}
	return *ch < least[n] || *ch > 0x10ffff || (*ch >= 0xd800 && *ch < 0xe000) ? 0 : n;
}

/* The next character as it will be shown, and its cells. */
static uint32_t next_char(const struct view *v, const char **s, uint32_t *width)
{
	uint32_t ch;
	uint32_t n = decode(*s, &ch);

	*s += n ? n : 1;
	*width = n ? char_width(ch) : 0;
	if (*width == 0 || (ch > 0x7e && !v->utf8)) {
		*width = 1;
		return '?';
	}
	return ch;
}

uint32_t text_cells(const struct view *v, const char *text)
{
	uint32_t cells = 0, width;

	while (*text) {
		next_char(v, &text, &width);
		cells += width;
	}
	return cells;
}

void view_init(struct view *v, uint32_t cols, bool utf8)
{
	*v = (struct view) { .cols = cols, .utf8 = utf8 };
	if (v->cols < 1)
		v->cols = 1;
	if (v->cols > VIEW_COLS_MAX)
		v->cols = VIEW_COLS_MAX;
}

void view_fini(struct view *v)
{
	free(v->cells);
	*v = (struct view) { 0 };
}

void view_clear(struct view *v)
{
	v->n_rows = 0;
}

void view_only(struct view *v, const struct extent *wanted)
{
	v->part = true;
	v->only = *wanted;
}

/* Where a row's cells are. */
static uint32_t place(const struct view *v, uint32_t row)
{
	const struct extent *w = &v->only;

	if (!v->part)
		return row;
	if (row < w->titles)
		return 1 + row;
	return row >= w->from && row < w->to ? 1 + w->titles + row - w->from : 0;
}

const struct cell *view_row(const struct view *v, uint32_t row)
{
	return &v->cells[(size_t)place(v, row) * v->cols];
}

static void make_room(struct view *v, uint32_t row)
{
	uint32_t room = row ? row * 2 : v->part ? 1 : 32;
	struct cell *cells;

	if (row < v->room)
		return;
	cells = realloc(v->cells, (size_t)room * v->cols * sizeof(*cells));
	if (!cells)
		abort(); /* a frame with rows missing would be a lie */
	v->cells = cells;
	v->room = room;
}

struct pen view_line(struct view *v)
{
	struct pen p = { .v = v, .row = place(v, v->n_rows++), .end = v->cols };

	make_room(v, p.row);
	for (uint32_t i = 0; !pen_idles(&p) && i < v->cols; i++)
		v->cells[(size_t)p.row * v->cols + i] = (struct cell) { .ch = ' ' };
	return p;
}

void pen_char(struct pen *p, enum attr a, uint32_t ch, uint32_t width)
{
	struct cell *at = &p->v->cells[(size_t)p->row * p->v->cols + p->col];

	if (p->col + width > p->end) {
		p->col = p->end; /* half a wide character is none */
		return;
	}
	at[0] = (struct cell) { .ch = ch, .attr = (uint8_t)a };
	if (width == 2)
		at[1] = (struct cell) { .attr = (uint8_t)a };
	p->col += width;
}

void pen_to(struct pen *p, uint32_t col)
{
	p->col = col < p->end ? col : p->end;
}

void pen_flows(struct pen *p, uint32_t indent)
{
	const uint32_t narrow = p->end > 8 ? 2 : 0;

	p->indent = p->end >= indent + 24 ? indent : narrow;
}

static uint32_t cells_to(const struct view *v, const char *text, const char *end)
{
	uint32_t cells = 0, width;

	while (text < end) {
		next_char(v, &text, &width);
		cells += width;
	}
	return cells;
}

/* Cells of what begins here and stays together: to two spaces, as they part numbers with their units, else a word. */
static uint32_t unit_cells(const struct view *v, const char *text, uint32_t most)
{
	const char *end = strstr(text, "  ");
	uint32_t cells = end ? cells_to(v, text, end) : most + 1;

	return cells <= most ? cells : cells_to(v, text, text + strcspn(text, " "));
}

/* What does not fit goes on in a new row, whole unless it is longer than one. */
static void flow(struct pen *p, const char **text, bool begins)
{
	const uint32_t indent = p->indent, room = p->end - p->col;
	const char *next = *text;
	uint32_t unit, first;

	next_char(p->v, &next, &first);
	unit = begins ? unit_cells(p->v, *text, p->end - indent) : first;
	if (unit <= room || (first <= room && unit > p->end - indent))
		return;
	while (**text == ' ')
		++*text;
	if (!**text)
		return;
	*p = view_line(p->v);
	p->col = p->indent = indent;
}

void pen_text(struct pen *p, enum attr a, const char *text)
{
	bool begins = true;

	while (*text && (p->col < p->end || p->indent)) {
		uint32_t width, ch;

		if (p->indent)
			flow(p, &text, begins);
		if (!*text)
			return;
		begins = *text == ' ';
		ch = next_char(p->v, &text, &width);
		pen_char(p, a, ch, width);
	}
}

void pen_printf(struct pen *p, enum attr a, const char *fmt, ...)
{
	char buf[4 * VIEW_COLS_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	pen_text(p, a, buf);
}

void pen_fill(struct pen *p, enum attr a, char c, uint32_t n)
{
	while (n-- && p->col < p->end)
		pen_char(p, a, (unsigned char)c, 1);
}

size_t view_encode(char to[4], uint32_t ch)
{
	const size_t n = ch < 0x80 ? 1 : ch < 0x800 ? 2 : ch < 0x10000 ? 3 : 4;
	static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i; i--, ch >>= 6)
		to[i] = (char)(0x80 | (ch & 0x3f));
	to[0] = (char)(marks[n] | ch);
	return n;
}

const char *view_text(const struct view *v, uint32_t row, char *buf)
{
	const struct cell *cells = view_row(v, row);
	char *to = buf;
	char *end = buf;

	for (uint32_t i = 0; i < v->cols; i++) {
		if (!cells[i].ch)
			continue;
		to += view_encode(to, cells[i].ch);
		if (cells[i].ch != ' ')
			end = to;
	}
	*end = '\0';
	return buf;
}
