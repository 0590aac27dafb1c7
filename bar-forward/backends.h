/* SPDX-License-Identifier: MIT */
/* What can drive a device that is served, by the words of --backend. */
#ifndef BERTH_BACKENDS_H
#define BERTH_BACKENDS_H

#include "bar-forward/device.h"
#include "bar-forward/verbs.h"

/* The names, in the order of the rows; ends with NULL. */
extern const char *const backend_names[];

/* What workers may be asked to drive; ends with NULL. */
extern const struct device_ops *const worker_backends[];

/* berth bridge serve */
int serve_verb(const struct ask *a, struct err *e);

/* berth bridge replay */
int replay_verb(const struct ask *a, struct err *e);

#endif
