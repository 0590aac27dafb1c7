/* SPDX-License-Identifier: MIT */
/*
 * A device that a file describes (berth.pcidevice/1), in memory: for tests, for demonstrations, and to replay what another
 * one did. memory_device_ops of device.h drives it; here is what only such a device can do.
 *
 * One handle is used by one thread at a time. Several processes may each have a handle of the same device: one that forks
 * has it in both, and memory_device_join() makes another from descriptors. Any of them may be killed at any moment:
 * memstate.h says what that leaves. Interrupts and transfers are the business of the process that got the eventfds and
 * the maps; the others wake it by its poll descriptor.
 *
 * BARs answer whether or not memory decode is on; the engine of a doorbell needs bus mastering.
 */
#ifndef BERTH_DEV_MEMORY_H
#define BERTH_DEV_MEMORY_H

#include "bar-forward/device.h"
#include "bar-forward/pcidesc.h"

/* Takes the description, whatever comes. */
int memory_device_make(struct device **d, struct pcidesc *desc, struct err *e);

#define MEMORY_DEVICE_FDS 10

/* What another process needs to join; -1: not needed. They stay the device's. */
void memory_device_fds(const struct device *d, int fds[MEMORY_DEVICE_FDS]);

/* The same device from those; takes the description and the descriptors, whatever comes. */
int memory_device_join(struct device **d, struct pcidesc *desc, const int fds[MEMORY_DEVICE_FDS],
		       struct err *e);

struct memory_status {
	uint64_t
		done; /* accesses that happened, whoever died: each read or write that is asked for counts once */
	uint64_t result; /* what the last read of them gave, its first byte lowest */
	uint64_t waited; /* accesses that came to a device that hangs */
	uint64_t transfers;
	uint64_t resets;
	enum desc_fault fault; /* in force */
};

/* Never waits, whatever the device does. */
void memory_device_status(struct device *d, struct memory_status *s);

/* From outside of the guest: a fault begins, or with FAULT_NONE ends. `count`: accesses to BARs, UINT64_MAX: no end. */
void memory_device_fault(struct device *d, enum desc_fault kind, uint64_t value, uint64_t count);

#endif
