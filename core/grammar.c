/* SPDX-License-Identifier: MIT */
#include "core/grammar.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define BYTES_MAX    ((size_t)64 << 10)
#define NODES_MAX    4000    /* rules and groups */
#define DEPTH_MAX    64      /* of groups in groups */
#define TIMES_MAX    2000    /* the engine's own limit of {...} */
#define ELEMENTS_MAX 1000000 /* what {...} copies, in characters */
#define WAYS_MAX     10000   /* from a rule down to what may come first */
#define NONE         UINT32_MAX

enum kind { TERMINAL, NODE, OR };

struct item {
	enum kind kind;
	uint32_t node;  /* of NODE */
	uint32_t size;  /* of TERMINAL, in characters */
	uint32_t times; /* it is repeated */
	bool optional;
	uint32_t next; /* of the same node */
};

struct node {
	const char *name; /* NULL: a group */
	size_t n_name;
	uint32_t first, last;
	uint32_t ways; /* 0: not counted yet */
	bool nullable, counting;
};

struct reader {
	const char *p;
	struct node *nodes;
	struct item *items;
	uint32_t n_nodes, n_items;
	uint64_t n_elements;
	uint32_t open[DEPTH_MAX], group[DEPTH_MAX], depth; /* around the group at hand */
	uint32_t node; /* at hand; NONE: before the first rule */
	uint32_t last; /* the item that a repetition is of; NONE: there is none */
};

static uint32_t add_node(struct reader *r, const char *name, size_t n)
{
	if (r->n_nodes == NODES_MAX)
		return NONE;
	r->nodes[r->n_nodes] = (struct node) { name, n, NONE, NONE, 0, false, false };
	return r->n_nodes++;
}

static uint32_t find_rule(struct reader *r, const char *name, size_t n)
{
	for (uint32_t i = 0; i < r->n_nodes; i++) {
		const struct node *o = &r->nodes[i];

		if (o->name && o->n_name == n && memcmp(o->name, name, n) == 0)
			return i;
	}
	return add_node(r, name, n);
}

static void add_item(struct reader *r, struct item it)
{
	struct node *o;

	r->last = NONE;
	if (r->node == NONE)
		return;
	o = &r->nodes[r->node];
	it.times = 1;
	it.next = NONE;
	r->items[r->n_items] = it;
	if (o->last == NONE)
		o->first = r->n_items;
	else
		r->items[o->last].next = r->n_items;
	o->last = r->n_items++;
	if (it.kind != OR)
		r->last = o->last;
}

/* "..." or [...], from its first byte on. */
static void read_quoted(struct reader *r, char end)
{
	bool none_of = end == ']' && r->p[1] == '^';
	uint32_t n = 0;

	for (r->p += 1 + none_of; *r->p && *r->p != end; r->p++, n++) {
		if (*r->p == '\\' && r->p[1])
			r->p++;
	}
	r->p += *r->p == end;
	add_item(r, (struct item) { .kind = TERMINAL, .size = n, .optional = n == 0 });
}

static void read_token(struct reader *r)
{
	r->p += strcspn(r->p, ">");
	r->p += *r->p == '>';
	add_item(r, (struct item) { .kind = TERMINAL, .size = 1 });
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* A rule's name: it begins there, or is meant. */
static int read_name(struct reader *r, struct err *e)
{
	const char *name = r->p, *after;
	uint32_t node;

	while (is_word(*r->p))
		r->p++;
	node = find_rule(r, name, (size_t)(r->p - name));
	if (node == NONE)
		return err_set(e, -EINVAL, "the grammar has more than %d rules and groups",
			       NODES_MAX);
	after = r->p + strspn(r->p, " \t");
	if (strncmp(after, "::=", 3) != 0) {
		add_item(r, (struct item) { .kind = NODE, .node = node });
		return 0;
	}
	r->p = after + 3;
	r->node = node;
	r->depth = 0;
	r->last = NONE;
	if (r->nodes[node].first != NONE) /* again: either may count */
		add_item(r, (struct item) { .kind = OR });
	return 0;
}

static int open_group(struct reader *r, struct err *e)
{
	uint32_t node = add_node(r, NULL, 0);

	r->p++;
	if (node == NONE)
		return err_set(e, -EINVAL, "the grammar has more than %d rules and groups",
			       NODES_MAX);
	if (r->depth == DEPTH_MAX)
		return err_set(e, -EINVAL, "the grammar has groups more than %d deep", DEPTH_MAX);
	add_item(r, (struct item) { .kind = NODE, .node = node });
	r->group[r->depth] = r->last;
	r->open[r->depth++] = r->node;
	r->node = r->node == NONE ? NONE : node;
	r->last = NONE;
	return 0;
}

static void close_group(struct reader *r)
{
	r->p++;
	r->last = NONE;
	if (r->depth) {
		r->node = r->open[--r->depth];
		r->last = r->group[r->depth];
	}
}

static uint32_t read_times(struct reader *r)
{
	char *end;
	unsigned long n = strtoul(r->p, &end, 10);

	r->p = end;
	return n < TIMES_MAX ? (uint32_t)n : TIMES_MAX;
}

/* One of * + ? {m} {m,} {m,n} */
static int read_repetition(struct reader *r, struct err *e)
{
	uint32_t from = *r->p == '+', to = 1;
	struct item *it = r->last == NONE ? NULL : &r->items[r->last];

	if (*r->p++ == '{') {
		from = to = read_times(r);
		r->p += strspn(r->p, " \t\n");
		if (*r->p == ',') {
			r->p++;
			to = read_times(r);
		}
		r->p += strcspn(r->p, "}\n");
		r->p += *r->p == '}';
	}
	to = to > from ? to : from ? from : 1;
	if (!it)
		return 0;
	it->optional |= from == 0;
	it->times = it->times * to < TIMES_MAX ? it->times * to : TIMES_MAX;
	r->n_elements += (uint64_t)it->times * (it->size + 1);
	return r->n_elements <= ELEMENTS_MAX
		       ? 0
		       : err_set(e, -EINVAL, "the grammar's repetitions come to too much text");
}

static int read_one(struct reader *r, struct err *e)
{
	switch (*r->p) {
	case '#':
		r->p += strcspn(r->p, "\n");
		return 0;
	case '"':
		read_quoted(r, '"');
		return 0;
	case '[':
		read_quoted(r, ']');
		return 0;
	case '<':
		read_token(r);
		return 0;
	case '.':
		r->p++;
		add_item(r, (struct item) { .kind = TERMINAL, .size = 1 });
		return 0;
	case '|':
		r->p++;
		add_item(r, (struct item) { .kind = OR });
		return 0;
	case '(':
		return open_group(r, e);
	case ')':
		close_group(r);
		return 0;
	case '*':
	case '+':
	case '?':
	case '{':
		return read_repetition(r, e);
	default:
		if (is_word(*r->p))
			return read_name(r, e);
		r->p++;
		return 0;
	}
}

/*
 * In how many ways the engine comes from this rule to what may be its first characters: it goes them all,
 * also those that it has gone already. No deeper than there are nodes, as none is entered twice.
 */
static int count_ways(struct reader *r, uint32_t at, struct err *e)
{
	struct node *o = &r->nodes[at];
	uint64_t ways = 1;
	bool more = true; /* what comes next in this alternative may be first */

	if (o->counting)
		return err_set(e, -EINVAL, "a rule of the grammar begins with itself");
	if (o->ways)
		return 0;
	o->counting = true;
	for (uint32_t i = o->first; i != NONE; i = r->items[i].next) {
		const struct item *it = &r->items[i];
		bool empty = it->optional;

		if (it->kind == OR) {
			o->nullable |= more;
			more = true;
			continue;
		}
		if (!more)
			continue;
		if (it->kind == NODE) {
			int rc = count_ways(r, it->node, e);

			if (rc)
				return rc;
			empty |= r->nodes[it->node].nullable;
			ways += (uint64_t)r->nodes[it->node].ways *
				(r->nodes[it->node].nullable ? it->times : 1);
		}
		ways++;
		more = empty;
		if (ways > WAYS_MAX)
			return err_set(e, -EINVAL, "the grammar has too many ways to begin a rule");
	}
	o->nullable |= more;
	o->counting = false;
	o->ways = (uint32_t)ways;
	return 0;
}

int grammar_check(const char *text, struct err *e)
{
	size_t n = strlen(text);
	struct reader r = { .p = text, .node = NONE, .last = NONE };
	own_free struct node *nodes = NULL;
	own_free struct item *items = NULL;
	int rc = 0;

	if (n > BYTES_MAX)
		return err_set(e, -EINVAL, "the grammar has %zu bytes; at most %zu are read", n,
			       BYTES_MAX);
	/* No item is made of less than a byte */
	r.nodes = nodes = calloc(NODES_MAX, sizeof(*nodes));
	r.items = items = calloc(n + 1, sizeof(*items));
	if (!nodes || !items)
		return err_set(e, -ENOMEM, "out of memory");
	while (*r.p && rc == 0)
		rc = read_one(&r, e);
	for (uint32_t i = 0; i < r.n_nodes && rc == 0; i++)
		rc = count_ways(&r, i, e);
	return rc;
}
