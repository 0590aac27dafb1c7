/* SPDX-License-Identifier: MIT */
/* Charts of one row or more, in three sets of characters. Pure. */
#ifndef BERTH_TUI_GLYPHS_H
#define BERTH_TUI_GLYPHS_H

#include "tui/history.h"
#include "tui/view.h"

enum glyphs { GLYPHS_ASCII, GLYPHS_BLOCKS, GLYPHS_BRAILLE };

/* The set that a terminal shows; never other than ASCII where the locale is not UTF-8. */
enum glyphs glyphs_choose(bool utf8, const char *term);

/* Seconds that one cell of a chart shows: braille has two dots beside each other. */
uint32_t glyphs_seconds(enum glyphs g);

/*
 * A chart of the newest points, ending at the right edge: `rows` rows of `cols` cells, row 0 on top. A
 * point of `top` or more fills a column; an unknown one leaves a gap; one that is known and small still
 * shows. at(row, col) is the character, as a code point.
 */
struct chart {
	const struct series *series;
	enum glyphs glyphs;
	uint32_t cols, rows;
	double top;
};

uint32_t chart_at(const struct chart *c, uint32_t row, uint32_t col);

/* A round number at or above v, for the top of a chart: 1, 2, 5 times a power of ten. */
double chart_top(double v);

#endif
