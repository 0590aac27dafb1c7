/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions that are regular: letters, classes, groups, choices and repetition, between ^ and $
 * or in any text. What looks around, back, or at borders of words is refused. A text is held to characters
 * that JSON has plain forms for.
 */
#include <string.h>

#include "base/text.h"
#include "core/schema_priv.h"

#define GROUPS_MAX 20

/*
 * The engine follows every way in which a text may be read, for each character that might come, while
 * everybody else waits: so there may not be many. A choice is a fork in the way, and so is a part that comes
 * as often as it likes; one of many lengths after another such is several.
 */
#define FORKS_MAX   16
#define FORK_LENGTH 3

struct regex {
	struct grammar *g;
	const struct place *at;
	const char *s;  /* the next character */
	uint32_t depth; /* of groups */
	uint32_t forks;
};

/* Characters: those of ASCII that JSON has a form for, and all beyond it. */
struct set {
	bool ascii[128];
	bool beyond;
};

static int cannot(const struct regex *x, const char *what)
{
	return schema_refuse(x->g, x->at, "pattern", "has %s, which this core cannot hold to",
			     what);
}

static bool is_writable(unsigned char c)
{
	return (c >= ' ' && c < 0x7f) || c == '\n' || c == '\r' || c == '\t';
}

static void add_range(struct set *s, unsigned char from, unsigned char to)
{
	for (unsigned c = from; c <= to && c < 128; c++)
		s->ascii[c] = true;
}

static void invert(struct set *s)
{
	for (size_t c = 0; c < 128; c++)
		s->ascii[c] = !s->ascii[c];
	s->beyond = !s->beyond;
}

static void put_char(struct bytes *b, unsigned char c)
{
	static const char named[][2] = { { '\n', 'n' }, { '\r', 'r' }, { '\t', 't' } };
	char json[3] = { (char)c };

	if (c == '"' || c == '\\')
		memcpy(json, (char[]) { '\\', (char)c, 0 }, 3);
	for (size_t i = 0; i < 3; i++) {
		if (named[i][0] == (char)c)
			memcpy(json, (char[]) { '\\', named[i][1], 0 }, 3);
	}
	schema_literal(b, json, strlen(json));
}

/* As ranges of the engine's grammar, and the few that JSON writes with a backslash. */
static int put_set(const struct regex *x, const struct set *s, struct bytes *b)
{
	struct bytes plain = { .p = NULL };
	bool any = false;

	for (unsigned c = ' '; c < 0x7f; c++) {
		unsigned last = c;

		if (!s->ascii[c] || c == '"' || c == '\\')
			continue;
		while (last + 1 < 0x7f && s->ascii[last + 1] && last + 1 != '"' && last + 1 != '\\')
			last++;
		bytes_printf(&plain, "\\x%02x-\\x%02x", c, last);
		c = last;
	}
	if (s->beyond)
		bytes_text(&plain, "\\u0080-\\U0010ffff");
	bytes_text(b, "(");
	if (plain.n) {
		bytes_text(b, "[");
		bytes_add(b, plain.p, plain.n);
		bytes_text(b, "]");
		any = true;
	}
	b->lost |= plain.lost;
	bytes_fini(&plain);
	for (const char *c = "\"\\\n\r\t"; *c; c++) {
		if (!s->ascii[(unsigned char)*c])
			continue;
		bytes_text(b, any ? " | " : "");
		put_char(b, (unsigned char)*c);
		any = true;
	}
	bytes_text(b, ")");
	return any ? 0 : cannot(x, "a class of characters that JSON does not write");
}

/* --- escapes and classes --- */

static bool word_class(char c, struct set *s)
{
	struct set one = { .beyond = false };

	switch (c | 0x20) {
	case 'd':
		add_range(&one, '0', '9');
		break;
	case 'w':
		add_range(&one, '0', '9');
		add_range(&one, 'a', 'z');
		add_range(&one, 'A', 'Z');
		one.ascii['_'] = true;
		break;
	case 's':
		add_range(&one, '\t', '\r');
		one.ascii[' '] = true;
		break;
	default:
		return false;
	}
	if (c < 'a') {
		invert(&one);
		/* Readers differ in what beyond ASCII is a letter, a digit or a space */
		one.beyond = false;
	}
	for (size_t i = 0; i < 128; i++)
		s->ascii[i] |= one.ascii[i];
	s->beyond |= one.beyond;
	return true;
}

static int hex(struct regex *x, int digits, unsigned char *c)
{
	unsigned v = 0;

	for (; digits > 0; digits--, x->s++) {
		const char *all = "0123456789abcdef";
		const char *at = *x->s ? strchr(all, *x->s | 0x20) : NULL;

		if (!at)
			return cannot(x, "an escape that is none");
		v = v * 16 + (unsigned)(at - all);
	}
	if (v >= 128)
		return cannot(x, "an escape of a character beyond ASCII");
	*c = (unsigned char)v;
	return 0;
}

/* After a backslash: one character. */
static int escape(struct regex *x, unsigned char *c)
{
	static const char from[] = "nrtfv", to[] = "\n\r\t\f\v";
	const char *named;

	*c = (unsigned char)*x->s++;
	named = *c ? strchr(from, *c) : NULL;
	if (*c == 'x' || *c == 'u')
		return hex(x, *c == 'x' ? 2 : 4, c);
	if (named)
		*c = (unsigned char)to[named - from];
	else if (!*c || *c >= 128 || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') ||
		 (*c >= '0' && *c <= '9'))
		return cannot(x, "an escape that is none of \\d \\w \\s \\n \\r \\t \\x \\u");
	return 0;
}

/* One character of a class, or a whole one (\d): then *whole. */
static int class_part(struct regex *x, struct set *s, unsigned char *c, bool *whole)
{
	*whole = false;
	*c = (unsigned char)*x->s++;
	if (*c >= 128)
		return cannot(x, "characters beyond ASCII in a class");
	if (*c == '[' && *x->s == ':')
		return cannot(x, "a named class");
	if (*c != '\\')
		return 0;
	*whole = word_class(*x->s, s);
	if (*whole) {
		x->s++;
		return 0;
	}
	return escape(x, c);
}

static int class(struct regex *x, struct set *s)
{
	bool inverted = *x->s == '^', whole;
	unsigned char c, last;
	int rc;

	x->s += inverted;
	if (*x->s == ']')
		return cannot(x, "an empty class");
	while (*x->s != ']') {
		if (!*x->s)
			return cannot(x, "a class without its end");
		rc = class_part(x, s, &c, &whole);
		if (rc)
			return rc;
		if (whole)
			continue;
		last = c;
		if (*x->s == '-' && x->s[1] && x->s[1] != ']') {
			x->s++;
			rc = class_part(x, s, &last, &whole);
			if (rc == 0 && (whole || last < c))
				rc = cannot(x, "a range whose end comes before its beginning");
			if (rc)
				return rc;
		}
		add_range(s, c, last);
	}
	x->s++;
	if (inverted)
		invert(s);
	return 0;
}

/* --- the expression --- */

static int choices(struct regex *x, struct bytes *b, bool *empty);

static int group(struct regex *x, struct bytes *b, bool *empty)
{
	int rc;

	if (x->s[0] == '?' && x->s[1] != ':')
		return cannot(x, "a group that begins with \"(?\"");
	x->s += x->s[0] == '?' ? 2 : 0;
	if (++x->depth > GROUPS_MAX)
		return cannot(x, "more groups in each other than are taken");
	bytes_text(b, "(");
	rc = choices(x, b, empty);
	if (rc == 0 && *x->s++ != ')')
		rc = cannot(x, "a group without its end");
	bytes_text(b, ")");
	x->depth--;
	return rc;
}

static int atom(struct regex *x, struct bytes *b, bool *empty)
{
	struct set s = { .beyond = false };
	unsigned char c = (unsigned char)*x->s++;
	size_t n = 1;
	int rc;

	*empty = false;
	switch (c) {
	case '(':
		return group(x, b, empty);
	case '[':
		rc = class(x, &s);
		return rc ? rc : put_set(x, &s, b);
	case '.':
		s.ascii['\n'] = s.ascii['\r'] = true;
		invert(&s);
		return put_set(x, &s, b);
	case '\\':
		if (word_class(*x->s, &s)) {
			x->s++;
			return put_set(x, &s, b);
		}
		rc = escape(x, &c);
		if (rc)
			return rc;
		break;
	case '^':
	case '$':
		return cannot(x, "^ or $ elsewhere than around the whole");
	case '*':
	case '+':
	case '?':
	case '{':
		return cannot(x, "a repetition of nothing");
	default:
		break;
	}
	if (c >= 128) { /* a whole character, as it is; jansson has made sure that it is one */
		while (((unsigned char)x->s[n - 1] & 0xc0) == 0x80)
			n++;
		schema_literal(b, x->s - 1, n);
		x->s += n - 1;
		return 0;
	}
	if (!is_writable(c))
		return cannot(x, "a character that JSON does not write plainly");
	put_char(b, c);
	return 0;
}

static int number(struct regex *x, int64_t *v)
{
	*v = -1;
	for (; *x->s >= '0' && *x->s <= '9'; x->s++) {
		*v = (*v < 0 ? 0 : *v) * 10 + (*x->s - '0');
		if (*v > SCHEMA_LENGTH_MAX)
			return cannot(x, "a repetition of more than is taken");
	}
	return 0;
}

/* "{2}", "{2,}", "{2,5}" */
static int counted(struct regex *x, int64_t *min, int64_t *max)
{
	int rc = number(x, min);

	*max = *min;
	if (rc == 0 && *x->s == ',') {
		x->s++;
		rc = number(x, max);
	}
	if (rc)
		return rc;
	if (*x->s++ != '}' || *min < 0 || (*max >= 0 && *max < *min))
		return cannot(x, "a repetition that makes no sense");
	return 0;
}

static int quantity(struct regex *x, int64_t *min, int64_t *max)
{
	int rc = 0;

	*min = *max = 1;
	switch (*x->s) {
	case '*':
	case '+':
		*min = *x->s++ == '+';
		*max = -1;
		break;
	case '?':
		x->s++;
		*min = 0;
		break;
	case '{':
		x->s++;
		rc = counted(x, min, max);
		break;
	default:
		return 0;
	}
	x->s += *x->s == '?'; /* "as few as possible" takes the same texts */
	if (rc == 0 && *x->s == '+')
		rc = cannot(x, "a repetition that gives nothing back");
	return rc;
}

static int add_forks(struct regex *x, uint32_t n)
{
	x->forks += n;
	return x->forks > FORKS_MAX ? cannot(x, "more choices and open lengths than 16") : 0;
}

/* An atom and how often it comes; the engine repeats rules, which are made once. */
static int piece(struct regex *x, struct bytes *b, bool *empty)
{
	struct bytes one = { .p = NULL };
	int64_t min, max;
	uint32_t rule;
	char name[16];
	int rc = atom(x, &one, empty);

	if (rc == 0)
		rc = quantity(x, &min, &max);
	if (rc == 0 && *empty && max != 1)
		rc = cannot(x, "a repetition of what may be nothing");
	if (rc) {
		bytes_fini(&one);
		return rc;
	}
	if (min != max)
		rc = add_forks(
			x, 1 + (max < 0 || !x->forks ? 0 : (uint32_t)(max - min) / FORK_LENGTH));
	if (rc) {
		bytes_fini(&one);
		return rc;
	}
	*empty |= min == 0;
	if (min == 1 && max == 1) {
		bytes_add(b, one.p, one.n);
		b->lost |= one.lost;
		bytes_fini(&one);
		return 0;
	}
	rule = schema_new_rule(x->g);
	rc = schema_rule(x->g, rule, &one);
	snprintf(name, sizeof(name), "r%u", rule);
	return rc ? rc : schema_repeat(x->g, b, name, (uint32_t)min, max, x->at);
}

static int choices(struct regex *x, struct bytes *b, bool *empty)
{
	bool all_empty = true, one_empty;
	int rc;

	*empty = false;
	for (;;) {
		if (*x->s == '|' || *x->s == ')' || !*x->s) {
			*empty |= all_empty;
			bytes_text(b, "\"\""); /* a branch may be, or end with, nothing */
			all_empty = true;
			if (*x->s != '|')
				return 0;
			x->s++;
			bytes_text(b, " | ");
			rc = add_forks(x, 1);
			if (rc)
				return rc;
			continue;
		}
		rc = piece(x, b, &one_empty);
		if (rc)
			return rc;
		all_empty &= one_empty;
		bytes_text(b, " ");
	}
}

/* Whether a choice stands outside of all groups: ^ and $ would belong to one branch. */
static bool has_open_choice(const char *s)
{
	int depth = 0;
	bool in_class = false;

	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (in_class)
			in_class = *s != ']';
		else if (*s == '[')
			in_class = true;
		else if (*s == '(' || *s == ')')
			depth += *s == '(' ? 1 : -1;
		else if (*s == '|' && depth == 0)
			return true;
	}
	return false;
}

/* The backslashes before a last $ make it a letter when they are odd. */
static bool ends_with_anchor(const char *s, size_t n)
{
	size_t k = 0;

	if (n == 0 || s[n - 1] != '$')
		return false;
	while (k + 1 < n && s[n - 2 - k] == '\\')
		k++;
	return k % 2 == 0;
}

int schema_pattern(struct grammar *g, const char *pattern, const struct place *at,
		   struct bytes *text)
{
	struct regex x = { .g = g, .at = at };
	char copy[512];
	size_t n = strlen(pattern);
	bool begins = pattern[0] == '^', ends = ends_with_anchor(pattern, n), empty;
	int rc;

	if (!text_copy(copy, sizeof(copy), pattern))
		return cannot(&x, "more than 511 bytes");
	if ((begins || ends) && has_open_choice(pattern))
		return cannot(&x, "^ or $ beside a choice; put the choice into a group");
	if (ends)
		copy[n - 1] = 0;
	x.s = copy + begins;
	bytes_text(text, begins ? "(" : "char* (");
	rc = choices(&x, text, &empty);
	if (rc == 0 && *x.s)
		rc = cannot(&x, "a \")\" too many");
	bytes_text(text, ends ? ")" : ") char*");
	return rc;
}
