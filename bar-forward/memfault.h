/* SPDX-License-Identifier: MIT */
/* What goes wrong with a device of memory, and when. */
#ifndef BERTH_MEMFAULT_H
#define BERTH_MEMFAULT_H

#include "bar-forward/memstate.h"

/* From the next access on; a kind that there is not is none. The end of "gone" is a device after a reset. */
void memfault_set(struct access *a, uint64_t kind, uint64_t value, uint64_t count);

/*
 * Called with the lock, which it lets go while it waits. The script has its turn; a slow device takes its time, one
 * that hangs lasts until another fault comes. 0: go on; -ENODEV: gone.
 */
int memfault_pass(struct memstate *m, bool of_bar);

/* One access to a BAR was made: faults that last for a count of them end. */
void memfault_count(struct access *a);

/* Those that wait look again. */
void memfault_wake(struct memstate *m);

enum desc_fault memfault_now(const struct memstate *m);

#endif
