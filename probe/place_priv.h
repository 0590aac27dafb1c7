/* SPDX-License-Identifier: MIT */
/* Inside probe/: the pure part of place.c, which tests call. */
#ifndef BERTH_PROBE_PLACE_PRIV_H
#define BERTH_PROBE_PLACE_PRIV_H

#include "probe/probe_priv.h"

/* Isolation, the quality of resets and what speaks against passthrough, from the facts in g and r. */
void place_decide(const struct report *r, struct gpu *g);

#endif
