/* SPDX-License-Identifier: MIT */
/* How the project's own driver, berth_vfio, gives a function's BARs: `bind DEV berth_vfio --bars WORD`. */
#ifndef BERTH_DEVICE_BARS_H
#define BERTH_DEVICE_BARS_H

#include "device/scene.h"
#include "device/step.h"

/* Whether `word` may be asked of this driver: 0, VERB_USAGE, or -EINVAL. `word` may be NULL. */
int bars_check(const char *word, const char *driver, struct err *e);

/* A step for each BAR of memory, to be done once the driver has the function. */
int bars_steps(const struct scene *s, const struct func *f, const char *word, struct txn *t,
	       struct err *e);

#endif
