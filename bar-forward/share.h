/* SPDX-License-Identifier: MIT */
/*
 * What the processes of a server have in common. Four kinds:
 *
 *   opener  what was started: the listening socket, the telemetry page's file, signals. It starts the others, opens what has
 *           a path, and reads what a worker that died had read and written. It is in no sandbox, and listens to no client.
 *   fetcher its child, one for each generation of the device: opens that, and hands it over (fetch.h). Then it makes, in a
 *           sandbox, the calls that may hang in the kernel.
 *   holder  its child, too: all descriptors, all state, every message but accesses to BARs. It enters its sandbox before it
 *           does anything, opens nothing, and is expected to live.
 *   worker  does accesses, and answers those of BARs itself. It may be killed at any moment, and is: when the device hangs,
 *           and when another version of the program takes over.
 *
 * A register write is executed exactly once across any number of workers. A worker peeks at a message, notes here what it is
 * about to do, does it, answers, and only then takes the message from the socket. What it had noted last is in doubt when
 * it dies; the kernel's counts of what its task read and wrote, or the device itself (device_ops.ran), decide.
 *
 * One process writes a note at a time: the worker at work, or the holder while that one waits or is dead. A holder does not
 * trust what a worker wrote: lengths are checked, everything else is the worker's to say anyway.
 */
#ifndef BERTH_SHARE_H
#define BERTH_SHARE_H

#include <stdatomic.h>
#include <stdint.h>

#include "bar-forward/device.h"
#include "bar-forward/policy.h"
#include "base/telem_bridge.h"

/* Another layout, or other words between holder and worker: another number. A worker of another one is not taken. */
#define SHARE_VERSION 1

#define SHARE_REPLY 256 /* bytes of a reply that a worker gives: an access of a register is small */
#define SHARE_MESSAGE                                                                              \
	65536         /* bytes of a message that a worker looks at; larger ones are the holder's */
#define SHARE_LEFT 32 /* ranges of BARs that are left to the holder */

/* What is being done. Each has fields of its own, filled before it begins and left alone until another has begun. */
enum share_phase {
	SHARE_IDLE,   /* nothing is in doubt */
	SHARE_ACCESS, /* a register */
	SHARE_ANSWER, /* bytes to the client */
	SHARE_TAKE,   /* the message is taken from the client's socket */
};

struct share_access {
	uint64_t before; /* bytes that the task had read, of a read, or written, of a write */
	uint64_t mark;   /* device_ops.mark(), where there is one */
	uint64_t turn;   /* writes of this message that were done before */
	uint64_t offset;
	uint32_t region, width;
	uint32_t write;
	uint32_t asked; /* by the holder, and no message of the client */
	uint8_t data[8];
};

struct share_note {
	_Atomic uint32_t phase; /* enum share_phase */
	_Atomic uint32_t floor; /* who sends to the client: enum share_floor */
	_Atomic uint64_t
		since_ns; /* when the message at hand was first looked at, CLOCK_BOOTTIME; 0: there is none */
	uint64_t messages;   /* that workers have done */
	uint64_t multi_done; /* writes of it that are done, if it is of several */
	struct share_access access;
	struct {
		uint64_t before, length; /* of bytes written; of bytes read */
	} reply, take;
};

enum share_floor { FLOOR_FREE, FLOOR_WORKER, FLOOR_HOLDER };

struct share_range {
	uint32_t bar, writes_only;
	uint64_t offset, size;
};

struct share {
	uint32_t version, size;
	struct share_note note;

	/* By the holder, before a worker goes on; a worker only reads it. */
	char backend[16]; /* device_ops.name */
	struct dev_facts facts;
	uint64_t region[DEV_REGIONS]; /* sizes, as the guest sees them */
	uint32_t n_left;
	struct share_range left[SHARE_LEFT];
	_Atomic uint32_t policy_at;
	struct policy policy[2];

	/* By the worker; the holder adds it to its own. */
	struct telem_bridge count;
	uint8_t reply[SHARE_REPLY];
};

/* --- between holder and worker --- */

enum call_kind {
	/* to the worker */
	CALL_CLIENT =
		1, /* whom to serve: descriptors of the share, the client, the recording if there is one, the device */
	CALL_GO,     /* look at messages */
	CALL_ACCESS, /* one access */
	/* to the holder */
	CALL_HELLO, /* started; value: SHARE_VERSION, size of the share */
	CALL_READY, /* has the device; rc */
	CALL_ASK,   /* the next message is the holder's */
	CALL_DONE,  /* an access; rc */
	CALL_SAY,   /* a sentence */
	CALL_LOST, /* the device did not answer, or answers all-ones: the message is the holder's */
	CALL_ONES, /* a BAR reads all-ones: is the device still there? */
	CALL_BROKEN /* the client does not take its reply; rc */
};

struct call {
	uint32_t kind;
	int32_t rc;
	uint32_t region, width, write, how;
	uint64_t offset, value;
	uint8_t data[8];
	char text[512]; /* only what is needed of it is sent */
};

/* --- between opener and holder --- */

enum line_kind {
	/* to the holder */
	LINE_WORKER =
		1, /* a new one, with its end of the call; `next`: of another version, asked for by a person */
	LINE_DIED,   /* pid, what it had read and written */
	LINE_POLICY, /* a file to be read: the descriptor */
	LINE_TRACE,  /* a recording that begins now: its descriptor; none: it ends */
	LINE_END,    /* end in order */
	LINE_NONE,   /* a worker could not be started: rc */
	LINE_MADE, /* what came of LINE_FETCH and LINE_RECORD: rc and why, or descriptors; `next`: enum fetch_with */
	/* to the opener */
	LINE_SPAWN,   /* another worker, please */
	LINE_KILL,    /* pid */
	LINE_FETCH,   /* the device, please */
	LINE_RECORD,  /* the recording that was asked for on the command line, please */
	LINE_UPGRADE, /* how it went: rc */
	LINE_LOST,    /* the device; `next`: while a client has it, rc: who sees MSI-X */
	LINE_BACK,    /* the device: another generation */
	LINE_ENDED    /* the last word: rc and why */
};

struct line {
	uint32_t kind;
	int32_t rc, pid; /* pid: of an order and what came of it, its number */
	int32_t status; /* of one that died: its signal, or 0 */
	uint32_t next;
	uint32_t counted; /* rchar and wchar are known */
	uint64_t rchar, wchar;
	uint64_t at_ns; /* when it was known, CLOCK_BOOTTIME */
	char text[800];
};

#endif
