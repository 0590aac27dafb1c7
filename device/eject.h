/* SPDX-License-Identifier: MIT */
/* berth device eject: everything below the port that a device hangs at lets go and leaves, so that it may be unplugged. */
#ifndef BERTH_DEVICE_EJECT_H
#define BERTH_DEVICE_EJECT_H

#include "device/scene.h"
#include "device/verb.h"

int eject_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);

/* What list says of it: through which port it could leave, or why it cannot. */
void eject_words(struct text *t, const struct scene *s, const struct func *f);

#endif
