/* SPDX-License-Identifier: MIT */
/* How each backend of the engine lays out its buffers. */
#include <string.h>

#include "vram-planner/cost_priv.h"

#define MIB (UINT64_C(1) << 20)

/*
 * Alignment and row padding: the backend's get_alignment and get_alloc_size at llama.cpp v0.5.0.
 * Overhead: upper end of what users measured as free-memory drop less the engine's account (CUDA
 * contexts of 107 MiB on a 4060 Ti to 555 MiB on an RTX PRO 6000, llama.cpp issues 23604 and 20595);
 * a machine's own calibration replaces it when there is one.
 */
/* clang-format off */
static const struct backend backends[] = {
	{ "cpu",    32, false, false, false, false,         0,
	  "ggml-cpu.c, TENSOR_ALIGNMENT" },
	{ "cuda",  128, true,  true,  true,  true,  512 * MIB,
	  "ggml-cuda.cu, ggml_backend_cuda_buffer_type_get_{alignment,alloc_size}; MATRIX_ROW_PADDING" },
	{ "rocm",  128, true,  true,  true,  true,  512 * MIB,
	  "the CUDA backend compiled by HIP; overhead not measured, as CUDA" },
	{ "vulkan", 64, false, false, true,  true,  128 * MIB,
	  "ggml-vulkan.cpp, minStorageBufferOffsetAlignment: at most 64 on the drivers known" },
	{ "sycl",  128, true,  false, false, true,  512 * MIB,
	  "ggml-sycl.cpp, as CUDA; overhead not measured, as CUDA" },
	{ "rpc",    32, false, false, true,  false,         0,
	  "ggml-rpc.cpp: the server's alignment; checked against a CPU server" },
};
/* clang-format on */

const struct backend *backend_find(const char *name)
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		if (strcmp(backends[i].name, name) == 0)
			return &backends[i];
	}
	return NULL;
}
