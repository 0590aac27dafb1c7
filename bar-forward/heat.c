/* SPDX-License-Identifier: MIT */
#include "bar-forward/heat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/telem_bridge.h"
#include "base/text.h"

#define ROWS_MAX 32
#define HOTTEST  5

/* From nothing to the most. */
static const char *const levels[][9] = {
	[HEAT_ASCII] = { " ", ".", ":", "-", "=", "+", "*", "#", "@" },
	[HEAT_BLOCKS] = { " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587",
			  "\u2588" },
	[HEAT_BRAILLE] = { " ", "\u2840", "\u2844", "\u2846", "\u2847", "\u28c7", "\u28e7",
			   "\u28f7", "\u28ff" },
};

enum { LEVELS = 8 };

static const char *region_name(uint32_t region)
{
	return region < TELEM_REGIONS ? telem_region_name(region) : "VGA";
}

/* --- counting --- */

static void widen(struct heat_region *r)
{
	for (uint32_t i = 0; i < HEAT_CELLS / 2; i++) {
		r->cell[i].reads = r->cell[2 * i].reads + r->cell[2 * i + 1].reads;
		r->cell[i].writes = r->cell[2 * i].writes + r->cell[2 * i + 1].writes;
	}
	memset(r->cell + HEAT_CELLS / 2, 0, HEAT_CELLS / 2 * sizeof(*r->cell));
	r->n = (r->n + 1) / 2;
	r->cell_bytes *= 2;
}

int heat_add(struct heat *h, uint32_t region, uint64_t offset, uint64_t bytes, bool write)
{
	struct heat_region *r = &h->region[region];
	uint64_t last;

	if (__builtin_add_overflow(offset, bytes - 1, &last))
		last = UINT64_MAX;
	if (!r->cell) {
		r->cell = calloc(HEAT_CELLS, sizeof(*r->cell));
		r->cell_bytes = HEAT_PAGE;
	}
	if (!r->cell)
		return -ENOMEM;
	while (last / r->cell_bytes >= HEAT_CELLS)
		widen(r);
	for (uint64_t i = offset / r->cell_bytes; i <= last / r->cell_bytes; i++) {
		if (write)
			r->cell[i].writes++;
		else
			r->cell[i].reads++;
		if (i >= r->n)
			r->n = (uint32_t)i + 1;
	}
	return 0;
}

void heat_free(struct heat *h)
{
	for (uint32_t i = 0; i < TRACE_REGIONS; i++)
		free(h->region[i].cell);
	*h = (struct heat) { 0 };
}

/* --- for people --- */

static uint64_t total(const struct heat_cell *c)
{
	return c->reads + c->writes;
}

/* Cells that one character stands for, so that the rows stay few; a power of two. */
static uint32_t cells_a_glyph(const struct heat_region *r, uint32_t columns)
{
	uint32_t n = 1;

	while ((uint64_t)columns * n * ROWS_MAX < r->n)
		n *= 2;
	return n;
}

static uint64_t sum(const struct heat_region *r, uint64_t from, uint64_t n)
{
	uint64_t all = 0;

	for (uint64_t i = from; i < from + n && i < r->n; i++)
		all += total(&r->cell[i]);
	return all;
}

static uint32_t log2_of(uint64_t n)
{
	return n ? 64 - (uint32_t)__builtin_clzll(n) : 0;
}

/* By powers of two: the most fills a cell, one access shows. */
static uint32_t level_of(uint64_t n, uint64_t most)
{
	uint32_t of = log2_of(most);

	return n ? 1 + (log2_of(n) - 1) * (LEVELS - 1) / (of > 1 ? of - 1 : 1) : 0;
}

static uint64_t hottest(const struct heat_region *r, uint32_t step)
{
	uint64_t most = 0;

	for (uint64_t i = 0; i < r->n; i += step) {
		uint64_t n = sum(r, i, step);

		most = n > most ? n : most;
	}
	return most;
}

static void draw_rows(const struct heat_region *r, enum heat_glyphs glyphs, uint32_t columns,
		      FILE *to)
{
	uint32_t step = cells_a_glyph(r, columns);
	uint64_t row = (uint64_t)columns * step, most = hottest(r, step);
	bool gap = false;

	for (uint64_t at = 0; at < r->n; at += row) {
		if (!sum(r, at, row)) {
			if (!gap)
				fprintf(to, "  %18s\n", "...");
			gap = true;
			continue;
		}
		gap = false;
		fprintf(to, "  0x%016" PRIx64 " |", at * r->cell_bytes);
		for (uint32_t i = 0; i < columns; i++)
			fputs(levels[glyphs][level_of(sum(r, at + (uint64_t)i * step, step), most)],
			      to);
		fputs("|\n", to);
	}
}

/* The hottest cells, by repeated search: there are few to be told. */
static void draw_hottest(const struct heat_region *r, FILE *to)
{
	uint64_t below = UINT64_MAX, below_at = 0;

	for (uint32_t told = 0; told < HOTTEST; told++) {
		const struct heat_cell *best = NULL;

		for (uint32_t i = 0; i < r->n; i++) {
			uint64_t n = total(&r->cell[i]);

			if (n && (n < below || (n == below && told && i > below_at)) &&
			    (!best || n > total(best)))
				best = &r->cell[i];
		}
		if (!best)
			return;
		below = total(best);
		below_at = (uint64_t)(best - r->cell);
		fprintf(to, "  0x%016" PRIx64 "  %" PRIu64 " reads, %" PRIu64 " writes\n",
			below_at * r->cell_bytes, best->reads, best->writes);
	}
}

static void draw_region(const struct heat_region *r, const char *name, enum heat_glyphs glyphs,
			uint32_t columns, FILE *to)
{
	uint64_t reads = 0, writes = 0;
	uint32_t touched = 0;
	char size[TEXT_SIZE_MAX];

	for (uint32_t i = 0; i < r->n; i++) {
		reads += r->cell[i].reads;
		writes += r->cell[i].writes;
		touched += total(&r->cell[i]) != 0;
	}
	fprintf(to, "%s  %" PRIu64 " reads, %" PRIu64 " writes, in %" PRIu32 " pieces of %s", name,
		reads, writes, touched, text_size(size, r->cell_bytes));
	fprintf(to, "; a sign is %s\n", text_size(size, r->cell_bytes * cells_a_glyph(r, columns)));
	draw_rows(r, glyphs, columns, to);
	draw_hottest(r, to);
}

void heat_draw(const struct heat *h, enum heat_glyphs glyphs, uint32_t columns, FILE *to)
{
	for (uint32_t i = 0; i < TRACE_REGIONS; i++)
		if (h->region[i].cell)
			draw_region(&h->region[i], region_name(i), glyphs, columns, to);
}

/* --- for programs --- */

static json_t *cells_json(const struct heat_region *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->n; i++) {
		json_t *o;
		char at[24];

		if (!total(&r->cell[i]))
			continue;
		o = json_object();
		snprintf(at, sizeof(at), "0x%" PRIx64, i * r->cell_bytes);
		json_put_text(o, "offset", at);
		json_put_int(o, "reads", (int64_t)r->cell[i].reads);
		json_put_int(o, "writes", (int64_t)r->cell[i].writes);
		json_array_append_new(list, o);
	}
	return list;
}

json_t *heat_json(const struct heat *h)
{
	json_t *answer = json_answer("berth.bridge.heat/1"), *list = json_array();

	for (uint32_t i = 0; i < TRACE_REGIONS; i++) {
		json_t *o;

		if (!h->region[i].cell)
			continue;
		o = json_object();
		json_put_text(o, "name", region_name(i));
		json_put_int(o, "page_bytes", (int64_t)h->region[i].cell_bytes);
		json_object_set_new(o, "pages", cells_json(&h->region[i]));
		json_array_append_new(list, o);
	}
	json_object_set_new(answer, "regions", list);
	return answer;
}
