/* SPDX-License-Identifier: MIT */
/* Parsing argv by a command's table. What the table looks like as text is cmd_doc.c. */
#include "base/cmd.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmd_priv.h"
#include "base/text.h"

const char *const berth_version = BERTH_VERSION;

int cmd_usage_error(const struct cmd *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "berth %s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see 'berth %s --help'\n", c->name);
	return EXIT_USAGE;
}

enum exit_code cmd_exit(enum cmd_go go)
{
	return go == CMD_USAGE ? EXIT_USAGE : EXIT_YES;
}

/* Levenshtein distance, for names far shorter than the bound. */
#define NAME_BOUND 32

static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_BOUND + 1], la = strlen(a), lb = strlen(b);

	if (la > NAME_BOUND || lb > NAME_BOUND)
		return NAME_BOUND;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *cmd_nearest(const char *name, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t least = 3; /* two slips of the finger; more is another word */

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(name, names[i]);

		if (d < least && d < strlen(names[i])) {
			least = d;
			best = names[i];
		}
	}
	return best;
}

static const char *nearest_option(const struct cmd *c, const char *name)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; i < c->n_opts && n < 62; i++)
		names[n++] = c->opts[i].name;
	names[n++] = "help";
	names[n++] = "version";
	return cmd_nearest(name, names, n);
}

static int unknown_option(const struct cmd *c, const char *name)
{
	const char *near = nearest_option(c, name);

	if (near)
		return cmd_usage_error(c, "there is no option --%s; did you mean --%s?", name,
				       near);
	return cmd_usage_error(c, "there is no option --%s", name);
}

/* --- setting one: what is wrong goes to *e, for whoever knows where the words came from --- */

static int in_range(const struct opt *o, uint64_t v, struct err *e)
{
	uint64_t max = o->max ? o->max : o->kind == OPT_U32 ? UINT32_MAX : UINT64_MAX;

	if (v >= o->min && v <= max)
		return 0;
	return err_set(e, -EINVAL, "--%s takes %" PRIu64 " to %" PRIu64 ", not %" PRIu64, o->name,
		       o->min, max, v);
}

static int set_choice(const struct opt *o, const char *arg, int *to, struct err *e)
{
	char all[256];
	struct text t;

	text_init(&t, all, sizeof(all));
	for (int i = 0; o->choices[i]; i++) {
		if (strcmp(o->choices[i], arg) == 0) {
			*to = i;
			return 0;
		}
		text_add(&t, "%s%s", i ? ", " : "", o->choices[i]);
	}
	return err_set(e, -EINVAL, "--%s takes one of %s, not '%s'", o->name, all, arg);
}

static int set_number(const struct opt *o, const char *arg, void *to, struct err *e)
{
	uint64_t v = 0;
	int rc = o->kind == OPT_SIZE ? text_parse_size(arg, &v) : text_parse_u64(arg, &v);

	if (rc == -EINVAL)
		return err_set(e, -EINVAL,
			       o->kind == OPT_SIZE ? "--%s takes a size such as 512MiB, not '%s'"
						   : "--%s takes a whole number, not '%s'",
			       o->name, arg);
	if (rc)
		return err_set(e, -EINVAL, "--%s: %s is too large", o->name, arg);
	rc = in_range(o, v, e);
	if (rc)
		return rc;
	if (o->kind == OPT_U32)
		*(uint32_t *)to = (uint32_t)v;
	else
		*(uint64_t *)to = v;
	return 0;
}

static int add_to_list(const struct opt *o, const char *arg, struct opt_list *l, struct err *e)
{
	if (l->n == OPT_LIST_MAX)
		return err_set(e, -EINVAL, "--%s is given more than %d times", o->name,
			       OPT_LIST_MAX);
	l->v[l->n++] = arg;
	return 0;
}

static int set_option(const struct opt *o, const char *arg, void *into, struct err *e)
{
	void *to = (char *)into + o->offset;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)to = true;
		return 0;
	case OPT_COUNT:
		++*(int *)to;
		return 0;
	case OPT_TEXT:
		*(const char **)to = arg;
		return 0;
	case OPT_ENUM:
		return set_choice(o, arg, to, e);
	case OPT_LIST:
		return add_to_list(o, arg, to, e);
	case OPT_U32:
	case OPT_U64:
	case OPT_SIZE:
		return set_number(o, arg, to, e);
	}
	return 0;
}

static bool takes_argument(const struct opt *o)
{
	return o->kind != OPT_FLAG && o->kind != OPT_COUNT;
}

static enum cmd_go help(const struct cmd *c, const char *how)
{
	if (how && cmd_doc(c, how, stdout) != 0) {
		cmd_usage_error(c, "--help takes man, bash, zsh or fish, not '%s'", how);
		return CMD_USAGE;
	}
	if (!how)
		cmd_help(c, stdout);
	return CMD_DONE;
}

/* The state of one walk over argv. */
struct walk {
	const struct cmd *c;
	char **argv;
	int argc, i;
	void *into;
};

static const char *next_argument(struct walk *w)
{
	return w->i + 1 < w->argc ? w->argv[++w->i] : NULL;
}

static int apply(struct walk *w, const struct opt *o, const char *arg, const char *spelt)
{
	struct err e = { 0 };

	if (!takes_argument(o) && arg)
		return cmd_usage_error(w->c, "%s takes no argument", spelt);
	if (!arg && takes_argument(o))
		arg = next_argument(w);
	if (!arg && takes_argument(o))
		return cmd_usage_error(w->c, "%s needs an argument: %s", spelt, o->arg);
	return set_option(o, arg, w->into, &e) ? cmd_usage_error(w->c, "%s", e.text) : 0;
}

static const struct opt *by_name(const struct cmd *c, const char *name)
{
	for (size_t i = 0; i < c->n_opts; i++)
		if (strcmp(c->opts[i].name, name) == 0)
			return &c->opts[i];
	return NULL;
}

/* In a file an option has a value, and one that takes none on a command line is on or off. */
static int assign_switch(const struct opt *o, const char *value, void *into, struct err *e)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], value) == 0)
			return i % 2 ? set_option(o, NULL, into, e) : 0;
	return err_set(e, -EINVAL, "'%s' is yes or no, not '%s'", o->name, value);
}

int cmd_assign(const struct cmd *c, const char *name, const char *value, void *into, struct err *e)
{
	const struct opt *o = by_name(c, name);
	const char *near = o ? NULL : nearest_option(c, name);

	if (!o)
		return err_set(e, -ENOENT, "there is no option '%s'%s%s%s", name,
			       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	if (!takes_argument(o))
		return assign_switch(o, value, into, e);
	return set_option(o, value, into, e);
}

/* "-ub", "--ubatch-size=512": a whole word stands before letters that it could be read as. */
static const struct alias *alias_of(const struct cmd *c, const char *word)
{
	size_t n = strcspn(word, "=");

	for (const struct alias *a = c->aliases; a && a->spelt; a++) {
		if (strlen(a->spelt) == n && strncmp(a->spelt, word, n) == 0)
			return a;
	}
	return NULL;
}

static enum cmd_go long_option(struct walk *w, const char *body)
{
	char name[NAME_BOUND + 1], spelt[NAME_BOUND + 3];
	const char *eq = strchr(body, '=');
	size_t n = eq ? (size_t)(eq - body) : strlen(body);

	snprintf(name, sizeof(name), "%.*s", (int)n, body);
	text_clean(name);
	if (strcmp(name, "help") == 0)
		return help(w->c, eq ? eq + 1 : NULL);
	if (strcmp(name, "version") == 0) {
		printf("berth %s %s\n", w->c->name, berth_version);
		return CMD_DONE;
	}
	const struct opt *o = by_name(w->c, name);

	if (!o) {
		unknown_option(w->c, name);
		return CMD_USAGE;
	}
	snprintf(spelt, sizeof(spelt), "--%s", name);
	return apply(w, o, eq ? eq + 1 : NULL, spelt) ? CMD_USAGE : CMD_RUN;
}

static enum cmd_go aliased(struct walk *w, const struct alias *a, const char *word)
{
	const char *eq = strchr(word, '=');

	return apply(w, by_name(w->c, a->name), eq ? eq + 1 : NULL, a->spelt) ? CMD_USAGE : CMD_RUN;
}

static const struct opt *by_letter(const struct cmd *c, char letter)
{
	for (size_t i = 0; i < c->n_opts; i++)
		if (c->opts[i].letter == letter)
			return &c->opts[i];
	return NULL;
}

/* "-v", "-vv", "-c4096", "-c 4096": flags may be joined, the last may take the rest. */
static enum cmd_go short_options(struct walk *w, const char *letters)
{
	char spelt[3] = "-?";

	for (const char *p = letters; *p; p++) {
		const struct opt *o = by_letter(w->c, *p);

		spelt[1] = *p;
		text_clean(spelt);
		if (*p == 'h' && !o)
			return help(w->c, NULL);
		if (!o) {
			cmd_usage_error(w->c, "there is no option %s", spelt);
			return CMD_USAGE;
		}
		bool eats = takes_argument(o);

		if (apply(w, o, eats && p[1] ? p + 1 : NULL, spelt))
			return CMD_USAGE;
		if (eats)
			break;
	}
	return CMD_RUN;
}

enum cmd_go cmd_parse(const struct cmd *c, int argc, char **argv, void *into, int *first)
{
	struct walk w = { .c = c, .argv = argv, .argc = argc, .i = 1, .into = into };
	int n_operands = 0, end = argc;
	char **operands = calloc((size_t)argc + 1, sizeof(*operands));
	enum cmd_go go = CMD_RUN;

	if (!operands)
		abort();
	for (; w.i < argc && go == CMD_RUN; w.i++) {
		const char *a = argv[w.i];
		const struct alias *alias = alias_of(c, a);

		if (strcmp(a, "--") == 0) {
			while (++w.i < argc)
				operands[n_operands++] = argv[w.i];
			break;
		}
		if (alias)
			go = aliased(&w, alias, a);
		else if (a[0] == '-' && a[1] == '-')
			go = long_option(&w, a + 2);
		else if (a[0] == '-' && a[1])
			go = short_options(&w, a + 1);
		else
			operands[n_operands++] = argv[w.i];
	}
	/* Operands move to the end of argv; their order is kept. */
	if (go == CMD_RUN)
		for (int i = 0; i < n_operands; i++)
			argv[end - n_operands + i] = operands[i];
	*first = end - n_operands;
	free(operands);
	return go;
}
