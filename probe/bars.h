/* SPDX-License-Identifier: MIT */
/*
 * A function's BARs and a bridge's windows, as its `resource` file shows them. Part of probe.h. The parsers are pure;
 * every byte may be hostile.
 */
#ifndef BERTH_PROBE_BARS_H
#define BERTH_PROBE_BARS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

#define PROBE_BARS 7 /* six BARs and the expansion ROM */

struct bar {
	uint64_t address;    /* bus address as the host sees it; 0 = unassigned */
	uint64_t size_bytes; /* 0: no such BAR */
	bool io;             /* I/O ports, not memory */
	bool is_64bit;
	bool prefetchable;
	bool unassigned; /* implemented, but firmware and kernel found no room */
	/*
	 * Resizable BAR: resizable.v is 1 or 0. sizes: bit n set = it can have 2^(n+20) bytes; 0 while
	 * resizable.v is 1: it could, but which sizes is not known (the device sleeps).
	 */
	struct fact resizable;
	uint64_t sizes;
};

/* The largest size a resizable BAR can have, bytes; 0: not known, or it is not resizable. */
uint64_t bar_largest(const struct bar *b);

/* A size that a BAR or window can have: not 0, and below 2^62. */
bool bar_size_ok(uint64_t size);

/* The text of `resource`: bars[] is filled, lines that make no sense leave their BAR absent. */
void parse_resource(const char *text, struct bar bars[PROBE_BARS]);

/* One of a bridge's memory windows; size 0: it is closed. */
struct window {
	uint64_t start, size;
};

/* A bridge's windows, plain and prefetchable; both closed when the text is not a bridge's, or NULL. */
void bridge_windows(const char *resource, struct window *plain, struct window *prefetch);

/* Whether start .. start + size - 1 lies inside. */
bool window_holds(const struct window *w, uint64_t start, uint64_t size);

#endif
