/* SPDX-License-Identifier: MIT */
/* Ending a process that the person pointed at, and no other that got its number meanwhile. */
#ifndef BERTH_TUI_KILL_H
#define BERTH_TUI_KILL_H

#include <stdint.h>

#include "base/err.h"

/* Hold a process before asking about it: a descriptor to close, or a negative errno with *e. */
int kill_hold(int32_t pid, struct err *e);

/* SIGTERM to what is held; an errno with *e when it is gone, or not ours. Closes it. */
int kill_end(int *held, struct err *e);

/* Start `berth stop NAME`, without waiting for it. */
int kill_stop(const char *name, struct err *e);

#endif
