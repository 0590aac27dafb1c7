/* SPDX-License-Identifier: MIT */
/*
 * A device that comes back at another address: buses are numbered as they are found. By its ids alone two cards of one kind
 * cannot be told apart, so those that were there before do not count.
 */
#ifndef BERTH_DEVICE_ELSEWHERE_H
#define BERTH_DEVICE_ELSEWHERE_H

#include "device/scene.h"
#include "device/step.h"

/* Fill t->ids and t->alike of t->device, as they are before anything is done. */
void elsewhere_note(const struct scene *s, struct txn *t);

/* True when t->device is not at its address any more, and a function with its ids is at a new one: *at. */
bool elsewhere_find(const struct machine *m, const struct txn *t, char at[24]);

#endif
