/* SPDX-License-Identifier: MIT */
#include "core/bytes.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct bytes *b, size_t more)
{
	size_t want, room = b->room ? b->room : 256;
	char *p;

	if (b->lost || __builtin_add_overflow(b->n, more, &want) || want > SIZE_MAX / 2) {
		b->lost = true;
		return false;
	}
	if (want <= b->room)
		return true;
	while (room < want)
		room *= 2;
	p = realloc(b->p, room);
	if (!p) {
		b->lost = true;
		return false;
	}
	b->p = p;
	b->room = room;
	return true;
}

void bytes_add(struct bytes *b, const void *p, size_t n)
{
	if (n == 0 || !reserve(b, n))
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void bytes_text(struct bytes *b, const char *s)
{
	bytes_add(b, s, strlen(s));
}

void bytes_printf(struct bytes *b, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		b->lost = true;
	else
		bytes_add(b, line, (size_t)n);
}

void bytes_fini(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes) { .p = NULL };
}
