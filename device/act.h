/* SPDX-License-Identifier: MIT */
/* From what was asked to what became of it: the engine behind every verb that changes the machine. */
#ifndef BERTH_DEVICE_ACT_H
#define BERTH_DEVICE_ACT_H

#include "device/journal.h"
#include "device/recover.h"
#include "device/verb.h"

/* One call of a verb. */
struct act {
	const struct verb *v;
	const struct machine *m;
	struct ask *a;
	const struct log *log;
	struct journal *j; /* closed by the caller */
	bool helped;       /* an ordinary user's: a helper does it */
	struct hangs hangs;
};

/*
 * Begin: t gets its verb and words; where something will be changed, here and now, the journal is opened and locked,
 * and what a crash broke is brought to its end. 0, or a negative errno with *e.
 */
int act_begin(struct act *act, struct txn *t, struct err *e);

/* Carry out, or show, what was decided. An exit code; what is wrong was said on stderr. */
int act_out(struct act *act, struct txn *t);

/* Both, for a verb with a plan. */
int act_on(const struct verb *v, const struct machine *m, struct ask *a, const struct log *log);

#endif
