/* SPDX-License-Identifier: MIT */
/*
 * What the engine says about itself. libllama's C API does not tell where a layer went or how large a
 * buffer is; its log does. This reader is fed every piece of that log and keeps what it understands.
 * It is pure, never fails, and skips what it does not know: a log line is foreign text.
 *
 * What stands in the log before the engine places tensors is forgotten then: it quotes names from the
 * model's file, which may hold lines made to look like the engine's.
 *
 * Sizes are printed by the engine with two decimals of a MiB, so each is off by at most
 * ENGINELOG_ROUNDING bytes. When it measures without allocating, weights and caches have buffers of
 * 0.00 MiB, but the totals of the caches are the real ones.
 */
#ifndef BERTH_CORE_ENGINELOG_H
#define BERTH_CORE_ENGINELOG_H

#include <stdbool.h>
#include <stdint.h>

#define ENGINELOG_LAYERS_MAX  1024
#define ENGINELOG_BUFFERS_MAX 128
#define ENGINELOG_NAME_MAX    48
#define ENGINELOG_ROUNDING    5243 /* half of 0.01 MiB, rounded up */

enum buffer_kind {
	BUFFER_WEIGHTS, /* "model buffer size" */
	BUFFER_KV,      /* "KV buffer size", and the states of recurrent models */
	BUFFER_COMPUTE, /* "compute buffer size" */
	BUFFER_OUTPUT,  /* "output buffer size": logits, always host memory */
	BUFFER_OTHER,   /* a kind this reader does not know */
	BUFFER_KIND_COUNT
};

struct engine_buffer {
	char name
		[ENGINELOG_NAME_MAX]; /* of the buffer type: "CUDA0", "CPU_Mapped", "Vulkan_Host" */
	enum buffer_kind kind;
	uint64_t bytes;
};

struct enginelog {
	uint32_t n_layers; /* highest layer named + 1; the last one is the output */
	char layers[ENGINELOG_LAYERS_MAX][ENGINELOG_NAME_MAX]; /* device; "" = never named */
	uint32_t n_buffers;
	struct engine_buffer buffers[ENGINELOG_BUFFERS_MAX];
	uint32_t n_left_out;  /* layers and buffers beyond the tables */
	uint64_t cache_bytes; /* of all caches and states together, by their own totals */
	uint32_t n_caches;    /* totals in that sum; each is off by ENGINELOG_ROUNDING */
	bool no_memory;       /* a line said that memory could not be had */
	char error[320];      /* the first error line since enginelog_calm, cleaned */
	char last_error[320]; /* the last one */
	/* private: the line being put together */
	char line[640];
	uint32_t len;
	bool line_is_error;
};

void enginelog_init(struct enginelog *l);

/* Forget errors: what comes next is another step, and an error survived is not why it fails. */
void enginelog_calm(struct enginelog *l);

/*
 * Feed a piece of log as the engine hands it out: a part of a line, a line, or several. `is_error`:
 * the engine called it an error.
 */
void enginelog_feed(struct enginelog *l, bool is_error, const char *text);

const char *buffer_kind_name(
	enum buffer_kind k); /* "weights", "kv", "compute", "output", "other" */

#endif
