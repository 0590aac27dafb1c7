/* SPDX-License-Identifier: MIT */
/*
 * The engine's devices, and which of them a plan means. Identity is the PCI address; the engine's own
 * name counts only for a device that has none (software Vulkan).
 */
#ifndef BERTH_CORE_DEVICE_H
#define BERTH_CORE_DEVICE_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/planfile.h"

#define CORE_DEVICES_MAX 64

struct engine_device {
	char name[32];         /* "CUDA0" */
	char description[120]; /* "NVIDIA GeForce RTX 3090" */
	char backend[16]; /* the backend's name in lower case: "cuda", "vulkan", "rocm", "cpu" */
	char pci[24];     /* "0000:c1:00.0", empty: the engine does not know */
	char type[8];     /* "gpu", "igpu", "cpu", "accel", "meta" */
	uint64_t total_bytes,
		free_bytes; /* as the engine says; software devices say the host's RAM */
};

/*
 * The engine's id of a PCI device: lower case, and cut at the "-v0" that a virtual CUDA device
 * carries. An id that is no PCI address gives "".
 */
void device_pci(char pci[24], const char *id);

/*
 * For each device of the plan, which of the engine's it is: index[plan->n_devices]. By PCI address and
 * backend; by engine_name when the plan has no address. 0, or -ENODEV with *e naming the device that
 * is not there, or that would be used twice.
 */
int device_match(const struct plan *p, const struct engine_device *devices, uint32_t n,
		 uint32_t index[PLAN_DEVICES_MAX], struct err *e);

/* The plan of a plan's draft by itself: its one device, or none, is of the plan's devices that `device` says. */
void plan_of_draft(struct plan *draft, const struct plan *p);

/*
 * Whether a plan can be carried out at all: its verdict says it runs, its sizes are not zero, and its
 * layers add up. 0, or -EBADMSG with *e.
 */
int plan_runnable(const struct plan *p, struct err *e);

/* "berth.devices/1": what `core --list-devices --json` prints. The caller owns it. */
json_t *devices_to_json(const char *engine, const struct engine_device *devices, uint32_t n);

#endif
