/* SPDX-License-Identifier: MIT */
/*
 * A recording as steps that can be compared with those of another boot: reads of one register that follow each other are one
 * step, however often it was polled, and of several registers that are polled in turns only one round is left.
 */
#ifndef BERTH_TRACESTEPS_H
#define BERTH_TRACESTEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/tracefilter.h"
#include "bar-forward/traceread.h"

#define STEP_TAIL   8 /* of a step's values the last so many are known */
#define STEP_CYCLE  4 /* registers that may be polled in turns */
#define STEPS_AHEAD (2 * STEP_CYCLE)

struct step {
	uint64_t offset, ns;
	uint64_t hash;            /* of all values, or of the bytes of a long access */
	uint64_t tail[STEP_TAIL]; /* the last of them, newest last, as many as there are */
	uint32_t n;               /* values that differ from the one before */
	uint32_t times;           /* accesses */
	uint32_t bytes;           /* of each */
	uint8_t kind, region;     /* TRACE_READ, TRACE_WRITE, TRACE_RESET */
};

struct steps {
	struct trace_reader *reader;
	struct trace_filter filter;
	uint32_t n;                         /* that wait */
	struct step ahead[STEPS_AHEAD + 1]; /* oldest first; the last may still grow */
	bool ended;
	struct trace_record record;
};

/* 1: *s is the next; 0: there is none; or a negative errno with *e. */
int steps_next(struct steps *st, struct step *s, struct err *e);

/* The same register, in the same direction. */
bool step_is_like(const struct step *a, const struct step *b);

/* And the same values, but for those of polls that one of them made longer. */
bool step_is_same(const struct step *a, const struct step *b);

/* "read  BAR0+0x24/4 = 0x1 (5 times)"; `words` has 256 bytes. Returns words. */
const char *step_words(char words[256], const struct step *s);

#endif
