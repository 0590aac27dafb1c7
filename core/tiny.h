/* SPDX-License-Identifier: MIT */
/* A model of our own that computes nothing of use: small, in a moment, for what a first run sets up. */
#ifndef BERTH_CORE_TINY_H
#define BERTH_CORE_TINY_H

#include <stdbool.h>

#define TINY_LAYERS 2
#define TINY_BATCH  512 /* half of its context; also its vocabulary, which has no words */

/* Write it as a GGUF file of some MiB. false: it could not be written. */
bool tiny_write(const char *path);

#endif
