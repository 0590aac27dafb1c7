/* SPDX-License-Identifier: MIT */
/*
 * What the compute interfaces themselves list. Asking opens every GPU and wakes it: only with --wake,
 * each in a child of its own. src_api.c asks, index.c makes numbers of the answer.
 */
#ifndef BERTH_PROBE_API_PRIV_H
#define BERTH_PROBE_API_PRIV_H

#include "base/fact.h"
#include "base/json.h"

#define API_DEVICES_MAX 64

enum api { API_CUDA, API_CUDA_FASTEST, API_HIP, API_LEVEL_ZERO, API_VULKAN, API_COUNT };

struct api_device {
	char pci[24];  /* empty: it has none, or does not tell */
	uint32_t type; /* Vulkan's: 0 other, 1 integrated, 2 discrete, 3 virtual, 4 CPU */
	uint32_t vendor, driver_id; /* Vulkan's */
	uint32_t same;   /* Vulkan: index of the first device with this UUID; else its own */
	uint32_t driver; /* Level Zero: number of the driver that lists it */
	bool lacking;    /* Vulkan: without what the engine needs */
};

/* In the interface's own order. */
struct api_list {
	enum why why; /* set: nobody answered */
	uint32_t n;
	struct api_device devices[API_DEVICES_MAX];
};

const char *api_name(enum api a); /* "cuda", "cuda_fastest", "hip", "level_zero", "vulkan" */

/* One interface, in a child that has timeout_ms. */
void api_ask(enum api a, int timeout_ms, struct api_list *l);

/* Pure. answers/api.json and back; what comes back is bounded, whatever the file holds. */
json_t *api_list_to_json(const struct api_list *l);
void api_list_from_json(struct api_list *l, const json_t *o);

/*
 * Pure. Which of Vulkan's devices the engine takes, in its order: chosen[N] is the device of "VulkanN".
 * Returns the count.
 */
uint32_t api_vulkan_choice(const struct api_list *l, uint32_t chosen[API_DEVICES_MAX]);

#endif
