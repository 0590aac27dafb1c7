/* SPDX-License-Identifier: MIT */
/* Steps by which drivers let functions go and take them back, for verbs that need them free in between. */
#ifndef BERTH_DEVICE_LET_GO_H
#define BERTH_DEVICE_LET_GO_H

#include "device/scene.h"
#include "device/step.h"

/*
 * The order in which drivers let go: deeper functions first, then the other functions of a card (its sound holds its
 * display's power), virtual functions before what they are of, and displays last. In place.
 */
void let_go_order(const struct func **set, uint32_t n);

/*
 * Unbind one function; nothing when no driver has it. A bridge keeps its driver. Taken back by binding it again:
 * `gone` says that the function leaves the machine in between, and a driver may have it again by then.
 */
int let_go_step(const struct func *f, bool gone, struct txn *t, struct err *e);

/* Bind one function to the driver it has in the scene; nothing when it had none. */
int take_back_step(const struct func *f, struct txn *t, struct err *e);

#endif
