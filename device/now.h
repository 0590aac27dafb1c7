/* SPDX-License-Identifier: MIT */
/*
 * Files that only take orders (bind, unbind, remove) cannot be read. What is so before such a step is told by what it
 * is to change: the driver's link, the function's folder.
 */
#ifndef BERTH_DEVICE_NOW_H
#define BERTH_DEVICE_NOW_H

#include "device/hand.h"

/* Fill `now` of each step that can be told; earlier steps count as done. Nothing is written. 0 or -ENOMEM. */
int txn_now(struct txn *t, const struct machine *m);

#endif
