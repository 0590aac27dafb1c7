/* SPDX-License-Identifier: MIT */
/* Who holds a GPU, and the displays attached to it. */
#ifndef BERTH_PROBE_PROCS_H
#define BERTH_PROBE_PROCS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

#define PROCS_MAX    32
#define DISPLAYS_MAX 12

/* One process; its clients of the same device are added up. */
struct gpu_proc {
	uint32_t pid;
	char name[32]; /* comm */
	struct fact
		vram; /* bytes resident on the card; SRC_PROC (fdinfo), SRC_SYSFS (KFD) or SRC_NVML */
	struct fact host;         /* bytes of RAM mapped for the GPU */
	struct fact_text engines; /* "compute", "render, video": what it has used */
};

struct display {
	char connector[24]; /* "DP-1" */
	bool connected, enabled;
	struct fact_text dpms; /* "On", "Off" */
};

struct holders {
	uint32_t n_procs, n_left_out;
	struct gpu_proc procs[PROCS_MAX]; /* by bytes, the largest first */
	struct fact unseen; /* processes whose descriptors we may not read: they may hold it too */
	uint32_t n_displays;
	struct display displays[DISPLAYS_MAX];
};

#endif
