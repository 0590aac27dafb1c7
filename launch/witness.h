/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder while a run is up: `berth top --flight` as a child. It reads devices, which may hang, so
 * it is not the supervisor; and it ends with it. Several supervisors have one each, of which one writes.
 */
#ifndef BERTH_LAUNCH_WITNESS_H
#define BERTH_LAUNCH_WITNESS_H

#include <sys/types.h>

/* Its pid; 0: there is none, as where the monitor is not installed. A run does without. */
pid_t witness_begin(void);

/* End it, and wait until it has. */
void witness_end(pid_t *pid);

#endif
