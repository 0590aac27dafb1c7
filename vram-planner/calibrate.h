/* SPDX-License-Identifier: MIT */
/* berth plan --calibrate: measures this machine's devices, and remembers it. */
#ifndef BERTH_CALIBRATE_H
#define BERTH_CALIBRATE_H

#include <stdio.h>

#include "vram-planner/calibration.h"
#include "vram-planner/devices.h"

#define CALIBRATE_TIMEOUT_S 300 /* drivers compile kernels when they are first used */

/*
 * Run the engine on each device that `o` names, and on the host, one after the other, and keep what
 * was measured; a line for each on `to`. 0; -ENODEV when nothing could be measured at all, or as
 * devices_find() and core_start().
 */
int calibrate(const struct devices_opts *o, const struct log *log, FILE *to, struct err *e);

#endif
