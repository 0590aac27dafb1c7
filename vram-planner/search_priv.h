/* SPDX-License-Identifier: MIT */
/* The choice of a placement: which units of a model on which device. */
#ifndef BERTH_SEARCH_PRIV_H
#define BERTH_SEARCH_PRIV_H

#include "vram-planner/cost_priv.h"
#include "vram-planner/plan.h"

/* A device that takes part: its free memory is known and its backend has a row. */
struct seat {
	uint32_t place; /* index into the places given */
	const struct backend *backend;
	uint64_t free_bytes, margin_bytes;
};

struct search {
	struct costs costs;
	uint32_t n_slots; /* most free memory first */
	struct seat slots[PLAN_DEVICES_MAX];
	struct fact host_free;
	uint64_t host_margin_bytes;
};

/* A placement that was found: the devices in their order, the rest on the host. */
struct placing {
	uint32_t n;
	uint32_t slot[PLAN_DEVICES_MAX];
	uint32_t units[PLAN_DEVICES_MAX];
	uint32_t n_host;
	struct plan_buffers buffers[PLAN_DEVICES_MAX]; /* with the margin in overhead */
	struct plan_buffers host;
	bool devices_hold; /* every device holds its part */
	bool host_holds;   /* so does the host; true when its memory is not known */
};

/*
 * Everything on devices: on one if one can hold it (the one with the most free memory), else on the
 * fewest. False when there is no such placement; the host's part is judged in *p, too.
 */
bool search_fits(const struct search *s, struct placing *p);

/*
 * The best placement: all on the devices if they can, the fewest of them; else as many units as
 * they hold; else all on the host. Whether even that holds is in the result.
 */
void search_best(const struct search *s, struct placing *p);

/* The units given by hand, in the order of the places. Fills the buffers; judged like any other. */
void search_by_hand(const struct search *s, const uint32_t *units, uint32_t n, struct placing *p);

/* What all units need on the device with the most free memory alone. */
uint64_t search_full_need(const struct search *s);

#endif
