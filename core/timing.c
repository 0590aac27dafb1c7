/* SPDX-License-Identifier: MIT */
/* Uses ggml only: backends, buffers, graphs of one product. */
#include "core/timing.h"

#include <stdlib.h>

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

/*
 * A matrix and a vector whose product is timed, and its first rows alone: whoever needs long for those
 * (software) is not asked for more.
 */
#define TIMED_COLUMNS 8192
#define TIMED_ROWS    ((int64_t)(TIMED_BYTES / 2 / TIMED_COLUMNS))
#define TIMED_FIRST   (TIMED_ROWS / 64)
#define TIMED_LONG_US 20000
#define TIMED_ROUNDS  5

struct bench {
	ggml_backend_t backend;
	struct ggml_tensor *matrix;
	struct ggml_cgraph *first, *all;
	void *host;
};

/* The best of some rounds: whatever disturbs only makes it slower. 0: it failed. */
static int64_t time_product(ggml_backend_t backend, struct ggml_cgraph *graph, int rounds)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < rounds; i++) {
		int64_t start = ggml_time_us();

		if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS)
			return 0;
		if (ggml_time_us() - start < best)
			best = ggml_time_us() - start;
	}
	return best;
}

static uint64_t time_read(const struct bench *b)
{
	/* Twice: the first compiles */
	int64_t us = time_product(b->backend, b->first, 2);
	uint64_t bytes = TIMED_BYTES / 64;

	if (us > 0 && us < TIMED_LONG_US) {
		us = time_product(b->backend, b->all, TIMED_ROUNDS);
		bytes = TIMED_BYTES;
	}
	return us > 0 ? bytes * 1000000 / (uint64_t)us : 0;
}

static uint64_t time_link(const struct bench *b)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 2; i++) {
		int64_t start = ggml_time_us();

		ggml_backend_tensor_set(b->matrix, b->host, 0, TIMED_BYTES);
		ggml_backend_synchronize(b->backend);
		if (ggml_time_us() - start < best)
			best = ggml_time_us() - start;
	}
	return best > 0 ? TIMED_BYTES * 1000000 / (uint64_t)best : 0;
}

static void time_both(struct bench *b, struct ggml_context *c, struct timing *t)
{
	struct ggml_tensor *vector = ggml_new_tensor_1d(c, GGML_TYPE_F32, TIMED_COLUMNS);
	ggml_backend_buffer_t buffer;

	b->matrix = ggml_new_tensor_2d(c, GGML_TYPE_F16, TIMED_COLUMNS, TIMED_ROWS);
	b->first = ggml_new_graph_custom(c, 8, false);
	b->all = ggml_new_graph_custom(c, 8, false);
	ggml_build_forward_expand(b->first,
				  ggml_mul_mat(c,
					       ggml_view_2d(c, b->matrix, TIMED_COLUMNS,
							    TIMED_FIRST, b->matrix->nb[1], 0),
					       vector));
	ggml_build_forward_expand(b->all, ggml_mul_mat(c, b->matrix, vector));
	buffer = ggml_backend_alloc_ctx_tensors(c, b->backend);
	if (!buffer)
		return;
	ggml_backend_buffer_clear(buffer, 0);
	t->link_bytes_s = time_link(b);
	t->read_bytes_s = time_read(b);
	ggml_backend_buffer_free(buffer);
}

/* The CPU's: others have no such function. */
static void use_threads(ggml_backend_t backend, uint32_t threads)
{
	ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend));
	ggml_backend_set_n_threads_t set;

	*(void **)&set = ggml_backend_reg_get_proc_address(reg, "ggml_backend_set_n_threads");
	if (set)
		set(backend, (int)threads);
}

void timing_take(struct timing *t, uint32_t device, uint32_t threads)
{
	struct ggml_init_params ip = { .mem_size = 64 * ggml_tensor_overhead() +
						   2 * ggml_graph_overhead(),
				       .no_alloc = true };
	struct bench b = { .backend = ggml_backend_dev_init(ggml_backend_dev_get(device), NULL),
			   .host = calloc(1, TIMED_BYTES) };
	struct ggml_context *c = ggml_init(ip);

	*t = (struct timing) { 0 };
	if (b.backend)
		use_threads(b.backend, threads);
	if (b.backend && b.host && c)
		time_both(&b, c, t);
	ggml_free(c);
	free(b.host);
	if (b.backend)
		ggml_backend_free(b.backend);
}
