/* SPDX-License-Identifier: MIT */
/*
 * Which drivers and devices the engine may see: enumerating a GPU wakes it, and some drivers take memory on
 * each one they see. Pure.
 */
#ifndef BERTH_LAUNCH_NARROW_H
#define BERTH_LAUNCH_NARROW_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/probe.h"

#define NARROW_BACKENDS_MAX 8

struct narrow {
	uint32_t n_backends; /* 0: nothing is hidden */
	const char *backends[NARROW_BACKENDS_MAX];
	char cuda[PROBE_GPUS_MAX * 48],
		rocm[PROBE_GPUS_MAX * 48]; /* lists of UUIDs; "": do not hide */
	char vulkan[128];                  /* for VK_LOADER_DRIVERS_SELECT; "": do not hide */
};

/*
 * What these GPUs of the report need. false, and nothing is hidden: one of them has a driver of which that
 * is not known, or there is none.
 */
bool narrow_make(struct narrow *n, const struct report *r, const uint32_t *index, uint32_t count);

#endif
