/* SPDX-License-Identifier: MIT */
/* Labelled lines of at most 100 columns. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "probe/lines_priv.h"

#define INDENT 4
#define LABEL  11 /* columns of a label, with its gap */

void line_init(struct line *l)
{
	text_init(&l->t, l->buf, sizeof(l->buf));
}

void line_part(struct line *l, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	text_add(&l->t, "%s%s", l->t.len ? ", " : "", buf);
}

size_t line_fitting(const char *s, size_t room)
{
	size_t len = strlen(s);

	if (len <= room)
		return len;
	for (size_t i = room + 1; i > room / 2; i--)
		if (s[i - 1] == ' ' && strchr(",;", s[i - 2]))
			return i - 1;
	for (size_t i = room + 1; i > room / 2; i--)
		if (s[i - 1] == ' ')
			return i - 1;
	for (size_t i = room; i > room / 2; i--)
		if (s[i - 1] == ',')
			return i;
	while (room > 1 && ((unsigned char)s[room] & 0xc0) == 0x80)
		room--; /* not inside a UTF-8 character */
	return room;
}

void line_print(FILE *to, const char *label, const char *s)
{
	const size_t room = LINE_COLUMNS - INDENT - LABEL;

	do {
		size_t n = line_fitting(s, room);

		fprintf(to, "%*s%-*s%.*s\n", INDENT, "", LABEL, label, (int)n, s);
		label = "";
		s += n;
		s += strspn(s, " ");
	} while (*s);
}
