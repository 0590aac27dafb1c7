/* SPDX-License-Identifier: MIT */
/*
 * What ROCm's kernel interface (amdkfd) says of one GPU. Its files are cached: reading them wakes
 * nothing. One card has as many nodes as it has compute partitions (MI300 in CPX mode: eight).
 */
#ifndef BERTH_PROBE_KFD_H
#define BERTH_PROBE_KFD_H

#include <stdint.h>

#include "base/fact.h"

struct kfd {
	uint32_t n_nodes;  /* 0: the interface does not list it */
	struct fact simds; /* of all nodes */
	struct fact bytes; /* the memory banks of all nodes together */
	struct fact
		node_bytes; /* of the smallest node: one process' allocation stays in one node */
	struct fact xgmi_links;    /* direct links to nodes of other GPUs */
	struct fact xgmi_mb_per_s; /* of the slowest of them, 10^6 bytes a second each way */
};

#endif
