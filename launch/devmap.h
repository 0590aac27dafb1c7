/* SPDX-License-Identifier: MIT */
/*
 * The devmap: which of the engine's devices is which of the machine's GPUs, matched by PCI address,
 * and from that the places a plan may use. Pure.
 */
#ifndef BERTH_LAUNCH_DEVMAP_H
#define BERTH_LAUNCH_DEVMAP_H

#include "base/err.h"
#include "base/json.h"
#include "probe/probe.h"
#include "vram-planner/plan.h"

#define DEVMAP_MAX       64
#define DEVMAP_NOTES_MAX 16

struct devmap_device {
	char name[32], description[120], backend[16];
	char pci[24]; /* empty: the engine knows no address */
	char type[8]; /* "gpu", "igpu", "cpu", "accel" */
	uint64_t total_bytes, free_bytes;
};

struct devmap {
	uint32_t n;
	struct devmap_device devices[DEVMAP_MAX];
};

/* Read a "berth.devices/1" answer. 0, or -EBADMSG. */
int devmap_from_json(struct devmap *m, const json_t *o, struct err *e);

struct devmap_choice {
	uint32_t n;
	struct place places[PLAN_DEVICES_MAX];
	struct host_place host;
	uint32_t n_notes; /* a GPU that is not used, and why */
	char notes[DEVMAP_NOTES_MAX][240];
	uint32_t n_assumed; /* what the plan must say about itself */
	char assumed[DEVMAP_NOTES_MAX][160];
};

/*
 * The places to plan with. selector NULL: every GPU that the engine can drive, integrated ones only
 * where there is no other; "cpu": none. Else a list as probe_select reads it, in which a name of the
 * engine's ("Vulkan0") also counts: the only way to use a device without a PCI address. 0; -ENODEV,
 * -EINVAL with *e.
 */
int devmap_choose(struct devmap_choice *c, const struct devmap *m, const struct report *r,
		  const char *selector, struct err *e);

#endif
