/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of one DRM client in /proc/PID/fdinfo/FD. Pure; the text is hostile. Source:
 * Documentation/gpu/drm-usage-stats.rst, Linux 5.19 to 7.2.
 */
#ifndef BERTH_PROBE_FDINFO_H
#define BERTH_PROBE_FDINFO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

enum engine {
	ENGINE_COMPUTE = 1,
	ENGINE_RENDER = 2,
	ENGINE_COPY = 4,
	ENGINE_VIDEO = 8,
};

struct fdinfo {
	char driver[24];
	char pdev[24]; /* PCI address; empty: not on PCI, or an old kernel */
	bool has_client;
	uint64_t client;        /* one number for all descriptors of one opening */
	struct fact vram, host; /* bytes: on the card, and of RAM mapped for the GPU */
	uint32_t engines;       /* enum engine, of those that have worked for it */
};

/* False when it is no DRM client's. */
bool fdinfo_parse(const char *text, struct fdinfo *f);

/* "compute, copy"; unknown (not exported) for none. */
struct fact_text engines_text(uint32_t engines, enum src src);

#endif
