/* SPDX-License-Identifier: MIT */
/*
 * The journal: what was done to the machine, and how it is taken back. A file for each transaction in
 * /var/lib/berth/journal (docs/formats.md, berth.journal/1): its first line is the whole transaction, which is on the
 * disk before anything is done; a line follows before each step and after it, and one at the end. A line that was torn
 * by a crash does not count. Whoever changes the machine holds the lock beside it.
 *
 * What is read is not trusted: a file that is no journal of ours is refused, never acted upon.
 */
#ifndef BERTH_DEVICE_JOURNAL_H
#define BERTH_DEVICE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/machine.h"
#include "device/run.h"
#include "device/step.h"

#define JOURNAL_FILE_MAX (4 << 20)
#define JOURNAL_KEPT     256 /* transactions; older ones go when a new one begins */

struct journal {
	int dir_fd, lock_fd, file_fd; /* file_fd: of the transaction that is written now */
	char path[512];               /* of the folder, for messages */
	char boot[40];                /* this boot's id */
	bool live;                    /* of this machine, and not of a captured one */
};

/* A line after the first. */
struct event {
	uint32_t step;
	enum step_state state;
	const char *why;       /* NULL: none */
	pid_t pid;             /* STATE_HUNG: who still does it */
	const struct step *of; /* STATE_DONE: what it left */
};

/* A transaction as the journal has it. */
struct entry {
	struct txn t;
	struct outcome o;
	char why[512]; /* of an end that is not good */
	char when[32]; /* "2026-11-21T15:25:23Z" */
	char who[64];  /* "uid 1000" */
	char boot[40]; /* of the boot that it began in */
	pid_t hung;    /* who hangs in it; 0: nobody */
	uint64_t hung_began;
	char undone_by[40]; /* the transaction that took it back; "": none */
};

/*
 * Open the folder of the machine's journal, or BERTH_STATE_DIR: to read, or (`change`) to make it where it is absent
 * and to write. -ENOENT when there is none to read; -EACCES, -EROFS and the like with *e.
 */
int journal_open(struct journal *j, const struct machine *m, bool change, struct err *e);
void journal_close(struct journal *j);
#define own_journal __attribute__((cleanup(journal_close)))

/*
 * Be the only one to change the machine; `what` is told to those that wait. Waits at most wait_ms. 0, or -EBUSY with a
 * sentence that names who has it.
 */
int journal_lock(struct journal *j, const char *what, int wait_ms, const struct log *log,
		 struct err *e);

/* Give it a number and write it down, before anything is done. */
int journal_begin(struct journal *j, struct txn *t, struct err *e);
/* Open a transaction's file again, to go on with it; what was torn is cut off. */
int journal_resume(struct journal *j, const struct txn *t, struct err *e);
int journal_note(struct journal *j, const struct txn *t, const struct event *v, struct err *e);
int journal_end(struct journal *j, const struct txn *t, enum run_end end, const char *why,
		struct err *e);

/* The numbers of all transactions, rising; the caller frees *ids. The count, or a negative errno with *e. */
int journal_list(const struct journal *j, uint32_t **ids, struct err *e);

/* One of them; entry_free() it. -ENOENT: there is none; -EBADMSG: it is no journal of ours. */
int journal_read(const struct journal *j, uint32_t id, struct entry **en, struct err *e);
void entry_free(struct entry *en); /* NULL is fine */

/* From the bytes of a file. Pure. */
int entry_parse(const char *bytes, size_t size, struct entry **en, struct err *e);

/* A step and a transaction as JSON, as the journal and --json have them (step_json.c). The caller owns it. */
json_t *step_to_json(const struct step *s);
int step_from_json(const json_t *o, struct step *s, struct err *e);

/*
 * -EBADMSG with *e for a step whose file is not where its kind of step may write: the kernel's files below sys/ and
 * proc/, ours below etc/.
 */
int step_check(const struct step *s, struct err *e);

#endif
