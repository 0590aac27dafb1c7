/* SPDX-License-Identifier: MIT */
#ifndef BERTH_BRIDGE_STATUS_H
#define BERTH_BRIDGE_STATUS_H

#include "bar-forward/verbs.h"

/* berth bridge status: the bridges that run here, from their telemetry pages. */
int status_verb(const struct ask *a, struct err *e);

#endif
