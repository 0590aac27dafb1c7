/* SPDX-License-Identifier: MIT */
/* What DRM drivers say about memory through ioctls: src_drm.c asks, ioctl.c decides. */
#ifndef BERTH_PROBE_IOCTL_PRIV_H
#define BERTH_PROBE_IOCTL_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

#define DRM_REGIONS_MAX 16

enum drm_region_kind { REGION_VRAM, REGION_GTT, REGION_SYSTEM };

struct drm_region {
	enum drm_region_kind kind;
	bool used_known, visible_known, visible_used_known;
	uint64_t total, used; /* bytes */
	uint64_t visible, visible_used;
};

struct drm_memory {
	bool kind_known, integrated; /* the driver's own word on whether it works in RAM */
	uint32_t n;
	struct drm_region regions[DRM_REGIONS_MAX];
};

/* Whether a kernel driver answers questions about memory, and whether they wake its device. */
bool drm_answers(const char *driver, bool *wakes);

/*
 * Ask through a render node. 0, or a negative errno: -EBADMSG when the node is not this driver's, or
 * what came back makes no sense; -ENOTTY or -EINVAL from a driver that has no such question.
 */
int drm_ask_memory(const char *node, const char *driver, struct drm_memory *m);

/* One device in answers/ioctl.json. */
struct ioctl_fn {
	char pci[24];
	enum why why; /* WHY_NONE: it answered */
	struct fact integrated;
	struct fact vram_total, vram_used, vram_free; /* of all regions on the card */
	struct fact vram_regions, vram_region;        /* how many, and the largest */
	struct fact visible_total, visible_used;
	struct fact gtt_total, gtt_used;
	struct fact system_total;
};

/* Pure: regions in, facts out. */
void ioctl_facts(const struct drm_memory *m, struct ioctl_fn *f);

#endif
