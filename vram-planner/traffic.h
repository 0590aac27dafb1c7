/* SPDX-License-Identifier: MIT */
/*
 * What one token costs: the bytes that each memory is read for, and the arithmetic. Pure; of a placement
 * and the configuration it was made for.
 */
#ifndef BERTH_TRAFFIC_H
#define BERTH_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "vram-planner/ask.h"
#include "vram-planner/placement.h"
#include "vram-planner/shape.h"

/* Of one home. Doubles: sums of terabytes with fractions of experts; exactness is not the point here. */
struct home_traffic {
	double token_bytes; /* read to generate one token: weights in use, cache, states */
	double cache_bytes; /* of them cache and states */
	double all_bytes;   /* all weights that a batch of a prompt goes through: every expert */
	double token_flops; /* to compute one token */
};

struct traffic {
	struct home_traffic device[PLAN_DEVICES_MAX];
	struct home_traffic host;
	uint32_t hops; /* how often a token's vector goes from one memory to another */
	bool routed;   /* a token goes through some of many experts */
};

/* `depth`: tokens that are in the context already. */
void traffic_of(struct traffic *t, const struct shape *s, const struct placement *p,
		const struct ask *a, uint32_t depth);

/* All memories together. */
double traffic_token_bytes(const struct traffic *t);

#endif
