/* SPDX-License-Identifier: MIT */
/* Numbers, bars and curves as the person wants them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_priv.h"

struct scale scale_of(const struct frame *f, uint64_t bytes)
{
	static const char *const iec[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	static const char *const si[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	bool decimal = f->prefs && f->prefs->units == UNITS_SI;
	struct scale s = { .bytes = 1 };
	size_t u = 0;

	while ((double)bytes / s.bytes >= 1000 && u < 6) {
		s.bytes *= decimal ? 1000 : 1024;
		u++;
	}
	s.unit = decimal ? si[u] : iec[u];
	s.digits = u && (double)bytes / s.bytes < 99.95;
	return s;
}

const char *frame_size(const struct frame *f, char *buf, uint64_t bytes)
{
	struct scale s = scale_of(f, bytes);

	if (!f->prefs || f->prefs->units == UNITS_IEC)
		return text_size(buf, bytes); /* as all of berth writes them */
	snprintf(buf, TEXT_SIZE_MAX, "%.*f %s", s.digits, (double)bytes / s.bytes, s.unit);
	return buf;
}

void pen_degrees(struct pen *p, const struct frame *f, enum attr a, const struct fact *mc)
{
	bool fahrenheit = f->prefs && f->prefs->degrees == DEGREES_F;
	double c = (double)mc->v / 1000;

	if (!fact_known(mc))
		pen_text(p, ATTR_DIM, "-");
	else
		pen_printf(p, a, fahrenheit ? "%.0f F" : "%.0f C", fahrenheit ? c * 1.8 + 32 : c);
}

void pen_rate(struct pen *p, double rate)
{
	if (rate < 0)
		pen_text(p, ATTR_DIM, "-");
	else if (rate >= 1e6)
		pen_printf(p, ATTR_PLAIN, "%.1e", rate);
	else
		pen_printf(p, ATTR_PLAIN, rate < 100 ? "%.1f" : "%.0f", rate);
}

static void pen_short(struct pen *p, double n)
{
	static const char units[] = " kMGTPE";
	size_t u = 0;

	for (; n >= 999.5 && units[u + 1]; u++)
		n /= 1000;
	if (u)
		pen_printf(p, ATTR_PLAIN, n < 99.95 ? "%.1f%c" : "%.0f%c", n, units[u]);
	else
		pen_printf(p, ATTR_PLAIN, "%.0f", n);
}

void pen_count(struct pen *p, uint64_t n)
{
	if (n == TELEM_UNKNOWN)
		pen_text(p, ATTR_DIM, "-");
	else
		pen_short(p, (double)n);
}

void pen_per_s(struct pen *p, double rate)
{
	if (rate < 0)
		pen_text(p, ATTR_DIM, "-");
	else
		pen_short(p, rate);
}

void pen_ns(struct pen *p, double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	size_t u = 0;

	if (ns < 0) {
		pen_text(p, ATTR_DIM, "-");
		return;
	}
	for (; ns >= 999.5 && u < 3; u++)
		ns /= 1000;
	pen_printf(p, ATTR_PLAIN, u && ns < 99.95 ? "%.1f %s" : "%.0f %s", ns, units[u]);
}

void pen_spark(struct pen *p, const struct frame *f, enum attr a, const struct series *s,
	       double top)
{
	uint32_t n = p->end - p->col;
	const uint32_t most = 60 / glyphs_seconds(f->glyphs);
	struct chart c = {
		.series = s, .glyphs = f->glyphs, .cols = n < most ? n : most, .rows = 1
	};

	c.top = top > 0 ? top : series_max(s, 60);
	for (uint32_t i = 0; i < c.cols; i++) {
		uint32_t ch = chart_at(&c, 0, i);

		pen_char(p, ch == ' ' ? ATTR_PLAIN : a, ch, 1);
	}
}

/* --- the memory bar --- */

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

void pen_memory(struct pen *p, const struct held *h, const struct fact *total,
		const struct fact *used)
{
	const uint64_t bytes[PARTS] = {
		h->weights,
		h->kv,
		h->compute,
		fact_known(&h->other) ? (uint64_t)h->other.v : 0,
	};
	uint32_t n = p->end - p->col;
	uint32_t cells[PARTS];

	if (!fact_known(total) || total->v <= 0) {
		bool reason = !fact_known(total) && strlen(why_name(total->why)) <= n;

		pen_text(p, ATTR_DIM, reason ? why_name(total->why) : "-");
		return;
	}
	if (n < 3)
		return;
	n -= 2;
	share(bytes, (double)total->v, n, cells);
	pen_text(p, ATTR_PLAIN, "[");
	for (uint32_t i = 0; i < PARTS; i++) {
		pen_fill(p, parts[i].attr, parts[i].letter, cells[i]);
		n -= cells[i];
	}
	pen_fill(p, ATTR_DIM, fact_known(used) ? '.' : '?', n);
	pen_text(p, ATTR_PLAIN, "]");
}
