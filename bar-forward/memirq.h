/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a device of memory, with the rules of VFIO: one of INTx, MSI and MSI-X at a time; INTx is a level that masks
 * itself when it is told, and is told again when it is unmasked and still there.
 *
 * The block says what is pending; the process with the eventfds tells it. One that is killed in between leaves it
 * pending, so that an interrupt may be told twice, and is never lost.
 */
#ifndef BERTH_MEMIRQ_H
#define BERTH_MEMIRQ_H

#include "bar-forward/device.h"
#include "bar-forward/memstate.h"

struct memirq {
	int *fd[DEV_IRQS];          /* eventfds, -1: none */
	uint32_t enabled[DEV_IRQS]; /* how many vectors; 0: the index is off */
	bool masked;                /* INTx */
	bool told_gone;
	int unmask; /* eventfd that unmasks INTx; -1: none */
	int poll;   /* epoll of `kicked` and `unmask` */
	int kick; /* there is something to do; shared by the processes: a socket, since its bytes are not counted for the task */
	int kicked; /* its other end */
};

/* `kick`: both ends of another process's, taken; NULL: make them. 0 or a negative errno; close what is there in either case. */
int memirq_open(struct memirq *q, const int kick[2]);
void memirq_close(struct memirq *q);

void memirq_info(const struct pcidesc *d, struct dev_irq irq[DEV_IRQS]);

/* As device_ops.irqs. */
int memirq_set(struct memirq *q, struct memstate *m, const struct vu_irqs *set, const int *fds,
	       struct err *e);

/* Under the lock, as a part of an access. */
void memirq_raise(struct access *a, uint64_t vector);

/* Whether INTx is, as the status register of config space has it. */
bool memirq_line(const struct memstate *m);

/* Tell what there is to tell; what only another process can tell, it is woken for. Takes the lock. */
void memirq_deliver(struct memirq *q, struct memstate *m);

/* The poll descriptor was readable. */
void memirq_attend(struct memirq *q);
void memirq_kick(const struct memirq *q);

#endif
