/* SPDX-License-Identifier: MIT */
/*
 * Sources: gres.conf(5); Slurm 22.05 and 24.11, _merge_config: the list of devices follows the types of the node's Gres in slurm.conf, and
 * gres.conf only within a type.
 */
#include "launch/gres.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "base/text.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))
#define LINE_MAX_  4096 /* of a line with its continuations; Slurm's own limit is the memory */

/* --- lists such as "n[1-3,7],login" --- */

/* One item of such a list: PREFIX, or PREFIX[RANGES]SUFFIX. */
struct item {
	const char *prefix, *ranges, *suffix; /* ranges NULL: there are none */
	int n_prefix, n_ranges, n_suffix;
};

/* The next item, cut from *at; false: none is left. A bracket that does not close is part of a name. */
static bool next_item(const char **at, struct item *i)
{
	const char *s = *at + strspn(*at, ","), *open, *close;
	size_t n = 0;
	bool inside = false;

	if (!*s)
		return false;
	for (; s[n] && (inside || s[n] != ','); n++)
		inside = s[n] == '[' || (inside && s[n] != ']');
	open = memchr(s, '[', n);
	close = open ? memchr(open, ']', n - (size_t)(open - s)) : NULL;
	*at = s + n;
	*i = (struct item) { .prefix = s, .n_prefix = (int)n };
	if (!close)
		return true;
	i->n_prefix = (int)(open - s);
	i->ranges = open + 1;
	i->n_ranges = (int)(close - open) - 1;
	i->suffix = close + 1;
	i->n_suffix = (int)(s + n - i->suffix);
	return true;
}

struct range {
	uint64_t first, last;
	int width; /* of a first number with leading zeros; else 0 */
};

/* Digits at *s, before end. */
static bool number(const char **s, const char *end, uint64_t *v)
{
	const char *begin = *s;

	for (*v = 0; *s < end && **s >= '0' && **s <= '9'; ++*s) {
		if (*s - begin == 9)
			return false;
		*v = *v * 10 + (uint64_t)(**s - '0');
	}
	return *s > begin;
}

/* The next range of an item's; 1, 0: none is left, -1: it is none. */
static int next_range(const char **at, const char *end, struct range *r)
{
	const char *begin = *at;

	if (begin >= end)
		return 0;
	if (!number(at, end, &r->first))
		return -1;
	r->width = *begin == '0' ? (int)(*at - begin) : 0;
	r->last = r->first;
	if (*at < end && **at == '-') {
		++*at;
		if (!number(at, end, &r->last) || r->last < r->first)
			return -1;
	}
	if (*at < end && *(*at)++ != ',')
		return -1;
	return 1;
}

/* Whether the digits between prefix and suffix are in one of an item's ranges. */
static bool ranges_have(const struct item *i, const char *digits, int n)
{
	const char *at = i->ranges, *s = digits;
	struct range r;
	uint64_t v;

	if (!number(&s, digits + n, &v) || s != digits + n)
		return false;
	while (next_range(&at, i->ranges + i->n_ranges, &r) > 0)
		if (v >= r.first && v <= r.last &&
		    (r.width ? n == r.width : digits[0] != '0' || n == 1))
			return true;
	return false;
}

static bool list_has(const char *list, const char *name)
{
	int n = (int)strlen(name);
	struct item i;

	while (next_item(&list, &i)) {
		if (n < i.n_prefix || strncmp(name, i.prefix, (size_t)i.n_prefix) != 0)
			continue;
		if (!i.ranges && n == i.n_prefix)
			return true;
		if (i.ranges && n > i.n_prefix + i.n_suffix &&
		    strncmp(name + n - i.n_suffix, i.suffix, (size_t)i.n_suffix) == 0 &&
		    ranges_have(&i, name + i.n_prefix, n - i.n_prefix - i.n_suffix))
			return true;
	}
	return false;
}

/* --- gres.conf --- */

/* What one line says. */
struct line {
	const char *node, *name, *type, *file, *files, *detect, *gres; /* NULL: not given */
};

static int add_file(struct gres *g, const struct item *i, uint64_t v, int width, struct err *e)
{
	struct gres_gpu *to = &g->gpus[g->n];
	int n;

	if (g->n == PROBE_GPUS_MAX)
		return err_set(e, -EBADMSG, "more than %d GPUs", PROBE_GPUS_MAX);
	if (i->ranges)
		n = snprintf(to->file, sizeof(to->file), "%.*s%0*llu%.*s", i->n_prefix, i->prefix,
			     width, (unsigned long long)v, i->n_suffix, i->suffix);
	else
		n = snprintf(to->file, sizeof(to->file), "%.*s", i->n_prefix, i->prefix);
	if (n < 0 || n >= (int)sizeof(to->file))
		return err_set(e, -EBADMSG, "File: the name of a device is too long");
	to->line = g->n_lines;
	g->n++;
	return 0;
}

static int add_item(struct gres *g, const struct item *i, struct err *e)
{
	const char *at = i->ranges, *end = i->ranges ? i->ranges + i->n_ranges : NULL;
	struct range r;
	int rc = i->ranges ? 0 : add_file(g, i, 0, 0, e), more = 0;

	while (rc == 0 && i->ranges && (more = next_range(&at, end, &r)) > 0)
		for (uint64_t v = r.first; rc == 0 && v <= r.last; v++)
			rc = add_file(g, i, v, r.width, e);
	if (rc == 0 && more < 0)
		return err_set(e, -EBADMSG, "File: [%.*s] is no list of numbers", i->n_ranges,
			       i->ranges);
	return rc;
}

/* Several files of one GPU: any of them tells which it is. */
static int add_one_of(struct gres *g, const char *list, struct err *e)
{
	uint32_t n = g->n;
	struct item i;
	int rc = next_item(&list, &i) ? add_item(g, &i, e) : 0;

	if (g->n > n)
		g->n = n + 1;
	return rc;
}

static int take_gres(struct gres *g, const struct line *l, const char *node, struct err *e)
{
	const char *list = l->file;
	uint32_t before = g->n;
	struct item i;
	int rc = 0;

	if (l->node && !list_has(l->node, node))
		return 0;
	/* of a node it counts more than the one for all, wherever it stands */
	if (l->detect && (l->node || !g->detect[0]))
		text_copy(g->detect, sizeof(g->detect), l->detect);
	if (!l->name || strcasecmp(l->name, "gpu") != 0)
		return 0;
	if (l->files)
		rc = add_one_of(g, l->files, e);
	while (rc == 0 && !l->files && list && next_item(&list, &i))
		rc = add_item(g, &i, e);
	for (uint32_t k = before; k < g->n; k++)
		text_copy(g->gpus[k].type, sizeof(g->gpus[k].type), l->type ? l->type : "");
	g->n_lines++;
	return rc;
}

/* The next KEY=VALUE of a line, cut in place; false: none is left. */
static bool next_pair(char **at, char **key, char **value)
{
	static const char blanks[] = " \t\r";
	char *s = *at + strspn(*at, blanks);
	size_t n = strcspn(s, " \t\r=");
	char *equals = s + n + strspn(s + n, blanks);

	if (!*s || *equals != '=' || !n)
		return false;
	*key = s;
	s[n] = '\0';
	s = equals + 1 + strspn(equals + 1, blanks);
	if (*s == '"') {
		*value = ++s;
		s += strcspn(s, "\"");
	} else {
		*value = s;
		s += strcspn(s, blanks);
	}
	if (*s)
		*s++ = '\0';
	*at = s;
	return true;
}

static struct line read_line(char *s)
{
	struct line l = { 0 };
	const struct {
		const char *key, **to;
	} keys[] = {
		{ "NodeName", &l.node }, { "Name", &l.name },         { "Type", &l.type },
		{ "File", &l.file },     { "Files", &l.file },        { "MultipleFiles", &l.files },
		{ "Gres", &l.gres },     { "AutoDetect", &l.detect },
	};
	char *key, *value;

	while (next_pair(&s, &key, &value))
		for (size_t k = 0; k < N_OF(keys); k++)
			if (strcasecmp(key, keys[k].key) == 0)
				*keys[k].to = value;
	return l;
}

static bool is_include(const char *s)
{
	s += strspn(s, " \t");
	return strncasecmp(s, "include", 7) == 0 && (s[7] == ' ' || s[7] == '\t');
}

/* One line into buf, its continuations joined and its comment gone. The bytes used; 0: it is too long. */
static size_t one_line(const char *text, size_t n, char buf[LINE_MAX_])
{
	size_t at = 0, len = 0;
	bool comment = false;

	for (; at < n && text[at] != '\n'; at++) {
		if (text[at] == '\\' && at + 1 < n &&
		    (text[at + 1] == '\n' || text[at + 1] == '#')) {
			at++;
			if (text[at] == '\n')
				continue;
		} else if (text[at] == '#') {
			comment = true;
		}
		if (comment)
			continue;
		if (len == LINE_MAX_ - 1)
			return 0;
		buf[len++] = text[at] ? text[at] : ' ';
	}
	buf[len] = '\0';
	return at + 1;
}

/* The next line of a file of Slurm's, from *at on. 1, 0: there is none, -EBADMSG. */
static int next_line(const char *text, size_t n, size_t *at, char buf[LINE_MAX_], struct err *e)
{
	size_t used = *at < n ? one_line(text + *at, n - *at, buf) : 1;

	if (!used)
		return err_set(e, -EBADMSG, "a line is longer than %d bytes", LINE_MAX_);
	if (*at >= n)
		return 0;
	*at += used;
	return 1;
}

int gres_parse(struct gres *g, const char *text, size_t n, const char *node, struct err *e)
{
	char buf[LINE_MAX_];
	size_t at = 0;
	int rc;

	memset(g, 0, sizeof(*g));
	while ((rc = next_line(text, n, &at, buf, e)) > 0) {
		g->includes |= is_include(buf);
		struct line l = read_line(buf);

		rc = take_gres(g, &l, node, e);
		if (rc)
			return rc;
	}
	if (strcasecmp(g->detect, "off") == 0)
		g->detect[0] = '\0';
	return rc;
}

/* --- the order that slurm.conf gives --- */

/* One entry of a node's Gres: "gpu:TYPE:COUNT", "gpu:COUNT", "gpu:TYPE" or "gpu". */
struct entry {
	char type[160]; /* empty: any */
	uint64_t count;
};

static bool is_count(const char *s, uint64_t *count)
{
	const char *end = s + strlen(s);

	/* a "k" behind it would be a thousand and more: as many as there are */
	return number(&s, end, count) && (s == end || strchr("kKmMgG", *s));
}

/* false: it is no GPU's. What follows in parentheses names sockets. */
static bool read_entry(struct entry *to, const char *s, int n)
{
	char copy[256], *save = NULL, *part;
	uint64_t count;

	snprintf(copy, sizeof(copy), "%.*s", n, s);
	copy[strcspn(copy, "(")] = '\0';
	part = strtok_r(copy, ":", &save);
	*to = (struct entry) { .count = 1 };
	if (!part || strcasecmp(part, "gpu") != 0)
		return false;
	for (int i = 0; (part = strtok_r(NULL, ":", &save)); i++) {
		/* a type may be all digits, when a count follows */
		if (is_count(part, &count) && (i || !*save))
			to->count = count;
		else if (!i)
			text_copy(to->type, sizeof(to->type), part);
	}
	return true;
}

/* Move GPUs of this entry's type from `from` to `to`, whole lines as long as the count lasts. */
static void take_entry(struct gres *to, const struct gres *from, bool taken[PROBE_GPUS_MAX],
		       const struct entry *entry)
{
	uint64_t left = entry->count;
	uint32_t cut = UINT32_MAX; /* the line that was not needed whole: its rest is nobody's */

	for (uint32_t i = 0; i < from->n && (left || from->gpus[i].line == cut); i++) {
		const struct gres_gpu *one = &from->gpus[i];

		if (taken[i] || (entry->type[0] && strcasecmp(entry->type, one->type) != 0))
			continue;
		taken[i] = true;
		if (!left)
			continue;
		to->gpus[to->n++] = *one;
		cut = --left ? UINT32_MAX : one->line;
	}
}

static void order_by(struct gres *g, struct gres *room, const char *list)
{
	bool taken[PROBE_GPUS_MAX] = { false };
	struct entry entry;
	struct item i;

	*room = *g;
	g->n = 0;
	while (next_item(&list, &i))
		if (read_entry(&entry, i.prefix, i.n_prefix))
			take_entry(g, room, taken, &entry);
}

int gres_order(struct gres *g, const char *text, size_t n, const char *node, struct err *e)
{
	own_free struct gres *room = malloc(sizeof(*room));
	char buf[LINE_MAX_], list[LINE_MAX_] = "", usual[LINE_MAX_] = "";
	size_t at = 0;
	int rc;

	if (!room)
		return err_set(e, -ENOMEM, "out of memory");
	while ((rc = next_line(text, n, &at, buf, e)) > 0) {
		struct line l = read_line(buf);
		const char *gres = l.gres ? l.gres : usual;

		if (l.node && strcasecmp(l.node, "DEFAULT") == 0 && l.gres)
			text_copy(usual, sizeof(usual), l.gres);
		else if (l.node && list_has(l.node, node))
			text_copy(list, sizeof(list), gres);
	}
	if (rc || !list[0])
		return rc;
	order_by(g, room, list);
	return 1;
}
