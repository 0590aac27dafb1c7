/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a transaction that a crash, or a driver that hangs, broke in the middle. The rule:
 *
 *   1. A process that still does one of its steps: it is left alone, and its device with it.
 *   2. All steps came true: it is done, and the journal says so.
 *   3. It was being taken back: it is taken back to the end.
 *   4. It is to be kept (an undo), and began in an earlier boot or failed: what came true stays, and that is its end.
 *   5. It began in an earlier boot: the kernel forgot what was written to it, and files of ours are put back.
 *   6. One of its steps came true, or may have, that cannot be taken back, or it is to be kept: it is finished.
 *   7. Else it is taken back.
 */
#ifndef BERTH_DEVICE_RECOVER_H
#define BERTH_DEVICE_RECOVER_H

#include "device/journal.h"
#include "device/run.h"

enum fate { FATE_LEAVE, FATE_DONE, FATE_KEEP, FATE_FINISH, FATE_UNDO };

enum truth { TRUTH_NO, TRUTH_YES, TRUTH_UNKNOWN };

/*
 * Decide. Pure: `truths` says of each step that was begun, and neither done nor failed by the journal, whether it came
 * true. *at: the step that FATE_FINISH goes on with.
 */
enum fate recover_decide(const struct entry *en, const enum truth *truths, bool other_boot,
			 bool hangs, uint32_t *at);

#define HANGS_MAX 8

/* Devices that are left alone because something hangs in them. */
struct hangs {
	uint32_t n;
	struct {
		char device[24], id[40];
		int pid;
	} v[HANGS_MAX];
};

/* A process of this boot still does one of its steps. */
bool recover_hangs(const struct entry *en, const char *boot);

/* The next change brings these to an end first: a warning for each, for who only looks. */
void recover_tell(const struct journal *j, struct txn *t);

/*
 * Bring every broken transaction of the journal to an end; what was done is told by r->log. r->journal is locked.
 * A journal file that is not sound is told of, and left.
 */
void recover_all(struct runner *r, struct hangs *h);

/* -EBUSY with *e when something hangs in the device, or in another function of its slot. */
int recover_check(const struct hangs *h, const char *device, struct err *e);

#endif
