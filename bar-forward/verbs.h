/* SPDX-License-Identifier: MIT */
/* Verbs: `berth bridge VERB ...`, a row each in bridge_verbs[] (verbs.c). */
#ifndef BERTH_BRIDGE_VERBS_H
#define BERTH_BRIDGE_VERBS_H

#include <stdint.h>

#include "bar-forward/options.h"
#include "base/err.h"
#include "base/log.h"
#include "base/machine.h"

/* Options or words of no sense together: exit 2 with err's sentence. */
#define VERB_USAGE (-EBADRQC)

/* What was asked: the words after the verb (words[0] is the device, where a verb takes one) and the options. */
struct ask {
	const char *words[CMD_WORDS_MAX]; /* NULL past the last */
	uint32_t n_words;
	const struct options *o;
	const struct machine *m;
	const struct log *log;
};

struct verb {
	const char *name;
	const char *operands; /* "DEV" */
	const char *summary;  /* one line for --help and the man page, no full stop */
	uint32_t min_words, max_words;
	/* Names of the options it heeds besides those that all do (options.c); ends with NULL. May be NULL. */
	const char *const *heeds;
	/* An exit code (above 0: it was said why), or a negative errno with *e. */
	int (*run)(const struct ask *a, struct err *e);
};
extern const struct verb bridge_verbs[]; /* ends with a NULL name */

#endif
