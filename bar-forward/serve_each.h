/* SPDX-License-Identifier: MIT */
/* Several functions served at once, each by a process of its own: one that ends badly ends the others. */
#ifndef BERTH_SERVE_EACH_H
#define BERTH_SERVE_EACH_H

#include <stdint.h>

#include "base/err.h"

/*
 * Fork n processes. In each: -1, with *mine its number; it goes on as if it were alone, and ends when we do. In this one, when
 * all have ended: the first exit code that is not 0, or 0; signals to end, and SIGHUP, are passed on to all. Below -1: a
 * negative errno with *e.
 */
int serve_each(uint32_t n, uint32_t *mine, struct err *e);

#endif
