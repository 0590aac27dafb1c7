/* SPDX-License-Identifier: MIT */
/*
 * What the processes that meet a guest's bytes may still ask of the kernel: nothing that opens a file, makes a socket,
 * starts a program or makes memory executable. Entered once for each kind, never left; a worker enters the spare's first.
 *
 * A worker that asks for something else is killed: it is not itself any more, and the next goes on. A holder is told
 * EPERM, since its death would be the guest's.
 *
 * Builds with a sanitizer enter them, too, with a few calls more that it makes itself: one table says which.
 */
#ifndef BERTH_SANDBOX_H
#define BERTH_SANDBOX_H

#include <stdbool.h>

#include "base/err.h"

enum sandbox { SANDBOX_SPARE, SANDBOX_WORKER, SANDBOX_HOLDER, SANDBOX_FETCHER };

/* 0 or a negative errno with *e. */
int sandbox_enter(enum sandbox which, struct err *e);

#endif
