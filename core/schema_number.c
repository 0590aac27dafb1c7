/* SPDX-License-Identifier: MIT */
/*
 * Numbers between bounds, digit by digit. A number is taken as its digits with `point` of them behind the
 * point; a run of digits from one such number to another of the same length is a choice of three: begins
 * as the least one does, as the largest one does, or in between, and then the rest is free.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/schema_priv.h"

#define DIGITS_MAX 18 /* of a whole number; readers have 64 bits */
#define EXACT      15 /* digits that a double keeps */

/* --- digits of one length; `n` of them are left --- */

static void point(struct bytes *b, size_t n, size_t behind)
{
	if (behind && n == behind)
		bytes_text(b, "\".\" ");
}

static void any(struct bytes *b, size_t n, size_t behind)
{
	if (behind && n > behind) {
		bytes_printf(b, "[0-9]{%zu} ", n - behind);
		n = behind;
	}
	point(b, n, behind);
	if (n)
		bytes_printf(b, "[0-9]{%zu} ", n);
}

static void between(struct bytes *b, char first, char last, size_t n, size_t behind)
{
	bytes_printf(b, "[%c-%c] ", first, last);
	any(b, n - 1, behind);
}

/* Not less (`up`), or not more, than the digits at s. */
static void beyond(struct bytes *b, const char *s, size_t n, size_t behind, bool up)
{
	if (n == 0)
		return;
	point(b, n, behind);
	bytes_printf(b, "(\"%c\" ", *s);
	beyond(b, s + 1, n - 1, behind, up);
	if (up ? *s < '9' : *s > '0') {
		bytes_text(b, "| ");
		if (up)
			between(b, (char)(*s + 1), '9', n, behind);
		else
			between(b, '0', (char)(*s - 1), n, behind);
	}
	bytes_text(b, ") ");
}

static void span(struct bytes *b, const char *from, const char *to, size_t n, size_t behind)
{
	if (n == 0)
		return;
	point(b, n, behind);
	if (*from == *to) {
		bytes_printf(b, "\"%c\" ", *from);
		span(b, from + 1, to + 1, n - 1, behind);
		return;
	}
	bytes_printf(b, "(\"%c\" ", *from);
	beyond(b, from + 1, n - 1, behind, true);
	if (*to - *from > 1) {
		bytes_text(b, "| ");
		between(b, (char)(*from + 1), (char)(*to - 1), n, behind);
	}
	bytes_printf(b, "| \"%c\" ", *to);
	beyond(b, to + 1, n - 1, behind, false);
	bytes_text(b, ") ");
}

static void or_else(struct bytes *b)
{
	if (b->n)
		bytes_text(b, " | ");
}

/* All numbers from `from` to `to`, each between `before` and `after`. */
static void range(struct bytes *b, const char *before, uint64_t from, uint64_t to, size_t behind,
		  const char *after)
{
	uint64_t least = 0, next = 10;
	size_t n = 1;

	for (; n < behind + 1; n++)
		next *= 10;
	for (; n <= DIGITS_MAX + 1 && least <= to; n++, least = next, next *= 10) {
		uint64_t a = from > least ? from : least, z = to < next - 1 ? to : next - 1;
		char low[24], high[24];

		if (a > z)
			continue;
		snprintf(low, sizeof(low), "%0*llu", (int)n, (unsigned long long)a);
		snprintf(high, sizeof(high), "%0*llu", (int)n, (unsigned long long)z);
		or_else(b);
		bytes_text(b, before);
		span(b, low, high, n, behind);
		bytes_text(b, after);
	}
}

/* --- bounds --- */

struct bound {
	bool is, open; /* open: the bound itself is no such number */
	double v;
};

static int get_bound(const struct grammar *g, const json_t *s, const struct place *at, bool upper,
		     struct bound *out)
{
	const char *const keys[] = { upper ? "maximum" : "minimum",
				     upper ? "exclusiveMaximum" : "exclusiveMinimum" };

	for (size_t i = 0; i < 2; i++) {
		const json_t *j = json_object_get(s, keys[i]);
		double v = json_number_value(j);

		if (!j)
			continue;
		if (!json_is_number(j))
			return schema_refuse(g, at, keys[i], "must be a number");
		if (!(fabs(v) < 1e12))
			return schema_refuse(g, at, keys[i],
					     "is more than this core can hold to, which is 10^12");
		/* The narrower one of both */
		if (out->is && (upper ? v > out->v : v < out->v))
			continue;
		*out = (struct bound) { true, i == 1, v };
	}
	return 0;
}

static int get_bounds(const struct grammar *g, const json_t *s, const struct place *at,
		      struct bound *low, struct bound *high)
{
	const json_t *of = json_object_get(s, "multipleOf");
	int rc;

	*low = *high = (struct bound) { .is = false };
	if (of && !(json_is_integer(of) && json_integer_value(of) == 1))
		return schema_refuse(g, at, "multipleOf", "is more than this core can hold to");
	rc = get_bound(g, s, at, false, low);
	return rc ? rc : get_bound(g, s, at, true, high);
}

static int nothing(const struct grammar *g, const struct place *at)
{
	return schema_refuse(g, at, "minimum", "and \"maximum\" leave no number between them");
}

int schema_integer(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	const int64_t far = INT64_C(999999999999999);
	struct bytes b = { .p = NULL };
	struct bound low, high;
	int64_t from = -far, to = far;
	int rc = get_bounds(g, s, at, &low, &high);

	if (rc)
		return rc;
	/* The cast goes towards 0 */
	if (low.is) {
		from = (int64_t)low.v;
		from += (double)from < low.v || (low.open && (double)from == low.v);
	}
	if (high.is) {
		to = (int64_t)high.v;
		to -= (double)to > high.v || (high.open && (double)to == high.v);
	}
	if (from > to)
		return nothing(g, at);
	if (from < 0)
		range(&b, "\"-\" ", to < 0 ? (uint64_t)-to : 1, (uint64_t)-from, 0, "");
	if (to >= 0)
		range(&b, "", from > 0 ? (uint64_t)from : 0, (uint64_t)to, 0, "");
	bytes_add(text, b.p ? b.p : "", b.n);
	text->lost |= b.lost;
	bytes_fini(&b);
	return 0;
}

/* --- numbers with a point --- */

/* As a decimal fraction of at most 6 digits: how many it takes; -1: more. */
static int decimals(double v)
{
	double scale = 1;

	for (int k = 0; k <= 6; k++, scale *= 10) {
		char text[48];

		snprintf(text, sizeof(text), "%.*f", k, v);
		if (strtod(text, NULL) == v)
			return k;
	}
	return -1;
}

/* The digits of |v| without the point. */
static uint64_t scaled(double v, int k)
{
	uint64_t n = 0;
	char text[48];

	snprintf(text, sizeof(text), "%.*f", k, fabs(v));
	for (const char *s = text; *s; s++) {
		if (*s != '.')
			n = n * 10 + (uint64_t)(*s - '0');
	}
	return n;
}

struct part {
	uint64_t from, to; /* in steps of 10^-k */
	bool from_open, to_open;
};

static size_t length(uint64_t v)
{
	size_t n = 1;

	for (; v >= 10; v /= 10)
		n++;
	return n;
}

/* Digits that may follow those of a bound and still make another number of it, for readers with doubles. */
static size_t room_after(uint64_t bound, size_t k)
{
	size_t used = length(bound) > k ? length(bound) : k + 1;
	size_t room = used < EXACT ? EXACT - used : 0;

	return room < 9 ? room : 9;
}

/*
 * Between two numbers of one sign. Every step but the last may be followed by more digits; after the
 * first one they must be there and be more than nothing when it is no such number itself.
 */
static void put_part(struct bytes *b, const char *sign, const struct part *p, size_t k)
{
	size_t more = p->to_open ? room_after(p->to, k) : 9, least = room_after(p->from, k);
	char tail[64] = "", above[64] = "";

	if (more > 0)
		snprintf(tail, sizeof(tail), k ? "[0-9]{0,%zu} " : "(\".\" [0-9]{1,%zu})? ", more);
	least = least < more ? least : more;
	if (least > 0)
		snprintf(above, sizeof(above),
			 k ? "[0-9]{0,%zu} [1-9] " : "\".\" [0-9]{0,%zu} [1-9] ", least - 1);
	if (p->from_open && least > 0 && p->from < p->to)
		range(b, sign, p->from, p->from, k, above);
	if (p->to > p->from + p->from_open)
		range(b, sign, p->from + p->from_open, p->to - 1, k, tail);
	if (!p->to_open && (p->to > p->from || !p->from_open))
		range(b, sign, p->to, p->to, k, "");
}

int schema_number(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	struct bytes b = { .p = NULL };
	struct bound low, high;
	uint64_t far = 999999999999;
	int k, other, rc = get_bounds(g, s, at, &low, &high);

	if (rc)
		return rc;
	if (json_object_get(s, "multipleOf"))
		return schema_integer(g, s, at, text);
	if (!low.is && !high.is) {
		bytes_text(text, "number");
		return 0;
	}
	if (low.is && high.is && low.v > high.v)
		return nothing(g, at);
	k = low.is ? decimals(low.v) : 0;
	other = high.is ? decimals(high.v) : 0;
	if (k < 0 || other < 0)
		return schema_refuse(g, at, k < 0 ? "minimum" : "maximum",
				     "has more than 6 digits behind the point");
	k = k > other ? k : other;
	for (int i = 0; i < k; i++)
		far *= 10;
	if (!low.is || low.v < 0)
		put_part(&b, "\"-\" ",
			 &(struct part) { .from = high.is && high.v < 0 ? scaled(high.v, k) : 0,
					  .from_open = !(high.is && high.v < 0) || high.open,
					  .to = low.is ? scaled(low.v, k) : far,
					  .to_open = low.open },
			 (size_t)k);
	if (!high.is || high.v >= 0)
		put_part(&b, "",
			 &(struct part) { .from = low.is && low.v > 0 ? scaled(low.v, k) : 0,
					  .from_open = low.is && low.v >= 0 && low.open,
					  .to = high.is ? scaled(high.v, k) : far,
					  .to_open = high.open },
			 (size_t)k);
	rc = b.n ? 0 : nothing(g, at);
	bytes_add(text, b.p ? b.p : "", b.n);
	text->lost |= b.lost;
	bytes_fini(&b);
	return rc;
}
