/* SPDX-License-Identifier: MIT */
#include "tui/glyphs.h"

#include <string.h>

#define ASCII_LEVELS 7 /* besides the blank */
#define BLOCK_LEVELS 8
#define DOT_ROWS     4
#define DOT_COLS     2

/*
 * Terminals in a UTF-8 locale whose fonts have more than Latin and boxes, by the beginning of TERM; the
 * first that fits counts. The kernel's console has no eighth blocks in its usual font; a serial line's
 * other end is not known.
 */
static const struct {
	const char *term;
	enum glyphs glyphs;
} terms[] = {
	{ "linux", GLYPHS_ASCII },         { "vt", GLYPHS_ASCII },
	{ "dumb", GLYPHS_ASCII },          { "cons", GLYPHS_ASCII },
	{ "ansi", GLYPHS_ASCII },          { "xterm-256", GLYPHS_BRAILLE },
	{ "xterm-kitty", GLYPHS_BRAILLE }, { "xterm-ghostty", GLYPHS_BRAILLE },
	{ "alacritty", GLYPHS_BRAILLE },   { "foot", GLYPHS_BRAILLE },
	{ "wezterm", GLYPHS_BRAILLE },     { "tmux-256", GLYPHS_BRAILLE },
	{ "screen-256", GLYPHS_BRAILLE },  { "", GLYPHS_BLOCKS },
};

enum glyphs glyphs_choose(bool utf8, const char *term)
{
	size_t i = 0;

	if (!utf8 || !term || !*term)
		return GLYPHS_ASCII;
	while (strncmp(terms[i].term, term, strlen(terms[i].term)) != 0)
		i++;
	return terms[i].glyphs;
}

uint32_t glyphs_seconds(enum glyphs g)
{
	return g == GLYPHS_BRAILLE ? DOT_COLS : 1;
}

/* The point that is `back` seconds old, in steps of which the chart has `steps`; -1: none. */
static int height(const struct chart *c, uint32_t back, uint32_t steps)
{
	double v = back < HISTORY_POINTS ? (double)c->series->points[HISTORY_POINTS - 1 - back]
					 : -1;
	double h;

	if (!(v >= 0) || !(c->top > 0))
		return -1;
	h = v / c->top * steps + 0.5;
	if (h > steps)
		return (int)steps;
	/* What is small is not nothing. */
	return h < 1 && v > 0 ? 1 : (int)h;
}

/* Of a column `h` steps high, those that are in this row, of `per_row` steps. */
static uint32_t in_row(int h, uint32_t rows, uint32_t row, uint32_t per_row)
{
	int64_t above = h - (int64_t)((rows - 1 - row) * per_row);

	return above <= 0 ? 0 : above > per_row ? per_row : (uint32_t)above;
}

static uint32_t ascii_at(const struct chart *c, uint32_t row, uint32_t col)
{
	static const char levels[ASCII_LEVELS + 2] = " .:-=+*#";
	int h = height(c, c->cols - 1 - col, c->rows * ASCII_LEVELS);

	return (unsigned char)levels[h < 0 ? 0 : in_row(h, c->rows, row, ASCII_LEVELS)];
}

static uint32_t block_at(const struct chart *c, uint32_t row, uint32_t col)
{
	int h = height(c, c->cols - 1 - col, c->rows * BLOCK_LEVELS);
	uint32_t n = h < 0 ? 0 : in_row(h, c->rows, row, BLOCK_LEVELS);

	return n ? 0x2580 + n : ' ';
}

/* Dots of a braille cell, from below: U+2800 and a bit for each (The Unicode Standard, Braille Patterns). */
static uint32_t braille_at(const struct chart *c, uint32_t row, uint32_t col)
{
	static const uint8_t dots[DOT_COLS][DOT_ROWS] = { { 0x40, 0x04, 0x02, 0x01 },
							  { 0x80, 0x20, 0x10, 0x08 } };
	uint32_t bits = 0;

	for (uint32_t x = 0; x < DOT_COLS; x++) {
		uint32_t back = (c->cols - 1 - col) * DOT_COLS + (DOT_COLS - 1 - x);
		int h = height(c, back, c->rows * DOT_ROWS);
		uint32_t n = h < 0 ? 0 : in_row(h, c->rows, row, DOT_ROWS);

		for (uint32_t y = 0; y < n; y++)
			bits |= dots[x][y];
	}
	return bits ? 0x2800 + bits : ' ';
}

uint32_t chart_at(const struct chart *c, uint32_t row, uint32_t col)
{
	if (row >= c->rows || col >= c->cols)
		return ' ';
	if (c->glyphs == GLYPHS_BRAILLE)
		return braille_at(c, row, col);
	return c->glyphs == GLYPHS_BLOCKS ? block_at(c, row, col) : ascii_at(c, row, col);
}

double chart_top(double v)
{
	double top = 1;

	if (!(v > 0) || v > 1e15)
		return 1;
	for (; top < v; top *= 10)
		;
	return v <= top / 5 ? top / 5 : v <= top / 2 ? top / 2 : top;
}
