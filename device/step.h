/* SPDX-License-Identifier: MIT */
/*
 * What is to be done to the machine, as data: a verb decides a transaction of steps, and writes nothing itself. The
 * runner carries it out (run.h), the journal keeps it, and undo reads it backwards.
 *
 * A step says all that is needed to judge it after a crash: what the file held before, how to see that it came true,
 * and how it is taken back. Paths are relative to the machine's root, as machine_read() takes them.
 */
#ifndef BERTH_DEVICE_STEP_H
#define BERTH_DEVICE_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/machine.h"

#define STEPS_MAX   128
#define WARNS_MAX   16
#define STEP_VALUE  1024
#define STEP_TARGET 256

/* A person waits for a driver no longer than this, unless the step says otherwise. */
#define STEP_TIMEOUT_MS 15000

enum step_op {
	STEP_WRITE, /* a file of the kernel gets a value: sysfs, procfs */
	STEP_SAVE,  /* a file of ours below etc/ gets a whole new content, or goes (`gone`) */
	STEP_ASK, /* the agent `agent` (agent.h) is asked for `value`, about the object `target` */
	STEP_AWAIT, /* nothing is done: `after` must become true within the step's time */
	STEP_OP_COUNT
};

enum look_kind {
	LOOK_NONE,  /* nothing tells: whether it was done stays unknown after a crash */
	LOOK_TEXT,  /* the file reads `want` (white space at its end does not count) */
	LOOK_LINK,  /* the last part of the link is `want`; "": there is no link */
	LOOK_HERE,  /* the folder or file is there */
	LOOK_GONE,  /* it is not */
	LOOK_AGENT, /* the agent `agent` says `want` of the object `path` */
	LOOK_NEAR, /* the file, or the agent if there is one, says a number within 10 % of `want`: drivers round */
	LOOK_MARKED, /* the file is a list, and the choice that it marks is named `want` (marked.h) */
	LOOK_KIND_COUNT
};

/* A question to the machine whose answer is yes or no. */
struct look {
	enum look_kind kind;
	bool not ; /* true when the above is not so */
	char agent[8];
	char path[STEP_TARGET];
	char want[128];
};

enum step_undo {
	UNDO_NEVER,  /* it cannot be taken back, and `why` says why: a reset, a removal */
	UNDO_BEFORE, /* `before` goes back to the same target; needs `known` */
	UNDO_OTHER,  /* `undo_target` gets `undo_value`; "" as target: nothing needs to be done */
	STEP_UNDO_COUNT
};

struct step {
	enum step_op op;
	char agent[8]; /* STEP_ASK */
	char target[STEP_TARGET];
	char value[STEP_VALUE];
	bool gone;     /* STEP_SAVE: the file goes */
	bool known;    /* `before`, or that there was no file, is known */
	bool was_gone; /* STEP_SAVE: there is no file before */
	uint32_t
		mode; /* STEP_SAVE: of the file before, which it has again when it is put back; 0: none */
	char before[STEP_VALUE]; /* read again right before the write: a changed one stops */
	struct look
		after; /* true once it is done: how a crash in the middle, and a hang, are judged */
	enum step_undo undo;
	char undo_target[STEP_TARGET];
	char undo_value[STEP_VALUE];
	struct look
		undone; /* UNDO_OTHER: true once it is taken back; LOOK_NONE: `after` is not true any more */
	char why[96]; /* UNDO_NEVER */
	/* For --dry-run, of a file that only takes orders: what is so before, "driver is amdgpu" (now.h). */
	char now[80];
	/* Of the runner: what the target read right after; how many folders above a STEP_SAVE's file were missing. */
	bool left_known;
	char left[STEP_VALUE];
	uint32_t made;
	bool may_fail;       /* its failure is told, and the rest goes on */
	uint32_t timeout_ms; /* 0: STEP_TIMEOUT_MS */
	char says[160];      /* for people: "unbind 0000:01:00.1 from snd_hda_intel" */
};

/* Steps that belong together: all are done, or what was done is taken back in reverse order. */
struct txn {
	char id[40]; /* of the journal; "" until it is begun */
	char verb[16];
	char words[256]; /* what was asked, as words of a command line after the verb */
	char device[24]; /* the PCI address that it is about; "" for none */
	char ids[16];    /* of that device, "1002:73bf", and where there were such before (elsewhere.h) */
	char alike[512];
	char undoes[40]; /* the transaction that this one takes back; "" for none */
	char whom[64];   /* --for: in whose name, by which undo finds it, too; "" for nobody's */
	bool keep;       /* what was done stays when a later step fails */
	char *seen; /* the verb's own, from its plan to its `after` (verb.h): freed with the transaction */
	char done[256]; /* a sentence for the end: "you may unplug it now"; "" for none */
	char warns[WARNS_MAX]
		  [256]; /* what --force breaks, what is odd: told before anything is done */
	uint32_t n_warns;
	struct step *steps; /* STEPS_MAX of them, n in use */
	uint32_t n;
};

/* An empty transaction. txn_close() frees it; 0 or -ENOMEM. */
int txn_open(struct txn *t, const char *verb);
void txn_close(struct txn *t);
#define own_txn __attribute__((cleanup(txn_close)))

/*
 * The next step, empty but for `op` and `says`. NULL, with *e, when there are STEPS_MAX, or when the text was cut: a
 * cut path or sentence must never be acted upon.
 */
struct step *txn_add(struct txn *t, enum step_op op, struct err *e, const char *says, ...)
	__attribute__((format(printf, 4, 5)));

/* One more warning, cut when it is too long. */
void txn_warn(struct txn *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Format into one of the arrays of a step: `step_put(s->target, e, "sys/...")`. 0, or -EFBIG with *e when cut. */
#define step_put(to, e, ...) step_put_sized((to), sizeof(to), (e), __VA_ARGS__)
int step_put_sized(char *to, size_t size, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Fill `known` and `before` (and `was_gone`) of the last step, whose target is set: what an earlier step of the same
 * transaction leaves there, else what the machine says. A file that the kernel lets nobody read leaves it unknown.
 * 0, or a negative errno with *e when a STEP_SAVE's file holds what the journal cannot keep (too long, no text).
 */
int txn_before(struct txn *t, const struct machine *m, struct err *e);

/* Set a look: look_set(&s->after, LOOK_LINK, "vfio-pci", e, "sys/bus/pci/devices/%s/driver", pci). 0 or -EFBIG. */
int look_set(struct look *l, enum look_kind kind, const char *want, struct err *e, const char *path,
	     ...) __attribute__((format(printf, 5, 6)));

/*
 * The step that takes another back, in *u. 0; 1: there is nothing to do; -EPERM with *e: it cannot be taken back. Pure.
 */
int step_invert(const struct step *s, struct step *u, struct err *e);

/* Names of the journal and of --dry-run --json. */
const char *step_op_name(enum step_op op);
const char *look_kind_name(enum look_kind kind);
const char *step_undo_name(enum step_undo undo);

#endif
