/* SPDX-License-Identifier: MIT */
/* A process that leaves its terminal, and tells the one it came from how it began. */
#ifndef BERTH_LAUNCH_DETACH_H
#define BERTH_LAUNCH_DETACH_H

#include "base/err.h"

/*
 * Fork. In the new process, which leads a session of its own: 0, and *to is where to tell. In the old
 * one, once the new one has told or ended: 1, and *code is what it told. -errno with *e.
 */
int detach(int *to, int *code, struct err *e);

/* Tell the exit code that the caller is to see, and close. */
void detach_tell(int *to, int code);

#endif
