/* SPDX-License-Identifier: MIT */
/* berth bridge diff: two boots, aligned. */
#ifndef BERTH_TRACEDIFF_H
#define BERTH_TRACEDIFF_H

#include "bar-forward/verbs.h"

int trace_diff_verb(const struct ask *a, struct err *e);

#endif
