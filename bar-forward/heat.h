/* SPDX-License-Identifier: MIT */
/*
 * Which pages of a device's regions a guest touches how often. Takes the same memory whatever it is told: where a region has
 * more pages than there are cells, a cell is several pages. Pure.
 */
#ifndef BERTH_HEAT_H
#define BERTH_HEAT_H

#include <stdint.h>
#include <stdio.h>

#include "bar-forward/tracefile.h"
#include "base/json.h"

#define HEAT_CELLS 65536U
#define HEAT_PAGE  4096U

enum heat_glyphs { HEAT_ASCII, HEAT_BLOCKS, HEAT_BRAILLE };

struct heat_cell {
	uint64_t reads, writes;
};

struct heat_region {
	uint64_t cell_bytes;
	uint32_t n;             /* cells up to the last that was touched */
	struct heat_cell *cell; /* HEAT_CELLS of them; NULL: untouched */
};

/* Zeroed: nothing was touched. */
struct heat {
	struct heat_region region[TRACE_REGIONS];
};

/* `bytes` at `offset`, at least one. 0 or -ENOMEM. */
int heat_add(struct heat *h, uint32_t region, uint64_t offset, uint64_t bytes, bool write);
void heat_free(struct heat *h);

/* A picture of at most so many columns; logarithmic, and what is touched at all shows. */
void heat_draw(const struct heat *h, enum heat_glyphs glyphs, uint32_t columns, FILE *to);

/* berth.bridge.heat/1, the caller's. */
json_t *heat_json(const struct heat *h);

#endif
