/* SPDX-License-Identifier: MIT */
#ifndef BERTH_ROUND_H
#define BERTH_ROUND_H

#include <stdint.h>

/* The multiple of `to` that is v or next above it; `to` is not 0, and v + to does not wrap. */
static inline uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

#endif
