/* SPDX-License-Identifier: MIT */
/*
 * What single devices have that PCI's specification does not tell: ways around configuration space, and registers of use
 * to a bridge. A row each in quirks.c, with its source. Pure.
 */
#ifndef BERTH_QUIRKS_H
#define BERTH_QUIRKS_H

#include <stdbool.h>
#include <stdint.h>

enum quirk_kind {
	QUIRK_MIRROR, /* a range of a BAR that is configuration space: goes through the permission table */
	QUIRK_WINDOW, /* an index and a data register that reach it: data does, while the index points there */
	QUIRK_PASS, /* in a mirror: writes that are more than configuration, and go to the BAR as they are */
	QUIRK_OPEN, /* bytes of configuration space that the guest may write, although no capability's row says so */
	QUIRK_ORDER, /* a register whose read has no effect: it pushes writes in flight before it */
};

struct quirk {
	uint16_t vendor;
	uint16_t first, last;  /* device ids */
	uint32_t class_, mask; /* of the class code, three bytes; mask 0: any */
	enum quirk_kind kind;
	uint8_t bar; /* not of QUIRK_OPEN */
	uint32_t
		at; /* first byte in the BAR, or in configuration space; of a window the data register */
	uint32_t bytes;    /* how many; of a window of configuration space */
	uint32_t index;    /* of a window: the index register in the BAR */
	uint32_t base;     /* of a window: the index that stands for byte 0 */
	uint64_t bar_most; /* the BAR has at most so many bytes, else it is another one; 0: any */
	const char *what, *source;
};

#define QUIRKS_MAX 16

/* The rows of one device. Pointers into the table: a plain value. */
struct quirk_set {
	uint32_t n;
	const struct quirk *row[QUIRKS_MAX];
};

/* size: of its BARs as they are, in bytes. */
void quirks_find(struct quirk_set *q, uint16_t vendor, uint16_t device, uint32_t class_,
		 const uint64_t size[6]);

/* The first row of that kind that has a byte of an access, in that BAR; NULL: none. */
const struct quirk *quirks_at(const struct quirk_set *q, enum quirk_kind kind, uint32_t bar,
			      uint64_t offset, uint64_t count);

/* The first row of that kind, from *i on, which becomes the one behind it; NULL: no more. */
const struct quirk *quirks_next(const struct quirk_set *q, enum quirk_kind kind, uint32_t *i);

/* Whether a window's index points to configuration space: 0 or more, that byte; -1: elsewhere. */
int64_t quirk_target(const struct quirk *window, uint32_t index);

#endif
