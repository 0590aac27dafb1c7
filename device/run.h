/* SPDX-License-Identifier: MIT */
/*
 * The runner: carries a transaction out, step by step, through a hand, and keeps the journal before and after each.
 * What it finds otherwise than it was planned stops it; what was done by then is taken back in reverse order.
 */
#ifndef BERTH_DEVICE_RUN_H
#define BERTH_DEVICE_RUN_H

#include "base/log.h"
#include "device/hand.h"
#include "device/step.h"

struct journal;

/* How far a step came. Names in the journal: step_state_name(). */
enum step_state {
	STATE_NONE,    /* not begun */
	STATE_BEGUN,   /* the journal says that it will be done now: only after a crash */
	STATE_DONE,    /* and its `after` is true */
	STATE_ALREADY, /* it was so: nothing was written */
	STATE_FAILED,  /* it was refused, or did not come true */
	STATE_HUNG,    /* a process still does it */
	STATE_UNDOING, /* it is being taken back: only after a crash */
	STATE_UNDONE,  /* it was taken back */
	STATE_STUCK,   /* it should have been taken back, and was not */
	STATE_COUNT
};

/* How a transaction ended. Names: run_end_name(). */
enum run_end {
	RUN_OPEN,   /* it has not: broken by a crash, or hung */
	RUN_DONE,   /* all steps are done */
	RUN_UNDONE, /* a step failed, and all is as it was before */
	RUN_FAILED, /* a step failed, and some of what was done stays */
	RUN_END_COUNT
};

struct outcome {
	enum run_end end;
	enum step_state states[STEPS_MAX];
	char whys[STEPS_MAX][160]; /* of failed and stuck steps */
};

struct runner {
	struct hand *hand;
	struct journal *journal; /* NULL: nothing is kept, as for a machine folder */
	const struct log *log;
	bool going_back; /* taking back: no signal ends that */
};

/*
 * Hold SIGINT, SIGTERM and SIGHUP back from now on: who carries a transaction out is not ended in the middle of it.
 * One that came ends it between two steps, and what was done is taken back.
 */
void run_hold_signals(void);

/*
 * Carry it out. 0: done. Else a negative errno with one sentence in *e: what failed, and what became of the rest:
 * -ENXIO: something is not as it was when this was decided, or did not come true (exit 6). o tells of each step.
 */
int txn_run(struct runner *r, struct txn *t, struct outcome *o, struct err *e);

/* Go on with a transaction that was broken after step `at` - 1: do the rest (states as the journal has them). */
int txn_finish(struct runner *r, struct txn *t, uint32_t at, struct outcome *o, struct err *e);

/*
 * Take back what is done of a transaction, in reverse order; `cause` is why, for the journal. RUN_UNDONE or
 * RUN_FAILED, in o->end; *e of what could not be taken back.
 */
int txn_take_back(struct runner *r, struct txn *t, struct outcome *o, const char *cause,
		  struct err *e);

const char *step_state_name(enum step_state s);
const char *run_end_name(enum run_end end);

#endif
