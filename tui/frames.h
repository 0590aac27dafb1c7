/* SPDX-License-Identifier: MIT */
/*
 * What a recording keeps of a snapshot, as flat JSON objects: one of the machine, one of each device, one of
 * each run, one of each bridge. Made from a snapshot and back. Pure. Objects that are read are hostile: what is absent or
 * of the wrong kind is unknown, and every text is cleaned.
 */
#ifndef BERTH_TUI_FRAMES_H
#define BERTH_TUI_FRAMES_H

#include "tui/snapshot.h"

struct device_told {
	struct gpu gpu;
	struct device_seen seen;
};

/*
 * All of it, or with `was` only the keys whose values differ from then; an empty object: none does. NULL: a
 * key of then is none any more, so that only all of it would do. The caller owns what it gets.
 */
json_t *frame_of_machine(const struct report *r, const struct report *was);
json_t *frame_of_device(const struct gpu *g, const struct device_seen *seen,
			const struct device_told *was);
json_t *frame_of_run(const struct run_seen *r, const struct run_seen *was);
json_t *frame_of_bridge(const struct bridge_seen *b, const struct bridge_seen *was);

/* What frame_of_device() compares with the next time; the rest of *told stays as it is. */
void frame_told_device(struct device_told *told, const struct gpu *g,
		       const struct device_seen *seen);

/* Fill a zeroed target. */
void frame_to_machine(const json_t *o, struct report *r);
void frame_to_device(const json_t *o, struct gpu *g, struct device_seen *seen);

/* A run's page comes back without its ring of samples, which a recording does not keep. */
void frame_to_run(const json_t *o, struct run_seen *r);

/* All but its key, which is the frame's id. */
void frame_to_bridge(const json_t *o, struct bridge_seen *b);

#endif
