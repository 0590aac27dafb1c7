/* SPDX-License-Identifier: MIT */
/*
 * Verbs: `berth device VERB ...`, a row each in verbs[] (verbs.c). A verb that changes the machine has `plan`, in a file
 * of its own: pure, from what the machine shows and what was asked to a transaction, or to a refusal. The engine
 * (run.h) prints or does it, keeps the journal, and rolls back. A verb that only answers has `answer` instead.
 */
#ifndef BERTH_DEVICE_VERB_H
#define BERTH_DEVICE_VERB_H

#include "base/log.h"
#include "device/options.h"
#include "device/step.h"

/* Options of no sense in these words, or together: exit 2 with err's sentence. */
#define VERB_USAGE (-EBADRQC)

/* What was asked: the words after the verb (words[0] is the device, where a verb takes one) and the options. */
struct ask {
	const char *words[CMD_WORDS_MAX]; /* NULL past the last */
	uint32_t n_words;
	struct options o;
};

struct scene; /* device/scene.h: what the machine shows */

struct verb {
	const char *name;
	const char *alias;    /* another spelling; may be NULL */
	const char *operands; /* "DEV DRIVER" */
	const char *summary;  /* one line for --help and the man page, no full stop */
	uint32_t min_words, max_words;
	/* Names of the options it heeds besides those that all do (options.c); ends with NULL. May be NULL. */
	const char *const *heeds;
	/*
	 * Decide: fill t (verb and words are set), or refuse: a negative errno with *e, whose exit code base/err.h
	 * says: -ENODEV (the device is absent: 1), VERB_USAGE (2), -EINVAL (a bad value: 4), -EBUSY, -EPERM, -EACCES
	 * (refused: 5), -ENXIO (vanished or came back different: 6). A transaction without steps: it is so already.
	 */
	int (*plan)(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);
	/*
	 * Answer: print to stdout, as text or (a->o.json) as one berth.device/1 object. An exit code, or a negative
	 * errno with *e. `s` is NULL unless `needs_scene`.
	 */
	int (*answer)(const struct machine *m, const struct scene *s, const struct ask *a,
		      const struct log *log, struct err *e);
	bool needs_scene; /* of `answer`; `plan` always gets one */
	/* Of a row with both: whether this call wants the answer. NULL: a row has one of them. */
	bool (*asks)(const struct ask *a);
	/*
	 * Once all steps are done on a live machine: look again, and say in t->done what came of it. It changes
	 * nothing, and cannot fail. NULL: t->done stands as planned.
	 */
	void (*after)(const struct machine *m, const struct ask *a, struct txn *t);
	/* In place of both: all by itself, to an exit code; it heeds what a plan does. */
	int (*run)(const struct verb *v, const struct machine *m, struct ask *a,
		   const struct log *log);
};

extern const struct verb verbs[]; /* ends with a NULL name */

#endif
