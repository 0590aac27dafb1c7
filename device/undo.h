/* SPDX-License-Identifier: MIT */
/* Taking a transaction back: another transaction, of the inverse steps in reverse order. Pure. */
#ifndef BERTH_DEVICE_UNDO_H
#define BERTH_DEVICE_UNDO_H

#include "device/journal.h"
#include "device/verb.h"

/* Whether anything of it is there to be taken back. other_boot: it was done before this start of the machine. */
bool undo_is_possible(const struct entry *en, bool other_boot);

/*
 * Fill t. force: also what was changed since goes back to what it was. -EPERM with *e: nothing of it can be taken
 * back, or it was already, or it is not at its end; steps that cannot are warnings of t.
 */
int undo_make(const struct entry *en, bool other_boot, bool force, struct txn *t, struct err *e);

/* Whether an undo takes a device from its driver, or away: then undo_guard() must be asked. */
bool undo_takes(const struct txn *t);

/* -EBUSY with *e: somebody uses what t would take; force: warnings of t say what breaks. */
int undo_guard(const struct scene *s, bool force, struct txn *t, struct err *e);

/* The verbs: rows of verbs[]. */
int undo_run(const struct verb *v, const struct machine *m, struct ask *a, const struct log *log);
int journal_answer(const struct machine *m, const struct scene *s, const struct ask *a,
		   const struct log *log, struct err *e);

#endif
