/* SPDX-License-Identifier: MIT */
/*
 * What a recording keeps of a snapshot, as flat JSON objects: one of the machine, one of each device, one of
 * each run. Made from a snapshot and back. Pure. Objects that are read are hostile: what is absent or
 * of the wrong kind is unknown, and every text is cleaned.
 */
#ifndef BERTH_TUI_FRAMES_H
#define BERTH_TUI_FRAMES_H

#include "tui/snapshot.h"

/* The caller owns what it gets. */
json_t *frame_of_machine(const struct report *r);
json_t *frame_of_device(const struct gpu *g, const struct device_seen *seen);
json_t *frame_of_run(const struct run_seen *r);

/* Fill a zeroed target. */
void frame_to_machine(const json_t *o, struct report *r);
void frame_to_device(const json_t *o, struct gpu *g, struct device_seen *seen);

/* A run's page comes back without its ring of samples, which a recording does not keep. */
void frame_to_run(const json_t *o, struct run_seen *r);

#endif
