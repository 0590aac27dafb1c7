/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(struct text *t, char *buf, size_t size)
{
	*t = (struct text) { .buf = buf, .size = size };
	buf[0] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
	size_t room = t->size - t->len;
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room) {
		t->cut = true;
		t->len = strlen(t->buf);
		return;
	}
	t->len += (size_t)n;
}

void text_add_word(struct text *t, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";

	if (*word && word[strspn(word, plain)] == 0) {
		text_add(t, "%s", word);
		return;
	}
	text_add(t, "'");
	for (const char *s = word; *s;) {
		size_t n = strcspn(s, "'");

		text_add(t, "%.*s%s", (int)n, s, s[n] ? "'\\''" : "");
		s += n + (s[n] != '\0');
	}
	text_add(t, "'");
}

static const struct {
	const char *name;
	uint64_t bytes;
} units[] = {
	{ "B", 1 },
	{ "k", UINT64_C(1) << 10 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "K", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "T", UINT64_C(1) << 40 },
	{ "TiB", UINT64_C(1) << 40 },
	{ "kB", 1000 },
	{ "MB", 1000000 },
	{ "GB", 1000000000 },
	{ "TB", UINT64_C(1000000000000) },
};

const char *text_size(char *buf, uint64_t bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t u = 0;

	/* 1023.95 would print as 1024.0: step up to the next unit before that. */
	while (v >= 1023.95 && u + 1 < sizeof(names) / sizeof(names[0])) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(buf, TEXT_SIZE_MAX, "%" PRIu64 " B", bytes);
	else
		snprintf(buf, TEXT_SIZE_MAX, "%.1f %s", v, names[u]);
	return buf;
}

const char *text_size_signed(char *buf, int64_t bytes)
{
	char abs[TEXT_SIZE_MAX];
	uint64_t mag = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;

	text_size(abs, mag);
	snprintf(buf, TEXT_SIZE_MAX, "%c%.*s", bytes < 0 ? '-' : '+', TEXT_SIZE_MAX - 2, abs);
	return buf;
}

static const char *parse_digits(const char *s, uint64_t *v, int *rc)
{
	*v = 0;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(*s - '0'), v))
			*rc = -ERANGE;
	return s;
}

int text_parse_size(const char *s, uint64_t *bytes)
{
	uint64_t whole, unit = 1;
	double part = 0, place = 0.1;
	int rc = 0;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	s = parse_digits(s, &whole, &rc);
	if (*s == '.') {
		for (s++; isdigit((unsigned char)*s); s++, place /= 10)
			part += (*s - '0') * place;
	}
	while (*s == ' ')
		s++;
	if (*s) {
		size_t i, n = sizeof(units) / sizeof(units[0]);

		for (i = 0; i < n && strcmp(units[i].name, s) != 0; i++)
			;
		if (i == n)
			return -EINVAL;
		unit = units[i].bytes;
	}
	if (rc || __builtin_mul_overflow(whole, unit, &whole))
		return -ERANGE;
	if (__builtin_add_overflow(whole, (uint64_t)(part * (double)unit), &whole) ||
	    whole > INT64_MAX)
		return -ERANGE;
	*bytes = whole;
	return 0;
}

int text_parse_u64(const char *s, uint64_t *v)
{
	int base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
	char *end;

	if (!isxdigit((unsigned char)*s) || (base == 10 && !isdigit((unsigned char)*s)))
		return -EINVAL;
	errno = 0;
	*v = strtoull(s, &end, base);
	if (errno)
		return -ERANGE;
	return *end || end == s + (base == 16 ? 1 : 0) ? -EINVAL : 0;
}

char *text_trim(char *s)
{
	size_t n = strlen(s);

	while (n && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	return s;
}

bool text_copy(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size);
	bool whole = n < size;

	if (!whole)
		n = size - 1;
	memmove(dst, src, n);
	dst[n] = '\0';
	return whole;
}

/* Length of the valid UTF-8 sequence at s, or 0. Rejects overlong forms, surrogates and > U+10FFFF. */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((s[0] & 0xf0) == 0xe0) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

char *text_clean(char *s)
{
	unsigned char *p = (unsigned char *)s;

	while (*p) {
		size_t n = utf8_len(p);
		/* U+0080..U+009F are control characters too: terminals obey 0x9b as ESC [. */
		bool control = *p < 0x20 || *p == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);

		if (!n || control) {
			for (size_t i = 0; i < (n ? n : 1); i++)
				p[i] = '?';
			n = n ? n : 1;
		}
		p += n;
	}
	return s;
}

bool text_is_utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n;

	for (; *p; p += n) {
		n = utf8_len(p);
		if (!n)
			return false;
	}
	return true;
}

const char *text_hex(char *buf, const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = bytes;

	for (size_t i = 0; i < n; i++) {
		buf[2 * i] = digits[b[i] >> 4];
		buf[2 * i + 1] = digits[b[i] & 15];
	}
	buf[2 * n] = '\0';
	return buf;
}
