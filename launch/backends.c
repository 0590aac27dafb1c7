/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>

#include "launch/backends.h"

/*
 * Sources: CUDA C++ Programming Guide, "CUDA Environment Variables" (CUDA_VISIBLE_DEVICES takes
 * GPU-<uuid>, CUDA_DEVICE_ORDER=PCI_BUS_ID); ROCm documentation, "GPU isolation techniques"
 * (ROCR_VISIBLE_DEVICES takes GPU-<uuid>; HIP_VISIBLE_DEVICES takes indices and applies on top). Vulkan's
 * selector (GGML_VK_VISIBLE_DEVICES, ggml-vulkan.cpp) and SYCL's (ONEAPI_DEVICE_SELECTOR) take only indices,
 * which are no identity: there the core names the devices it uses, and nothing is hidden.
 */
/* clang-format off */
const struct launch_backend launch_backends[] = {
	{ "cuda", "CUDA_VISIBLE_DEVICES", NULL, "CUDA_DEVICE_ORDER", "PCI_BUS_ID" },
	{ "rocm", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", NULL, NULL },
	{ "sycl", NULL, NULL, NULL, NULL },
	{ "vulkan", NULL, NULL, NULL, NULL },
	{ "opencl", NULL, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
/* clang-format on */

uint32_t launch_backend_rank(const char *name)
{
	for (uint32_t i = 0; launch_backends[i].name; i++)
		if (strcmp(launch_backends[i].name, name) == 0)
			return i;
	return UINT32_MAX;
}
