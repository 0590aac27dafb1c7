/* SPDX-License-Identifier: MIT */
/* How much of a device is left alone, and how far a bill may be trusted. */
#ifndef BERTH_MARGIN_H
#define BERTH_MARGIN_H

#include "base/fact.h"
#include "vram-planner/bill.h"

/*
 * What stays free for other programs: `wanted` when the user said it, else 2 % of the memory and at
 * least 256 MiB.
 */
uint64_t margin_bytes(const struct fact *wanted, uint64_t memory_bytes);

/* What the engine puts into the memory of device i: weights, cache, compute. Saturates. */
uint64_t bill_device_bytes(const struct bill *b, uint32_t i);

/*
 * What it puts into host memory. With `hard`, only what the kernel cannot drop: not the weights that
 * stay pages of the mapped file.
 */
uint64_t bill_host_bytes(const struct bill *b, bool hard);

/* Whether the run needs host memory for what devices could have: weights of a unit, or caches. */
bool bill_spills(const struct bill *b);

/* How far the compute part of device i may be short of the truth; a verdict counts it as needed. */
uint64_t bill_doubt_bytes(const struct bill *b, uint32_t i);

#endif
