/* SPDX-License-Identifier: MIT */
/*
 * Memory pools of one GPU, kept apart: which interface sees which, and never a sum without a label. An
 * APU's carve-out, GTT and KFD pool overlap: adding them counts the same RAM twice.
 */
#ifndef BERTH_PROBE_MEMORY_H
#define BERTH_PROBE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

#define POOLS_MAX 8

enum pool_kind {
	POOL_NONE = 0,
	POOL_VRAM,     /* on the card */
	POOL_VISIBLE,  /* the part of VRAM that the CPU can reach; inside POOL_VRAM */
	POOL_CARVEOUT, /* RAM that the firmware set aside for an integrated GPU */
	POOL_GTT,      /* RAM that the driver may map for the GPU (amdgpu) */
	POOL_KFD,      /* what ROCm's kernel interface offers; overlaps POOL_VRAM or POOL_GTT */
	POOL_UNIFIED,  /* the machine's RAM, shared with the CPU */
	POOL_BAR1,     /* NVIDIA's window into VRAM; inside POOL_VRAM */
	POOL_COUNT
};

struct pool {
	enum pool_kind kind;
	struct fact total, used, free; /* bytes */
	char seen_by[80]; /* "Vulkan, ROCm (coarse)": the interfaces that allocate from it */
	char inside[16];  /* name of the pool that this one is a part of; empty: of its own */
};

struct gpu_memory {
	/* What was read and asked; pools are made of it, and of vram_*, gtt_* and kfd of struct gpu. */
	struct fact integrated; /* 1: it works in the machine's RAM; decided */
	bool asked;             /* the driver was asked by ioctl */
	struct fact visible_total, visible_used;
	struct fact vram_region;           /* the largest of a card of several tiles */
	struct fact bar1_total, bar1_used; /* NVML's; else the size of BAR 1 */
	struct fact system_total;          /* RAM that i915 or xe offers to the GPU */
	struct fact page_limit;            /* ttm.pages_limit in bytes: all GPUs' GTT together */

	uint32_t n_pools;
	struct pool pools[POOLS_MAX];
	struct fact
		largest_alloc; /* bytes: the largest single allocation one may honestly hope for now */
	char largest_alloc_how[120]; /* by which rule */
	/*
	 * Where nobody tells vram_total: what the window into the card suggests, SRC_GUESS. A window as large
	 * as it can be is the memory rounded up to a power of two. For people; nothing is planned by it.
	 */
	struct fact vram_estimate;
};

const char *pool_kind_name(
	enum pool_kind k); /* "vram", "visible", "carve-out", "gtt", "kfd", ... */

#endif
