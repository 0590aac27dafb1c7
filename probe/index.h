/* SPDX-License-Identifier: MIT */
/*
 * The index each programming interface gives a GPU. An index is no identity: it is shown beside the
 * PCI address so that an environment line can be made of it, and it says who told it: a rule of the
 * interface (table), a rule with an assumption (guess), or the interface itself, asked with --wake (api).
 */
#ifndef BERTH_PROBE_INDEX_H
#define BERTH_PROBE_INDEX_H

#include "base/fact.h"
#include "base/text.h"

struct index_map {
	struct fact drm_card;     /* N of /dev/dri/cardN */
	struct fact drm_render;   /* N of /dev/dri/renderDN */
	struct fact nvml;         /* minor number of /dev/nvidiaN */
	struct fact cuda;         /* with CUDA_DEVICE_ORDER=PCI_BUS_ID */
	struct fact cuda_fastest; /* without it: CUDA's own order, which only CUDA can tell */
	struct fact hip;          /* ROCR_VISIBLE_DEVICES counts so */
	struct fact vulkan;       /* N of the engine's device "VulkanN" */
	struct fact
		vulkan_loader; /* what GGML_VK_VISIBLE_DEVICES takes: the Vulkan loader's own count */
	struct fact level_zero; /* with ZE_ENABLE_PCI_ID_DEVICE_ORDER=1 */
};

#endif
