/* SPDX-License-Identifier: MIT */
/* The process that does accesses for a server, and may be killed at any moment: share.h says how. */
#ifndef BERTH_WORKER_H
#define BERTH_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/device.h"

#define WORKER_NAME "berth-bridge-worker" /* its argv[0] */
#define WORKER_FD   3                     /* its end of the call */

/* Whether this process was started as one. */
bool worker_asked(int argc, char **argv);

/* Work until the holder goes; the exit code. backends: what it may find in the share; ends with NULL. */
int worker_run(const struct device_ops *const *backends);

#endif
