/* SPDX-License-Identifier: MIT */
/*
 * A recording as a device: what it answers to a guest that does about the same again. Pure but for the reader; the same
 * memory for a recording of any length, since it looks no more than REPLAY_WINDOW accesses ahead.
 *
 * Each register has its own order: a read is answered by what the register's next recorded read gave. Other registers may
 * come before or after, and so may other threads of the guest. What makes a boot differ from the next is allowed for:
 *
 * - A value that was read again and again is given as often as the guest asks, and what is left of it is dropped once the guest
 *   has made a later write. Who polls a register whose next value came after a write that the guest has not made
 *   yet gets the old value for REPLAY_PATIENCE reads more; then the write counts as overdue.
 * - A write is the register's next recorded one, or one of the next few that has the same value; of another value it is
 *   counted and told, since addresses differ from boot to boot.
 * - Reads that the guest does not make are dropped when it is REPLAY_LAG accesses further on.
 *
 * An interrupt is due once every write that was recorded before it is made or overdue, as long after the last of them as
 * then. A guest that does nothing for REPLAY_IDLE_NS longer than then waits for it: then the few writes that are missing are overdue.
 */
#ifndef BERTH_REPLAY_H
#define BERTH_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/traceread.h"
#include "base/err.h"

#define REPLAY_WINDOW   65536U
#define REPLAY_PATIENCE 256
#define REPLAY_LAG      256
#define REPLAY_IDLE_NS  UINT64_C(5000000000) /* on a busy host a guest stands still now and then */
#define REPLAY_AFTER_NS UINT64_C(1000000000) /* that an interrupt comes after its write, at most */
#define REPLAY_NEAR     16 /* accesses before an interrupt that may be overdue so */
#define REPLAY_SAID     8  /* departures that are told; the others are counted */

struct replay;

struct replay_counts {
	uint64_t reads, writes; /* of the guest */
	uint64_t unknown_reads; /* of registers of which nothing was recorded from there on */
	uint64_t unknown_writes;
	uint64_t other_values;   /* writes that were made, of another value */
	uint64_t left_reads;     /* recorded, and never asked for */
	uint64_t overdue_writes; /* recorded, and not made in their time */
	uint64_t interrupts;     /* given out */
	uint64_t dma; /* transfers by message that were recorded, and are not made again */
	uint64_t
		departed_ns; /* where the guest first left the path, from the beginning; valid with `departed` */
	bool departed, ended; /* ended: the recording's last access is behind it */
};

struct replay_irq {
	uint32_t index;
	uint64_t vector;
};

/* Takes the reader, whatever comes. `rom`: where what is read of the ROM is put, `rom_bytes` of it; may be NULL. 0 or an errno with *e. */
int replay_open(struct replay **r, struct trace_reader *reader, uint8_t *rom, uint64_t rom_bytes,
		struct err *e);
void replay_close(struct replay *r);
/* The recording's; it stays its own. */
int replay_fd(const struct replay *r);

/* Of BARs. What nothing is known of reads what was last written there in that width, else 0. */
uint64_t replay_read(struct replay *r, uint32_t region, uint64_t offset, uint32_t width,
		     uint64_t now);
void replay_write(struct replay *r, uint32_t region, uint64_t offset, uint32_t width,
		  uint64_t value, uint64_t now);
void replay_reset(struct replay *r, uint64_t now);

/* `now`: the guest's time, ns. When the next interrupt is due in it; UINT64_MAX: none is yet. */
uint64_t replay_due(struct replay *r, uint64_t now);
/* Take one that is due. */
bool replay_irq(struct replay *r, uint64_t now, struct replay_irq *q);

/* The next departure that is to be told, one sentence, until the next call; NULL: none. */
const char *replay_said(struct replay *r);
/* All of it in one sentence. */
const char *replay_report(struct replay *r);
const struct replay_counts *replay_counts(const struct replay *r);

#endif
