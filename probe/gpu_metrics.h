/* SPDX-License-Identifier: MIT */
/*
 * amdgpu's gpu_metrics: one binary table of sensors whose layout depends on the version in its first four
 * bytes. Pure: any bytes in, facts out.
 */
#ifndef BERTH_PROBE_GPU_METRICS_H
#define BERTH_PROBE_GPU_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/fact.h"

#define GPU_METRICS_MAX                                                                            \
	8192 /* the longest layout, v1.8, has 3872 bytes; a file of sysfs one page */

/* Unknown with WHY_NOT_EXPORTED: the layout has no such number, or the device leaves it out. */
struct gpu_metrics {
	struct fact_text version; /* "1.3" */
	struct fact temp_mc, temp_hotspot_mc, temp_memory_mc;
	struct fact busy_percent, mem_busy_percent;
	struct fact power_mw;  /* of the socket; where the layout's unit is fixed */
	struct fact energy_uj; /* since the driver was loaded */
	struct fact core_mhz, mem_mhz;
	struct fact voltage_mv;
	/*
	 * Why the clocks are held down, commas between; "none". Every reason begins with its kind: "power",
	 * "current", "thermal" or "other".
	 */
	struct fact_text throttle;
};

/*
 * 0; -EBADMSG: shorter than it says, or than its version is: everything is garbled; -ENOTSUP: a layout
 * that no table here describes: only the version is known.
 */
int gpu_metrics_parse(const uint8_t *bytes, size_t n, struct gpu_metrics *m);

#endif
