/* SPDX-License-Identifier: MIT */
/*
 * What a guest sees of a device's configuration space, and what it may write there. Pure: the caller reads and writes the
 * device.
 *
 * Everything is read-only and shown as it is, unless a row of the permission table (cfg_caps.c) says otherwise: bits that
 * go through to the device, bits that are kept here (virtual), capabilities that are not shown at all. A register nobody
 * wrote a row for can therefore be read, and never written.
 */
#ifndef BERTH_CFG_H
#define BERTH_CFG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CFG_SIZE 4096
#define CFG_BARS 6

/* One BAR as the guest is to see it; its size may be smaller than the device's. */
struct cfg_bar {
	uint64_t
		size; /* a power of two, 16 or more for memory, 4 or more for I/O; 0: none (or the upper half) */
	bool io, is_64bit, prefetchable;
};

struct cfg_shape {
	struct cfg_bar bar[CFG_BARS];
	uint64_t rom_size; /* 0: none is shown */
	bool hide_msix;
};

/* For each bit of the space who answers for it. A plain value. */
struct cfg {
	uint32_t size;             /* 256 or 4096 */
	uint8_t shown[CFG_SIZE];   /* what virtual bits read */
	uint8_t kept[CFG_SIZE];    /* virtual bits: from `shown`, not from the device */
	uint8_t own[CFG_SIZE];     /* virtual bits that a guest may change */
	uint8_t through[CFG_SIZE]; /* bits that a guest's write reaches in the device */
	uint8_t clears
		[CFG_SIZE]; /* bits that writing 1 clears in the device: never written back as they read */
};

/*
 * From the device's own space, `size` bytes of it (256 or 4096), and its BARs as a guest is to see them. 0, or -EBADMSG with
 * *e: this is no configuration space (all ones, header type 1, a chain of capabilities that has no end).
 */
int cfg_open(struct cfg *c, const uint8_t *real, uint32_t size, const struct cfg_shape *shape,
	     struct err *e);

/* The shape that the device has itself. */
void cfg_own_shape(const uint64_t bar_size[CFG_BARS], const uint8_t *real, uint64_t rom_size,
		   struct cfg_shape *shape);

/* Whether a read must ask the device: some bit of these bytes is not kept here. */
bool cfg_asks(const struct cfg *c, uint32_t offset, uint32_t width);

/* In `bytes` what the device reads; out, what the guest does. */
void cfg_read(const struct cfg *c, uint32_t offset, uint32_t width, uint8_t *bytes);

/*
 * A guest's write; `real` is what the device reads there now. True when the device is to be written: then `bytes` are what it
 * gets, the guest's bits and its own others.
 */
bool cfg_write(struct cfg *c, uint32_t offset, uint32_t width, uint8_t *bytes, const uint8_t *real);

/* A row of quirks[] opens these bytes: the guest writes them, whatever they lie in. The header stays as it is. */
void cfg_let(struct cfg *c, uint32_t at, uint32_t bytes);

/* After a reset of the device: BARs and what else is the guest's begin anew. */
void cfg_reset(struct cfg *c);

#endif
