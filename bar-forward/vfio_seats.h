/* SPDX-License-Identifier: MIT */
/*
 * The table of an address space: who is in it, and what is mapped for whom. Processes that serve functions of one IOMMU group
 * share it: it is made before they are forked, and the kernel's descriptors of the space are the same for all.
 *
 * A process that dies keeps its seat and its maps, since its descriptors of the space are not the last; who serves the same
 * function next finds both, and takes the maps away first. One that dies within a change leaves a table that nobody
 * can believe: then the space is no good to anybody.
 */
#ifndef BERTH_VFIO_SEATS_H
#define BERTH_VFIO_SEATS_H

#include <pthread.h>
#include <stdbool.h>

#include "bar-forward/vfio_maps.h"

#define SEATS 64

struct vfio_seats {
	pthread_mutex_t lock;
	pthread_cond_t freed; /* some map is nobody's any more */
	bool broken;
	char who[SEATS][24]; /* "": free */
	struct vmaps maps;   /* the last member: it goes on behind it */
};

/* NULL: out of memory. */
struct vfio_seats *vfio_seats_make(void);
void vfio_seats_free(struct vfio_seats *t); /* of this process */

/* 0, or -EOWNERDEAD: the table cannot be believed. */
int vfio_seats_lock(struct vfio_seats *t);
void vfio_seats_unlock(struct vfio_seats *t);

/* Locked: wait until somebody frees a map, or for so long. -ETIMEDOUT, -EOWNERDEAD, 0. */
int vfio_seats_wait(struct vfio_seats *t, const struct timespec *until);

/* Locked: the bit of a function, its own from before if it has one; 0: all seats are taken. */
uint64_t vfio_seats_take(struct vfio_seats *t, const char *pci);

/* Locked: whether a function has anything mapped. */
bool vfio_seats_busy(const struct vfio_seats *t, const char *pci);

#endif
