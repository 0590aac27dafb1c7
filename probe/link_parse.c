/* SPDX-License-Identifier: MIT */
/* The kernel's words for links into numbers. Pure; every byte may be hostile. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/link_priv.h"
#include "probe/probe_priv.h"

/*
 * Payload of one lane, bytes per second. PCI Express Base Specification: 8b/10b coding up to 5 GT/s,
 * 128b/130b up to 32 GT/s (4.2.2), 242 of 256 bytes of a flit at 64 GT/s (4.2.3 of revision 6.0).
 */
static const struct {
	int64_t speed_mts, lane_bytes_per_s;
} codings[] = {
	{ 2500, 250000000 },   { 5000, 500000000 },   { 8000, 984615384 },
	{ 16000, 1969230769 }, { 32000, 3938461538 }, { 64000, 7562500000 },
};

static const int64_t widths[] = { 1, 2, 4, 8, 12, 16, 32 };

static bool speed_ok(int64_t mts)
{
	for (size_t i = 0; i < ARRAY_LEN(codings); i++)
		if (codings[i].speed_mts == mts)
			return true;
	return false;
}

static bool width_ok(int64_t width)
{
	for (size_t i = 0; i < ARRAY_LEN(widths); i++)
		if (widths[i] == width)
			return true;
	return false;
}

int64_t link_rate(int64_t speed_mts, int64_t width)
{
	for (size_t i = 0; i < ARRAY_LEN(codings); i++)
		if (codings[i].speed_mts == speed_mts && width_ok(width))
			return codings[i].lane_bytes_per_s * width;
	return 0;
}

/* At most four digits, perhaps a point and one more: "2.5" is 2500. -1: no such number. */
static int64_t thousandths(const char **s)
{
	size_t n = strspn(*s, "0123456789");
	int64_t v = 0;

	if (n < 1 || n > 4)
		return -1;
	for (; n; n--, ++*s)
		v = v * 10 + (**s - '0');
	v *= 1000;
	if (**s != '.')
		return v;
	++*s;
	if (**s < '0' || **s > '9')
		return -1;
	v += (**s - '0') * 100;
	++*s;
	return v;
}

struct fact parse_link_speed(const char *text, enum src src)
{
	if (strncmp(text, "Unknown", strlen("Unknown")) == 0)
		return fact_unknown(WHY_NOT_EXPORTED);
	int64_t mts = thousandths(&text);

	if (!speed_ok(mts) || strncmp(text, " GT/s", 5) != 0 || (text[5] && text[5] != ' '))
		return fact_unknown(WHY_GARBLED);
	return fact_of(mts, src);
}

struct fact parse_link_width(const char *text, enum src src)
{
	uint64_t v;

	if (text_parse_u64(text, &v) || v > 255)
		return fact_unknown(WHY_GARBLED);
	if (v == 0 || v == 255)
		return fact_unknown(WHY_NOT_EXPORTED);
	return width_ok((int64_t)v) ? fact_of((int64_t)v, src) : fact_unknown(WHY_GARBLED);
}

/* "1: 8.0GT/s, x16 619Mhz *". False for a line that is none. */
static bool dpm_line(const char *line, size_t len, int64_t *mts, int64_t *width, bool *star)
{
	char buf[80];
	char *end;

	if (len >= sizeof(buf))
		return false;
	memcpy(buf, line, len);
	buf[len] = '\0';
	const char *s = strstr(buf, ": ");

	if (!s)
		return false;
	s += 2;
	*mts = thousandths(&s);
	if (!speed_ok(*mts) || strncmp(s, "GT/s, x", 7) != 0)
		return false;
	s += 7;
	*width = strtol(s, &end, 10);
	*star = strchr(end, '*') != NULL;
	return end != s && width_ok(*width);
}

void parse_dpm_pcie(const char *text, struct link *l)
{
	int64_t best = 0;

	for (const char *line = text; line && *line;) {
		size_t len = strcspn(line, "\n");
		int64_t mts, width;
		bool star;

		if (dpm_line(line, len, &mts, &width, &star)) {
			if (star) {
				l->driver_speed_mts = fact_of(mts, SRC_SYSFS);
				l->driver_width = fact_of(width, SRC_SYSFS);
			}
			if (link_rate(mts, width) > best) {
				best = link_rate(mts, width);
				l->driver_best_speed_mts = fact_of(mts, SRC_SYSFS);
				l->driver_best_width = fact_of(width, SRC_SYSFS);
			}
		}
		line += len + (line[len] == '\n');
	}
}
