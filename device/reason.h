/* SPDX-License-Identifier: MIT */
/* What a kernel's errno means for a step: a table, because "No such device or address" helps nobody. Pure. */
#ifndef BERTH_DEVICE_REASON_H
#define BERTH_DEVICE_REASON_H

#include "device/step.h"

/* A clause for a person, and what to do; NULL: the errno says all there is. rc is negative. */
const char *step_reason(const struct step *s, int rc);

#endif
