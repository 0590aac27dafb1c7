/* SPDX-License-Identifier: MIT */
/*
 * The power limits that a launch has set and owes their undoing: a file in the runtime folder, to which lines
 * are only added, each before and after the deed. The launch holds it locked while it lives; one that nobody
 * holds is of a launch that was killed, and whoever finds it pays its debts, once.
 */
#ifndef BERTH_LAUNCH_LEDGER_H
#define BERTH_LAUNCH_LEDGER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"
#include "launch/powerwish.h"

#define LEDGER_FOR_MAX 64
#define LEDGER_TXN_MAX 40
#define LEDGERS_MAX    64

struct ledger_cap {
	char pci[24];
	char cap[POWER_CAP_MAX];
	char whom[LEDGER_FOR_MAX]; /* by which `berth device undo --for` finds it */
	char txn[LEDGER_TXN_MAX];  /* ""; nobody heard yet how it went */
	bool owed;                 /* set, or perhaps set, and not taken back */
	bool doubtful;             /* its device failed since; not in the file */
};

struct ledger {
	int fd; /* locked; -1: there is none */
	char path[PATH_MAX];
	char run[64];
	uint32_t n;
	struct ledger_cap caps[PLAN_DEVICES_MAX];
};

#define LEDGER_NONE                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Begin one for this process. 0 or -EACCES with *e. */
int ledger_begin(struct ledger *l, const char *run, struct err *e);

/* Before a limit is set: now it is owed, under the text `whom` of the entry. NULL with *e: it is not written. */
struct ledger_cap *ledger_owe(struct ledger *l, const char *pci, const char *cap, struct err *e);

/* It was set by this transaction; it was taken back, or is gone with its device. */
void ledger_set(struct ledger *l, struct ledger_cap *c, const char *txn);
void ledger_paid(struct ledger *l, struct ledger_cap *c);

/* The open entry of a GPU; NULL: none. */
struct ledger_cap *ledger_find(struct ledger *l, const char *pci);

/* Let go of it; the file goes when nothing is owed. */
void ledger_end(struct ledger *l);

/*
 * Those that nobody holds, locked by us now: the count, at most LEDGERS_MAX. Each is to be ended. Only files
 * that are our own user's count.
 */
int ledgers_orphaned(struct ledger *list);

/* The run that limits a GPU right now, other than `but`. true: *run is its name. */
bool ledgers_limit(const char *pci, const struct ledger *but, char run[64]);

/* What the lines of a file say; what is torn or strange is left out. Pure. */
void ledger_parse(struct ledger *l, const char *text, size_t n);

#endif
