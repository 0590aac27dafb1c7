/* SPDX-License-Identifier: MIT */
/*
 * The engine's account: what its log said, added up per device. Nothing in here comes from the plan
 * but the order of the devices.
 */
#ifndef BERTH_CORE_ACCOUNT_H
#define BERTH_CORE_ACCOUNT_H

#include <stdint.h>

#include "base/telem.h"
#include "core/device.h"
#include "core/enginelog.h"

struct account_device {
	char name[ENGINELOG_NAME_MAX]; /* the engine's; "CPU" for the host */
	char pci[24];
	char backend[16];
	uint32_t layers; /* found on it, the output counted */
	struct telem_bytes
		bytes;           /* weights, kv, compute (with outputs); other: see account_other */
	uint64_t rounding_bytes; /* the largest error of each of these sums */
};

struct account {
	uint32_t n_layers;  /* named by the engine, the output counted */
	uint32_t n_devices; /* in the plan's order, then the host as the last */
	struct account_device devices[PLAN_DEVICES_MAX + 1];
	uint64_t unplaced_bytes; /* of buffers that belong to none of these devices */
};

/*
 * Add up. `devices` are the engine's, `index` what device_match found for the plan's n devices. Buffers
 * of host memory (CPU, CPU_Mapped, CPU_REPACK, AMX, Vulkan_Host, CUDA_Host, ...) are the host's.
 */
void account_make(struct account *a, const struct enginelog *l, const struct engine_device *devices,
		  const uint32_t *index, uint32_t n);

/* Add the buffers of another model's log, which has no layers of its own in the account. */
void account_add(struct account *a, const struct enginelog *l);

/*
 * What else is gone from a device: the drop of its free memory less the account. TELEM_UNKNOWN when
 * free memory did not drop by at least the account (another process freed some meanwhile).
 */
uint64_t account_other(const struct telem_bytes *b, uint64_t free_before, uint64_t free_after);

#endif
