/* SPDX-License-Identifier: MIT */
/* Transactions for people, and as berth.device/1 (docs/schema/device.json). */
#ifndef BERTH_DEVICE_SHOW_H
#define BERTH_DEVICE_SHOW_H

#include <stdio.h>

#include "base/json.h"
#include "device/run.h"
#include "device/step.h"

/* How it came out, for an answer. */
enum result {
	RESULT_PLANNED,  /* --dry-run */
	RESULT_RECORDED, /* a machine folder: it would have come true */
	RESULT_DONE,
	RESULT_ALREADY, /* there was nothing to do */
	RESULT_UNDONE,  /* a step failed, and all is as it was */
	RESULT_FAILED,  /* a step failed, and some of what was done stays */
	RESULT_HUNG,    /* a step still hangs */
};

/* What each step is: the file or call, the value before and new, and how it is taken back. */
void show_steps(FILE *to, const struct txn *t, const struct outcome *o);

/* What became of each step, a line each. */
void show_states(FILE *to, const struct txn *t, const struct outcome *o);

/* The members of a transaction, put into an answer: verb to steps. o may be NULL. */
void show_txn_json(json_t *answer, const struct txn *t, const struct outcome *o);

/* Print an answer: text or JSON; `why` of a result that is not good, else NULL. 0 or -EIO. */
int show_answer(FILE *to, bool json, enum result r, const struct txn *t, const struct outcome *o,
		const char *why);

/* Whether anything of it can be taken back. */
bool txn_can_be_undone(const struct txn *t, const struct outcome *o);

#endif
