/* SPDX-License-Identifier: MIT */
/*
 * Agents do what no file of the kernel does: a D-Bus service, a vendor's library, a run of ours that is to stop. A row
 * in agents[] makes one known to STEP_ASK and LOOK_AGENT by its name.
 */
#ifndef BERTH_DEVICE_AGENT_H
#define BERTH_DEVICE_AGENT_H

#include <stddef.h>

#include "base/err.h"
#include "base/machine.h"
#include "base/text.h"

struct agent {
	const char *name; /* at most 7 letters */
	/*
	 * Ask it for `value`, about `object`. It runs in a child, which is killed when the step's time is over; it is
	 * never called for a machine folder. 0, or a negative errno with *e. NULL: it only looks.
	 */
	int (*call)(const struct machine *m, const char *object, const char *value, struct err *e);
	/*
	 * What it says of the object now, in `said`. It runs in a child, too, on a live machine; in a machine folder
	 * (!m->live) it is called only for objects that no step of the transaction changed, and may read files
	 * through m alone. 0, or a negative errno; -ENODATA: nobody can tell. NULL: never asked.
	 */
	int (*look)(const struct machine *m, const char *object, char *said, size_t size,
		    struct err *e);
	/* In which points what it says of the object is not what was wanted, for people. Pure. NULL: it says no more. */
	void (*differs)(struct text *t, const char *object, const char *want, const char *said);
};

extern const struct agent agents[]; /* ends with a NULL name */

const struct agent *agent_find(const struct agent *table, const char *name);

#endif
