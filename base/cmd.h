/* SPDX-License-Identifier: MIT */
/*
 * A command is a table: its options, and the words of its usage, man page and completions, all from
 * the same rows. Every program of berth understands --help, --help=man, --help=bash|zsh|fish (how the
 * build makes the pages), --version, -q, -v and --json where its table has it.
 */
#ifndef BERTH_CMD_H
#define BERTH_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum opt_kind {
	OPT_FLAG, /* bool: set true */
	OPT_TEXT, /* const char *: the argument (points into argv) */
	OPT_U32,  /* uint32_t: a whole number */
	OPT_U64,
	OPT_SIZE,  /* uint64_t: bytes, as text_parse_size reads them */
	OPT_COUNT, /* int: how often it was given */
	OPT_ENUM,  /* int: index of the argument in `choices` */
	OPT_LIST,  /* struct opt_list: may be given again and again */
};

#define OPT_LIST_MAX 32

/* The arguments of a repeatable option, in their order (each points into argv). */
struct opt_list {
	uint32_t n;
	const char *v[OPT_LIST_MAX];
};

struct opt {
	const char *name; /* long name without dashes */
	char letter;      /* 0: none */
	enum opt_kind kind;
	const char *arg;            /* how usage calls the argument; NULL for flags */
	size_t offset;              /* of the member in the options struct */
	const char *help;           /* one sentence for usage and man page */
	const char *const *choices; /* OPT_ENUM: NULL-terminated */
	uint64_t min, max;          /* numbers: the allowed range when max != 0 */
};

/* Another spelling of an option, dashes and all, such as an engine's own: { "-ub", "ubatch" }. */
struct alias {
	const char *spelt;
	const char *name;
};

struct example {
	const char *line;
	const char *says;
};

#define CMD_WORDS_MAX 8 /* after a verb */

/* A verb of a command, as its first word. */
struct cmd_verb {
	const char *name;
	const char *alias;    /* another spelling; may be NULL */
	const char *operands; /* "DEV DRIVER" */
	const char *summary;  /* one line, no full stop */
	uint32_t min_words, max_words;
	/* The names of the options that it heeds, in up to three lists, each of which ends with NULL and may be NULL. */
	const char *const *heeds[3];
};

struct cmd {
	const char *name;        /* "plan" */
	const char *summary;     /* one line, no full stop */
	const char *operands;    /* "MODEL.gguf", "" */
	/* A command of several verbs: the i-th one; false past the last. NULL: it has none. */
	bool (*verb_at)(size_t i, struct cmd_verb *v);
	const char *description; /* paragraphs separated by an empty line */
	const struct opt *opts;
	size_t n_opts;
	const struct alias *aliases;    /* ends with a NULL spelling; may be NULL */
	const char *exits;              /* lines "0  it fits"; NULL: the common text */
	const struct example *examples; /* ends with a NULL line */
	const char *see_also;           /* "berth-plan(1), berth-launch(1)"; may be NULL */
};

/* Result of cmd_parse. */
enum cmd_go {
	CMD_RUN,   /* go on; operands are in argv[*first .. argc-1] */
	CMD_DONE,  /* --help or --version was printed: exit 0 */
	CMD_USAGE, /* one sentence was printed on stderr: exit EXIT_USAGE */
};

/*
 * Parse argv into `into` (the options struct, already holding the defaults). Options and operands may
 * mix; "--" ends options. An unknown option names the nearest one.
 */
enum cmd_go cmd_parse(const struct cmd *c, int argc, char **argv, void *into, int *first);

/*
 * Set one option by its long name, as a file of options does; flags take yes or no. A text is kept by
 * pointer. 0, -ENOENT (no such option) or -EINVAL, with *e.
 */
int cmd_assign(const struct cmd *c, const char *name, const char *value, void *into, struct err *e);

/* Whether an option of the table was given: it differs from what `defaults` has. */
bool cmd_given(const struct opt *o, const void *options, const void *defaults);

/*
 * The options that were given as words for another command line, quoted for a shell, with a blank before each;
 * those named in `but` (ends with NULL) are left out.
 */
struct text;
void cmd_words(struct text *t, const struct cmd *c, const void *options, const void *defaults,
	       const char *const *but);

/* The exit code when there is nothing to run. */
enum exit_code cmd_exit(enum cmd_go go);

/*
 * Which verb the operands begin with: *i is its place. It has as many words as it takes, and no option was given that it
 * does not heed. 0, or EXIT_USAGE after one sentence.
 */
int cmd_verb_find(const struct cmd *c, int n, char **words, const void *options,
		  const void *defaults, size_t *i);

/* A usage error found after parsing ("give one MODEL"). Prints, returns EXIT_USAGE. */
int cmd_usage_error(const struct cmd *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The version of berth, e.g. "0.1.0". */
extern const char *const berth_version;

#endif
