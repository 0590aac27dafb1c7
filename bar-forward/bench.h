/* SPDX-License-Identifier: MIT */
/* berth bridge bench: what a trapped access costs on this machine, beside a bare echo of the same bytes. */
#ifndef BERTH_BENCH_H
#define BERTH_BENCH_H

#include "bar-forward/verbs.h"

int bench_verb(const struct ask *a, struct err *e);

#endif
