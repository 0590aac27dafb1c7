/* SPDX-License-Identifier: MIT */
/*
 * An upper bound of the compute buffers of an architecture whose graph nobody has written down: as if a
 * layer's results were all alive at once, whichever they are. Loose by design: about twice what is
 * needed, never less on any measured model of the usual kind.
 */
#ifndef BERTH_BOUND_H
#define BERTH_BOUND_H

#include "vram-planner/compute.h"

/*
 * Fills *out as compute_bytes() does, but for the graph's counts. The ask is settled. 0; -ENOTSUP with
 * out->fault where max_buffer_bytes of a device may move operations to the host.
 */
int compute_bound(const struct shape *s, const struct ask *a, const struct placement *p,
		  struct compute_bytes *out);

#endif
