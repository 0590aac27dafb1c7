/* SPDX-License-Identifier: MIT */
/*
 * Devices of a plan that go away while they are used: told by the kernel at once, looked for once a
 * second besides, so that a core is ended before its driver hangs in it.
 */
#ifndef BERTH_LAUNCH_LOSS_H
#define BERTH_LAUNCH_LOSS_H

#include <stdbool.h>

#include "base/planfile.h"
#include "probe/probe.h"

struct loss {
	char pci[24];       /* empty: none is lost */
	char sentence[160]; /* "the device 0000:c1:00.0 left the bus while the engine used it" */
};

struct losses {
	bool open;
	struct machine machine;
	struct presence_events *events; /* NULL: the kernel's cannot be received here */
};

/* Once; a second call does nothing. What cannot be had is done without: then nothing is ever lost. */
void losses_open(struct losses *l);
void losses_close(struct losses *l);

int losses_fd(const struct losses *l); /* to poll; -1: none */

/* Events that came meanwhile are of no interest any more. */
void losses_forget(struct losses *l);

/* Take the events that wait. true: one is of a device of the plan, and *loss says which. */
bool losses_hear(struct losses *l, const struct plan *p, struct loss *loss);

/* Look at each device of the plan. true: *loss says which is gone, or dead. */
bool losses_look(const struct losses *l, const struct plan *p, struct loss *loss);

/* The plan uses the device at this address. */
bool plan_uses(const struct plan *p, const char *pci);

#endif
