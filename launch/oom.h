/* SPDX-License-Identifier: MIT */
/* Whether the kernel's OOM killer was at work: a count that only grows, read before and after. */
#ifndef BERTH_LAUNCH_OOM_H
#define BERTH_LAUNCH_OOM_H

#include <stdint.h>

#include "base/machine.h"

/*
 * Processes killed so far: of our own control group where the kernel counts those, which no other
 * program's death can change; else of the whole machine. 0 when it does not say.
 */
uint64_t oom_kills(const struct machine *m);

#endif
