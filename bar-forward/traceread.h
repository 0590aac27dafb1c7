/* SPDX-License-Identifier: MIT */
/*
 * Reads a recording, also while it is written, also one of a process that was killed in the middle of anything. Trusts
 * nothing in it, and takes the same memory for one of any length: records come one by one.
 */
#ifndef BERTH_TRACEREAD_H
#define BERTH_TRACEREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/tracefile.h"
#include "base/err.h"

#define TRACE_BLOCK 1024 /* slots that are read at once */

/* One record, its numbers in their ranges. */
struct trace_record {
	uint64_t ticket;
	struct trace_slot s;
	uint32_t count;                /* bytes of an access, a mark's text, otherwise 0 */
	uint8_t bytes[TRACE_DATA_MAX]; /* the first `held` of them are there */
	uint32_t held;                 /* == count, unless they were not recorded */
};

struct trace_reader {
	int fd;
	struct trace_head
		head; /* as it was when opened; texts end and are clean, numbers are in their ranges */
	uint64_t slots;
	uint64_t first, next; /* tickets that were in the ring at the last look */
	uint64_t at;          /* the ticket to be looked at next */
	uint64_t
		skipped; /* tickets without a sound record: not finished by who took them, or overtaken by the writer */
	uint64_t block_at; /* tickets in `block`: n_block from this one on */
	uint32_t n_block;
	bool overtaken; /* some of them were written over while they were read */
	struct trace_slot block[TRACE_BLOCK], again[TRACE_BLOCK];
};

/*
 * 0, or with *e -EBADMSG (not a recording, or none of this version), -ENOMEM or the errno of opening. The reader is large: it is
 * allocated.
 */
int trace_reader_open(struct trace_reader **r, const char *path, struct err *e);
/* The same of a descriptor, which it takes whatever comes; `name` for what is said. */
int trace_reader_take(struct trace_reader **r, int fd, const char *name, struct err *e);
void trace_reader_close(struct trace_reader *r);

/* 1: the next record; 0: there is none now (trace_reader_look may find more); or a negative errno with *e. */
int trace_reader_next(struct trace_reader *r, struct trace_record *rec, struct err *e);

/* Look again at how far the recording goes. 0 or a negative errno with *e. */
int trace_reader_look(struct trace_reader *r, struct err *e);

/* Go to the first record at or after `ns`, as far as times grow. 0 or a negative errno with *e. */
int trace_reader_seek(struct trace_reader *r, uint64_t ns, struct err *e);

/* The time of the last record that can be read; 0: there is none. */
uint64_t trace_reader_end(struct trace_reader *r);

/* Whether who writes it still lives. */
bool trace_reader_live(const struct trace_reader *r);

#endif
