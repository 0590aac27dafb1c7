/* SPDX-License-Identifier: MIT */
/*
 * Files of the kernel whose reader may wait for ever: `driver_override` takes the device's lock, which whoever
 * unbinds its driver holds until that has let go (measured on Linux 6.1: vfio-pci with an open device). No signal
 * ends such a reader, so it is a child of ours, which is left behind.
 */
#ifndef BERTH_APART_H
#define BERTH_APART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/machine.h"

#define APART_BYTES 256 /* of one file; a longer one is -EFBIG */

/*
 * Read many files, in order; `got` has each text as machine_read() makes it, or a negative errno: -ETIMEDOUT for
 * one that gave no answer within stall_ms. A captured folder is read as it is. 0, or a negative errno when there
 * is no child to be had; then `got` was not called for the rest.
 */
int apart_read(const struct machine *m, const char *const *paths, uint32_t n, int stall_ms,
	       void (*got)(void *ctx, uint32_t i, long rc, const char *text), void *ctx);

/* Whether a file is one of those. */
bool apart_must(const char *path);

/* One file, as machine_read(); with a child only where it must be. */
long apart_read_one(const struct machine *m, const char *path, char *buf, size_t size);

/*
 * For other children that read: close all but the standard streams and these two. One that is left behind must keep
 * nothing of ours open: a lock would stay taken until it ends.
 */
void apart_close_others(int to, int root);

#endif
