/* SPDX-License-Identifier: MIT */
/*
 * Whether a device that somebody uses is still there: asked of the files, and told by the kernel as it
 * happens. Part of probe.h. Nothing here wakes a device, or can hang in a driver.
 */
#ifndef BERTH_PROBE_PRESENCE_H
#define BERTH_PROBE_PRESENCE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/machine.h"

enum presence {
	PRESENCE_UNKNOWN, /* the machine has no list of PCI functions */
	PRESENCE_HERE,    /* listed; asleep, or it answers */
	PRESENCE_GONE,    /* the kernel lists it no more */
	PRESENCE_DEAD,    /* listed and awake, but what it answers is all ones: its link is cut */
};

/* Of a PCI address. Of a device that sleeps, or whose bridges do, nothing but the list is asked. */
enum presence presence_of(const struct machine *m, const char *pci);

/* Listed, alive, and bound to a driver: somebody could use it. */
bool presence_usable(const struct machine *m, const char *pci);

/* What the kernel said of a device that cannot be used any more. */
struct device_loss {
	char pci[24];
	char how[96]; /* "left the bus" */
};

struct presence_events;

/* -ENOSYS: built without libudev; -EACCES and others with *e: they cannot be received here. */
int presence_open(struct presence_events **p, struct err *e);
void presence_close(struct presence_events *p); /* NULL is fine */
int presence_fd(const struct presence_events *p);

/* The next loss. 1: *loss is one; 0: none is waiting; -ENOBUFS: some events were lost, look yourself. */
int presence_next(struct presence_events *p, struct device_loss *loss);

#endif
