/* SPDX-License-Identifier: MIT */
/* How fast a device is, by a few products and copies. */
#ifndef BERTH_CORE_TIMING_H
#define BERTH_CORE_TIMING_H

#include <stdint.h>

#define TIMED_BYTES (UINT64_C(256) << 20) /* more than any cache holds */

struct timing {
	/* At which it reads its own memory in a product of a matrix and a vector; 0: not timed. */
	uint64_t read_bytes_s;
	uint64_t link_bytes_s; /* at which bytes of the host get there; 0: not timed */
};

/*
 * Time the engine's device of this index (its backend must be loaded). Takes some hundred
 * milliseconds, and TIMED_BYTES there and here meanwhile. `threads` matters to the CPU only.
 */
void timing_take(struct timing *t, uint32_t device, uint32_t threads);

#endif
