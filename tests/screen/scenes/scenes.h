/* SPDX-License-Identifier: MIT */
/* What the stage shows: devices, runs and bridges of a made-up minute, by its second. */
#ifndef BERTH_TESTS_SCREEN_SCENES_H
#define BERTH_TESTS_SCREEN_SCENES_H

#include "tui/snapshot.h"

#define SECOND UINT64_C(1000000000)
#define GIB    (INT64_C(1) << 30)
#define MIB    (UINT64_C(1) << 20)

/* A scene in its second `step`; the report is its owner's. */
struct scene {
	const char *name; /* calm, trouble, bridge, pulled, names, or NAME=FILE */
	uint32_t n, step; /* devices; seconds that went by */
	struct report *report;
};

/* Some number from 0 to 99 that moves. */
static inline int64_t wave(uint32_t step, uint32_t i)
{
	uint32_t up = (step * 7 + i * 31) % 200;

	return up < 100 ? up : 199 - up;
}

bool scene_devices(struct scene *sc); /* made up; false: out of memory */
void scene_move(struct scene *sc);
void scene_trouble(struct scene *sc, struct snapshot *s); /* of devices */

void scene_calm_runs(const struct scene *sc, struct snapshot *s);
void scene_trouble_runs(const struct scene *sc, struct snapshot *s);
void scene_odd_names(struct scene *sc, struct snapshot *s);

void scene_bridges(const struct scene *sc, struct snapshot *s, bool pulled);

#endif
