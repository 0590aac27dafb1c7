/* SPDX-License-Identifier: MIT */
#include "device/marked.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

#define NUMBER_MAX 99

static bool is_name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;

		if (tolower((unsigned char)x) != tolower((unsigned char)y))
			return false;
	}
	return !*a && !*b;
}

const struct marked_entry *marked_find(const struct marked *m, const char *name)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (same_name(m->list[i].name, name))
			return &m->list[i];
	return NULL;
}

const struct marked_entry *marked_now(const struct marked *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->list[i].now)
			return &m->list[i];
	return NULL;
}

/* What is there already, or marked already, stays as it is. */
static void add(struct marked *m, uint32_t number, const char *name, size_t n, bool now)
{
	struct marked_entry e = { .number = number };

	if (n == 0 || n >= sizeof(e.name) || m->n == MARKED_MAX)
		return;
	memcpy(e.name, name, n);
	for (uint32_t i = 0; i < m->n; i++)
		if (m->list[i].number == number || same_name(m->list[i].name, e.name))
			return;
	e.now = now && !marked_now(m);
	m->list[m->n++] = e;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* "NUMBER NAME", a star perhaps, at s. Where it ends, or NULL: there is none. */
static const char *take_mode(struct marked *m, const char *s)
{
	uint32_t number = 0;
	const char *name, *end;
	bool letter = false, now;

	if (!isdigit((unsigned char)*s))
		return NULL;
	for (; isdigit((unsigned char)*s) && number <= NUMBER_MAX; s++)
		number = number * 10 + (uint32_t)(*s - '0');
	name = skip_blanks(s);
	if (name == s || number > NUMBER_MAX)
		return NULL; /* "3D_FULL_SCREEN", "0(  GFXCLK)" */
	for (end = name; is_name_byte(*end); end++)
		letter = letter || isalpha((unsigned char)*end);
	if (!letter)
		return NULL; /* numbers in a row are settings */
	s = skip_blanks(end);
	now = *s == '*';
	add(m, number, name, (size_t)(end - name), now);
	return now ? s + 1 : end;
}

/* A line's modes: the first thing in it is one, or none is. What follows a colon are its settings. */
static void take_line(struct marked *m, const char *s)
{
	while (s && *(s = skip_blanks(s)) && *s != '\n' && *s != ':')
		s = take_mode(m, s);
}

void marked_table(const char *text, struct marked *m)
{
	*m = (struct marked) { 0 };
	for (const char *s = text; s; s = strchr(s, '\n')) {
		s += *s == '\n';
		take_line(m, s);
	}
}

void marked_brackets(const char *text, struct marked *m)
{
	*m = (struct marked) { 0 };
	for (const char *s = text; *s;) {
		bool now = *s == '[';
		const char *name = now ? s + 1 : s, *end = name;

		while (is_name_byte(*end))
			end++;
		if (end > name && (!now || *end == ']'))
			add(m, m->n, name, (size_t)(end - name), now);
		s = end > s ? end : s + 1;
	}
}

bool marked_says(const char *text, const char *want)
{
	struct marked m;

	if (strchr(text, '['))
		marked_brackets(text, &m);
	else
		marked_table(text, &m);
	const struct marked_entry *now = marked_now(&m);

	return now && same_name(now->name, want);
}

bool number_is_near(const char *text, const char *want)
{
	uint64_t is, asked;

	if (text_parse_u64(text, &is) || text_parse_u64(want, &asked))
		return false;
	return (is > asked ? is - asked : asked - is) <= asked / 10;
}
