/* SPDX-License-Identifier: MIT */
#ifndef BERTH_UPGRADE_H
#define BERTH_UPGRADE_H

#include "bar-forward/verbs.h"

/* berth bridge upgrade: the worker of a bridge that runs becomes one of the program that is installed now. */
int upgrade_verb(const struct ask *a, struct err *e);

#endif
