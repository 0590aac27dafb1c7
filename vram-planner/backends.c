/* SPDX-License-Identifier: MIT */
/* How each backend of the engine lays out its buffers. */
#include <string.h>

#include "vram-planner/backend.h"
#include "vram-planner/graph.h"

#define MIB (UINT64_C(1) << 20)

/*
 * Alignment and row padding: the backend's get_alignment and get_alloc_size at llama.cpp v0.5.0.
 * Overhead: upper end of what users measured as free-memory drop less the engine's account (CUDA
 * contexts of 107 MiB on a 4060 Ti to 555 MiB on an RTX PRO 6000, llama.cpp issues 23604 and 20595);
 * a machine's own calibration replaces it when there is one.
 */
/* Types by their ids in the file (quants.c). */
#define T(id)      (UINT64_C(1) << (id))
#define ROWS_PLAIN (T(0) | T(1) | T(30) | T(26))           /* f32 f16 bf16 i32 */
#define ROWS_SMALL (T(2) | T(3) | T(6) | T(7) | T(8))      /* q4_0 q4_1 q5_0 q5_1 q8_0 */
#define ROWS_K     (T(10) | T(11) | T(12) | T(13) | T(14)) /* q2_K to q6_K */
#define ROWS_IQ    (T(16) | T(17) | T(18) | T(19) | T(20) | T(21) | T(22) | T(23) | T(29))
#define ROWS_NEW   (T(34) | T(35) | T(39) | T(40) | T(41) | T(42)) /* tq, mxfp4, nvfp4, q1_0, q2_0 */
#define ROWS_ALL   UINT64_MAX

/* clang-format off */
static const struct backend backends[] = {
	{ .name = "cpu", .alignment = 32, .row_types = ROWS_ALL,
	  .source = "ggml-cpu.c, TENSOR_ALIGNMENT" },
	{ .name = "cuda", .alignment = 128, .host_alignment = 64, .row_types = ROWS_PLAIN | ROWS_SMALL,
	  .ops = OPS_CUDA, .pads_rows = true, .stages_kv = true, .copies_inputs = true, .offloads_ops = true,
	  .overhead_bytes = 512 * MIB,
	  .source = "ggml-cuda.cu, ggml_backend_cuda_buffer_type_get_{alignment,alloc_size}; "
		    "MATRIX_ROW_PADDING; rows and pinned memory as measured with 0.7.0" },
	{ .name = "rocm", .alignment = 128, .host_alignment = 64, .row_types = ROWS_PLAIN | ROWS_SMALL,
	  .ops = OPS_CUDA, .pads_rows = true, .stages_kv = true, .copies_inputs = true, .offloads_ops = true,
	  .overhead_bytes = 512 * MIB,
	  .source = "the CUDA backend compiled by HIP; overhead not measured, as CUDA" },
	{ .name = "vulkan", .alignment = 16, .host_alignment = 64, .host_padding = 32,
	  .row_types = ROWS_PLAIN | ROWS_SMALL | ROWS_K | ROWS_IQ | ROWS_NEW, .scans_wide = true,
	  .lacks = UINT64_C(1) << OP_HC_COMB, .ops = OPS_VULKAN, .reorders = true,
	  .max_chunk_bytes = 1024 * MIB,
	  .copies_inputs = true, .offloads_ops = true, .overhead_bytes = 128 * MIB,
	  .source = "ggml-vulkan.cpp; minStorageBufferOffsetAlignment as measured on lavapipe, and as on "
		    "NVIDIA: a driver's 64 adds at most 48 bytes a tensor. HC_COMB wants subgroups of 16, which "
		    "lavapipe lacks; on cards that have them its absence here errs on the safe side" },
	{ .name = "sycl", .alignment = 128, .host_alignment = 64, .row_types = ROWS_PLAIN | ROWS_SMALL,
	  .pads_rows = true, .offloads_ops = true, .overhead_bytes = 512 * MIB,
	  .source = "ggml-sycl.cpp, as CUDA; overhead not measured, as CUDA" },
	{ .name = "rpc", .alignment = 32, .row_types = ROWS_ALL, .copies_inputs = true,
	  .source = "ggml-rpc.cpp: the server's alignment; checked against a CPU server" },
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
