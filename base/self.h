/* SPDX-License-Identifier: MIT */
/* Where this installation lies: the build tree and PREFIX have the same shape, and both may be moved. */
#ifndef BERTH_SELF_H
#define BERTH_SELF_H

#include <stddef.h>

#include "base/err.h"

/*
 * The absolute path of a file of it: "libexec/berth/core", "lib/berth"; "" is its root. From the running
 * program, which is in bin/ or libexec/berth/. 0; -errno with *e. Whether the file is there is not asked.
 */
int self_path(char *path, size_t size, const char *file, struct err *e);

#endif
