/* SPDX-License-Identifier: MIT */
/* How each backend of the engine lays out its buffers: rows of backends[] (backends.c). */
#ifndef BERTH_BACKEND_H
#define BERTH_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

/* Which operations a backend computes (side.c). */
enum ops { OPS_ALL, OPS_CUDA, OPS_VULKAN };

struct backend {
	const char *name;        /* as in the plan file */
	uint32_t alignment;      /* of every tensor in a buffer, bytes */
	uint32_t host_alignment; /* of its pinned host buffer; 0: it has none */
	uint32_t host_padding;   /* of that buffer: bytes behind each */
	uint64_t row_types;      /* bit of each type whose rows it can gather (1 << ggml type id) */
	enum ops ops;
	uint64_t lacks;  /* bits of enum gop: fused operations it has no kernel for */
	bool scans_wide; /* selective scans only with a state of 128 or 256 (mamba2) */
	bool pads_rows;  /* quantized rows are padded to 512 weights at the tensor's end */
	bool stages_kv;  /* flash attention makes f16 copies of a layer's quantized cache */
	bool reorders;   /* computes a split in an order of its own (vulkan.h) */
	uint64_t max_chunk_bytes; /* one allocation of the compute buffer; 0: any */
	bool copies_inputs;       /* asynchronous with events: several devices run as a pipeline */
	bool offloads_ops;        /* prompt batches of host layers are computed on the device */
	uint64_t
		overhead_bytes; /* driver context and run-time pools, outside the engine's account */
	const char *source;
};

const struct backend *backend_find(const char *name); /* NULL: unknown */

#endif
