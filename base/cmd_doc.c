/* SPDX-License-Identifier: MIT */
/* A command's table as usage text, man page and shell completions. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cmd.h"
#include "base/cmd_priv.h"
#include "base/text.h"

/* Options that every command has; cmd.c handles them by name. */
static const struct opt common[] = {
	{ .name = "help", .letter = 'h', .help = "Show this text and exit." },
	{ .name = "version", .help = "Show the version and exit." },
};

#define N_COMMON (sizeof(common) / sizeof(common[0]))

static const char common_exits[] =
	"0  the answer is yes, or the action is done\n"
	"1  the answer is no, or a named thing is absent\n"
	"2  usage error\n"
	"3  cannot tell: facts are missing\n"
	"4  bad input\n"
	"5  the environment refuses: permission, driver, missing program\n"
	"6  a device was lost or changed\n"
	"7  something landed elsewhere than planned\n"
	"8  the engine failed\n";

static const struct opt *opt_at(const struct cmd *c, size_t i)
{
	if (i < c->n_opts)
		return &c->opts[i];
	return i < c->n_opts + N_COMMON ? &common[i - c->n_opts] : NULL;
}

/* The next alias of the option after `a` (NULL: the first), or NULL. */
static const struct alias *next_alias(const struct cmd *c, const struct opt *o,
				      const struct alias *a)
{
	for (a = a ? a + 1 : c->aliases; a && a->spelt; a++) {
		if (strcmp(a->name, o->name) == 0)
			return a;
	}
	return NULL;
}

/* "-c, --ctx TOKENS", "-ub, --ubatch N" */
static void opt_words(struct text *t, const struct cmd *c, const struct opt *o)
{
	if (o->letter)
		text_add(t, "-%c, ", o->letter);
	for (const struct alias *a = NULL; (a = next_alias(c, o, a));)
		text_add(t, "%s, ", a->spelt);
	text_add(t, "--%s", o->name);
	if (o->arg)
		text_add(t, " %s", o->arg);
}

/* Words wrapped at `width`, later lines indented. The cursor stands at `at`. */
static void wrap(FILE *to, const char *s, int at, int indent, int width)
{
	bool first = true;

	while (*s) {
		int word = (int)strcspn(s, " \n");

		if (!first && at + 1 + word > width) {
			fprintf(to, "\n%*s", indent, "");
			at = indent;
			first = true;
		}
		fprintf(to, "%s%.*s", first ? "" : " ", word, s);
		at += word + !first;
		first = false;
		s += word;
		if (s[0] == '\n' && s[1] == '\n') {
			fprintf(to, "\n\n%*s", indent, "");
			at = indent;
			first = true;
			s++;
		}
		s += *s != '\0';
	}
	fputc('\n', to);
}

static void lines(FILE *to, const char *s, const char *before)
{
	while (*s) {
		size_t n = strcspn(s, "\n");

		fprintf(to, "%s%.*s\n", before, (int)n, s);
		s += n + (s[n] == '\n');
	}
}

static bool verb_at(const struct cmd *c, size_t i, struct cmd_verb *v)
{
	return c->verb_at && c->verb_at(i, v);
}

static void help_verbs(const struct cmd *c, FILE *to)
{
	struct cmd_verb v;
	char words[96];

	for (size_t i = 0; verb_at(c, i, &v); i++) {
		int n = snprintf(words, sizeof(words), "%s %s", v.name, v.operands);

		fprintf(to, "%s  %-28s", i ? "" : "\nverbs:\n", words);
		if (n > 27)
			fprintf(to, "\n%30s", "");
		wrap(to, v.summary, 30, 30, 96);
	}
}

void cmd_help(const struct cmd *c, FILE *to)
{
	const struct opt *o;
	char words[96];
	struct text t;

	fprintf(to, "usage: berth %s [OPTION...]%s%s\n\n", c->name, c->operands[0] ? " " : "",
		c->operands);
	wrap(to, c->description, 0, 0, 96);
	help_verbs(c, to);
	fprintf(to, "\noptions (of one that is given again the last counts; a list grows):\n");
	for (size_t i = 0; (o = opt_at(c, i)); i++) {
		text_init(&t, words, sizeof(words));
		opt_words(&t, c, o);
		fprintf(to, "  %-28s", words);
		if (t.len > 27)
			fprintf(to, "\n%30s", "");
		wrap(to, o->help, 30, 30, 96);
	}
	fprintf(to, "\nexit status:\n");
	lines(to, c->exits ? c->exits : common_exits, "  ");
	for (const struct example *x = c->examples; x && x->line; x++)
		fprintf(to, "%s  %s\n      %s\n", x == c->examples ? "\nexamples:\n" : "", x->line,
			x->says);
}

/* --- man page --- */

/* Text for roff: a backslash, a leading dot or quote and a hyphen all mean something there. */
static void roff(FILE *to, const char *s)
{
	bool start = true;

	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", to);
		start = *s == '\n';
		if (*s == '\\')
			fputs("\\e", to);
		else if (*s == '-')
			fputs("\\-", to);
		else if (s[0] == '\n' && s[1] == '\n')
			fputs("\n.PP", to);
		else
			fputc(*s, to);
	}
}

static void man_option(FILE *to, const struct cmd *c, const struct opt *o)
{
	fputs(".TP\n.BR ", to);
	if (o->letter)
		fprintf(to, "\\-%c \", \" ", o->letter);
	for (const struct alias *a = NULL; (a = next_alias(c, o, a));) {
		roff(to, a->spelt);
		fputs(" \", \" ", to);
	}
	fputs("\\-\\-", to);
	roff(to, o->name);
	if (o->arg)
		fprintf(to, " \" \" \\fI%s\\fR", o->arg);
	fputc('\n', to);
	roff(to, o->help);
	fputc('\n', to);
}

static void man_verbs(FILE *to, const struct cmd *c)
{
	struct cmd_verb v;

	for (size_t i = 0; verb_at(c, i, &v); i++) {
		fprintf(to, "%s.TP\n.BR %s \" \\fI%s\\fR\"\n", i ? "" : "\n.SH VERBS\n", v.name,
			v.operands);
		roff(to, v.summary);
		fputc('\n', to);
	}
}

static void man(const struct cmd *c, FILE *to)
{
	const struct opt *o;
	char upper[32];
	size_t n = 0;

	for (; c->name[n] && n < sizeof(upper) - 1; n++)
		upper[n] = (char)toupper((unsigned char)c->name[n]);
	upper[n] = '\0';
	fprintf(to, ".TH BERTH\\-%s 1 \"\" \"berth %s\" \"berth manual\"\n", upper, berth_version);
	fputs(".nh\n.ad l\n",
	      to); /* commands are typed as they stand: no hyphens, no wider spaces */
	fprintf(to, ".SH NAME\nberth\\-%s \\- ", c->name);
	roff(to, c->summary);
	fprintf(to, "\n.SH SYNOPSIS\n.B berth %s\n[\\fIOPTION\\fR...] ", c->name);
	roff(to, c->operands);
	fputs("\n.SH DESCRIPTION\n", to);
	roff(to, c->description);
	man_verbs(to, c);
	fputs("\n.SH OPTIONS\nOf an option that is given again the last counts; a list grows.\n",
	      to);
	for (size_t i = 0; (o = opt_at(c, i)); i++)
		man_option(to, c, o);
	fputs(".SH EXIT STATUS\n.nf\n", to);
	roff(to, c->exits ? c->exits : common_exits);
	fputs("\n.fi\n", to);
	for (const struct example *x = c->examples; x && x->line; x++) {
		fputs(x == c->examples ? ".SH EXAMPLES\n.TP\n.B " : ".TP\n.B ", to);
		roff(to, x->line);
		fputc('\n', to);
		roff(to, x->says);
		fputc('\n', to);
	}
	if (c->see_also)
		fprintf(to, ".SH SEE ALSO\n%s\n", c->see_also);
}

/* --- completions --- */

/* The first word after the command is a verb. */
static void bash_verbs(const struct cmd *c, FILE *to)
{
	struct cmd_verb v;
	size_t i;

	for (i = 0; verb_at(c, i, &v); i++)
		fprintf(to, "%s%s", i ? " " : "[ \"$COMP_CWORD\" -eq 2 ] && compgen -W \"", v.name);
	if (i)
		fputs("\" -- \"${COMP_WORDS[COMP_CWORD]}\" || ", to);
}

static void bash(const struct cmd *c, FILE *to)
{
	const struct opt *o;

	fprintf(to, "_berth_%s() {\n\tcase \"${COMP_WORDS[COMP_CWORD-1]}\" in\n", c->name);
	for (size_t i = 0; i < c->n_opts; i++) {
		if (c->opts[i].kind != OPT_ENUM)
			continue;
		fprintf(to, "\t--%s) COMPREPLY=($(compgen -W \"", c->opts[i].name);
		for (int k = 0; c->opts[i].choices[k]; k++)
			fprintf(to, "%s%s", k ? " " : "", c->opts[i].choices[k]);
		fputs("\" -- \"${COMP_WORDS[COMP_CWORD]}\")); return ;;\n", to);
	}
	fputs("\tesac\n\tcase \"${COMP_WORDS[COMP_CWORD]}\" in\n\t-*) COMPREPLY=($(compgen -W \"",
	      to);
	for (size_t i = 0; (o = opt_at(c, i)); i++)
		fprintf(to, "%s--%s", i ? " " : "", o->name);
	for (const struct alias *a = c->aliases; a && a->spelt; a++)
		fprintf(to, " %s", a->spelt);
	fputs("\" -- \"${COMP_WORDS[COMP_CWORD]}\")) ;;\n\t*) COMPREPLY=($(", to);
	bash_verbs(c, to);
	fputs("compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\")) ;;\n\tesac\n}\n", to);
}

/* A help sentence inside single quotes of zsh or fish, brackets and colons being zsh's own. */
static void quoted(FILE *to, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", to);
		else if (*s == '[' || *s == ']' || *s == ':')
			fputc(' ', to);
		else
			fputc(*s, to);
	}
}

static void zsh(const struct cmd *c, FILE *to)
{
	const struct opt *o;

	fprintf(to, "_berth_%s() {\n\t_arguments", c->name);
	for (size_t i = 0; (o = opt_at(c, i)); i++) {
		fprintf(to, " \\\n\t\t'--%s%s[", o->name, o->arg ? "=" : "");
		quoted(to, o->help);
		fputc(']', to);
		if (o->arg) {
			fprintf(to, ":%s:", o->arg);
			for (int k = 0; o->kind == OPT_ENUM && o->choices[k]; k++)
				fprintf(to, "%s%s", k ? " " : "(", o->choices[k]);
			if (o->kind == OPT_ENUM)
				fputc(')', to);
		}
		fputc('\'', to);
	}
	struct cmd_verb v;
	size_t n = 0;

	for (; verb_at(c, n, &v); n++)
		fprintf(to, "%s%s", n ? " " : " \\\n\t\t'1:verb:(", v.name);
	fputs(n ? ")'" : "", to);
	fputs(" \\\n\t\t'*:file:_files'\n}\n", to);
}

static void fish(const struct cmd *c, FILE *to)
{
	struct cmd_verb v;
	const struct opt *o;

	for (size_t i = 0; verb_at(c, i, &v); i++) {
		fprintf(to, "complete -c berth -n '__fish_seen_subcommand_from %s' -a %s -d '",
			c->name, v.name);
		quoted(to, v.summary);
		fputs("'\n", to);
	}
	for (size_t i = 0; (o = opt_at(c, i)); i++) {
		fprintf(to, "complete -c berth -n '__fish_seen_subcommand_from %s' -l %s", c->name,
			o->name);
		if (o->letter)
			fprintf(to, " -s %c", o->letter);
		for (const struct alias *a = NULL; (a = next_alias(c, o, a));)
			fprintf(to, a->spelt[1] == '-' ? " -l %s" : " -o %s",
				a->spelt + (a->spelt[1] == '-' ? 2 : 1));
		if (o->arg)
			fputs(" -r", to);
		for (int k = 0; o->kind == OPT_ENUM && o->choices[k]; k++)
			fprintf(to, "%s%s", k ? " " : " -a '", o->choices[k]);
		fputs(o->kind == OPT_ENUM ? "' -d '" : " -d '", to);
		quoted(to, o->help);
		fputs("'\n", to);
	}
}

int cmd_doc(const struct cmd *c, const char *how, FILE *to)
{
	static const struct {
		const char *how;
		void (*print)(const struct cmd *c, FILE *to);
	} docs[] = { { "man", man }, { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

	for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
		if (strcmp(docs[i].how, how) == 0) {
			docs[i].print(c, to);
			return 0;
		}
	}
	return -EINVAL;
}
