/* SPDX-License-Identifier: MIT */
/*
 * Interrupts on a detour, so that they can be recorded: the device raises descriptors of ours, and we those of the client. Only
 * where it is asked for, since otherwise they go straight to the client.
 */
#ifndef BERTH_IRQRELAY_H
#define BERTH_IRQRELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/trace.h"
#include "bar-forward/wire.h"
#include "base/err.h"

#define RELAY_SETS 5 /* by VFIO's index */

/* One interrupt: what the device raises, and whom it is passed to. */
struct irqrelay_one {
	uint8_t index;
	uint32_t vector;
	int ours, theirs;
};

/* Zeroed: off. */
struct irqrelay {
	int fd; /* readable when one came; valid while `on` */
	bool on;
	int device; /* a descriptor that is looked after besides, -1: none */
	bool watched;
	uint32_t n[RELAY_SETS]; /* rows */
	struct irqrelay_one **one[RELAY_SETS];
	struct irqrelay_one *
		*fresh; /* between take and settle: `asked` of them, those that are none NULL */
	uint32_t index, start, asked;
};

/* 0 or an errno with *e. */
int irqrelay_open(struct irqrelay *r, struct err *e);
void irqrelay_close(struct irqrelay *r);

/*
 * What a client asks for, which must be in the device's range, by eventfds: its descriptors in fds[] are taken, and in their places are ours,
 * which the caller closes. Then the device is told, and irqrelay_settle() says whether it went well: if not, all is as before.
 * 0 or an errno with *e; then nothing was taken.
 */
int irqrelay_take(struct irqrelay *r, const struct vu_irqs *ask, int *fds, uint32_t n_fds,
		  struct err *e);
void irqrelay_settle(struct irqrelay *r, bool well);

/* Look after the device's descriptor as well, or not now. */
void irqrelay_watch(struct irqrelay *r, int fd, bool now);

/* Whether a client's descriptor is one that an interrupt can be told by: any other, such as a full pipe, could hold us up. */
bool irqrelay_is_eventfd(int fd);

/* Tell it once; -1: nobody. A client that never reads has something to read anyway, and does not keep us waiting: false, it was not told. */
bool irqrelay_raise(int fd);

/* Record and pass on what came. Whether the device's descriptor is readable. */
bool irqrelay_pass(struct irqrelay *r, struct trace *t, uint64_t (*now)(void));

#endif
