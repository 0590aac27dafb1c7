/* SPDX-License-Identifier: MIT */
/*
 * The search: which units of a model on which device (fill.c), and which configuration at all
 * (search.c). Pure: bills in, a choice out.
 */
#ifndef BERTH_SEARCH_PRIV_H
#define BERTH_SEARCH_PRIV_H

#include "vram-planner/bill.h"
#include "vram-planner/plan.h"

/* A device that takes part: its free memory is known and its backend has a row. */
struct seat {
	uint32_t place; /* index into the places given */
	struct target target;
	uint64_t free_bytes;
	uint64_t taken_bytes; /* by the driver and the margin */
	double bandwidth;     /* of its memory, bytes a second; 0: unknown */
};

struct placing;

struct search {
	struct biller *biller;
	uint32_t n_units; /* repeating layers and the output */
	uint32_t n_seats; /* most free memory first */
	struct seat seats[PLAN_DEVICES_MAX];
	struct fact host_free;
	uint64_t host_taken;
	/* Whether a placing is as fast as was wished, for all that is known; NULL: any is. */
	bool (*fast_enough)(void *arg, const struct placing *p);
	void *arg;
};

/* What of a placement is given; the rest is free. */
struct pinned {
	bool by_shares; /* ask.split and ask.n_gpu_layers are by hand, in the order of the places */
	bool gpu_layers;  /* ask.n_gpu_layers is */
	bool experts;     /* ask.n_cpu_moe is */
	bool all_devices; /* every device takes part: tensors are sent to them by name */
};

/* A placement that was found: the devices in their order, the rest on the host. */
struct placing {
	struct ask ask; /* settled, with the split as the engine wants it */
	uint32_t n;
	uint32_t seat[PLAN_DEVICES_MAX];
	struct bill bill;
	bool devices_hold; /* every device holds its part, its margin and the bill's doubt */
	bool host_holds;   /* so does the host; true when its memory is not known */
};

/* What device i of a placing needs beside the engine's own: driver, margin, doubt. */
uint64_t placing_taken(const struct search *s, const struct placing *p, uint32_t i);

/* Everything of it fits on devices, and holds. */
bool placing_fits(const struct placing *p);

/* It runs, on devices or with the host's help. */
bool placing_runs(const struct placing *p);

/*
 * Everything on devices: on one if one can hold it (the fastest, else the one with the most free
 * memory), else on the fewest. False when there is no such placement.
 */
bool fill_devices(struct search *s, const struct ask *a, const struct pinned *pin,
		  struct placing *p);

/* Every layer on devices, with all experts on the host, or as many as are pinned. */
bool fill_with_host_experts(struct search *s, const struct ask *a, const struct pinned *pin,
			    struct placing *p);

/*
 * The best placement: all on devices if they can, the fewest of them; else with as few experts on the
 * host as they allow, or as few layers; else all on the host. Whether even that holds is in *p. 0, or
 * the error of the bill (-ERANGE, -ENOTSUP) with *e; a refusal of the engine is in p->bill.
 */
int fill_best(struct search *s, const struct ask *a, const struct pinned *pin, struct placing *p,
	      struct err *e);

/*
 * Close what the wish leaves open: fills *a (not its placement) for the goal, or leaves it as it is when
 * nothing reaches the goal. `a` is what was pinned, and defaults. True when the goal is reached.
 */
bool search_settings(struct search *s, const struct wish *w, const struct pinned *pin,
		     uint32_t n_ctx_train, struct ask *a);

#endif
