/* SPDX-License-Identifier: MIT */
/* The devices of a plan: this machine's, a captured one's, or GPUs that are nowhere. */
#ifndef BERTH_DEVICES_H
#define BERTH_DEVICES_H

#include "base/cmd.h"
#include "base/log.h"
#include "vram-planner/plan.h"

/* What counts as free; in the order of devices_free_choices. */
enum devices_free { FREE_NOW, FREE_AFTER_UNLOAD, FREE_TOTAL };

extern const char *const devices_free_choices[];

struct devices_opts {
	const char *device, *machine;
	const char *ram_bandwidth; /* NULL: unknown */
	struct opt_list gpus;
	int free;
	uint64_t ram; /* UINT64_MAX: what is available */
	bool wake;
};

#define DEVICES_NOTES_MAX 8

struct devices {
	uint32_t n;
	struct place places[PROBE_GPUS_MAX];
	struct host_place host;
	uint32_t n_notes;
	char notes[DEVICES_NOTES_MAX][160]; /* what the plan must say that it took for granted */
};

/*
 * Find them. With GPUs that are not here nothing of this machine is read but its free memory, unless
 * devices of it are named too. -EINVAL (a bad selector or GPU), -ENODEV, or as probe_collect().
 */
int devices_find(struct devices *d, const struct devices_opts *o, const struct log *log,
		 struct err *e);

/* Count what berth's own living runs hold as free, by their telemetry pages, and note it. */
void devices_free_runs(struct devices *d);

#endif
