/* SPDX-License-Identifier: MIT */
/*
 * `berth device`, run as a program: it alone changes the machine, and what it knows of a machine it tells as JSON. What
 * it has to say to a person it says itself, on our standard error.
 */
#ifndef BERTH_ASK_H
#define BERTH_ASK_H

#include "base/err.h"
#include "base/json.h"

#define ASK_WORDS_MAX 16

/* Words for it; those that are NULL are left out, so that options can be written as `cond ? "--x" : NULL`. */
struct ask_words {
	const char *v[ASK_WORDS_MAX];
};

/*
 * Run it, and read its answer. 0: *answer is the caller's; above: its exit code, and it has said why; below: an errno
 * with *e.
 */
int ask_device(const struct ask_words *w, json_t **answer, struct err *e);

/* Run it with our own standard output. Its exit code, or a negative errno with *e. */
int run_device(const struct ask_words *w, struct err *e);

#endif
