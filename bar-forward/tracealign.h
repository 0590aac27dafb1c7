/* SPDX-License-Identifier: MIT */
/*
 * Two boots beside each other. Both run along while they are the same; where they are not, the nearest place from which on they
 * are the same again is looked for, and what lies between is aligned by a longest common subsequence. Takes the same
 * memory for recordings of any length: nothing is found again beyond ALIGN_WINDOW steps.
 */
#ifndef BERTH_TRACEALIGN_H
#define BERTH_TRACEALIGN_H

#include <stdint.h>

#include "bar-forward/tracesteps.h"

#define ALIGN_WINDOW 2048
#define ALIGN_SYNC                                                                                 \
	12 /* steps that make a place found again: all of the same registers, half of the same values */

enum align_kind {
	ALIGN_SAME,
	ALIGN_VALUE, /* the same register, other values */
	ALIGN_ONLY_A,
	ALIGN_ONLY_B,
	ALIGN_KINDS
};

struct align_counts {
	uint64_t n[ALIGN_KINDS]; /* steps */
};

/* Of each step or pair, in their order; a or b NULL. Anything but 0 ends it all. */
typedef int align_told(void *arg, enum align_kind kind, const struct step *a, const struct step *b);

/* 0, what `told` answered, or a negative errno with *e. */
int align(struct steps *a, struct steps *b, align_told *told, void *arg,
	  struct align_counts *counts, struct err *e);

#endif
