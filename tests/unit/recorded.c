/* SPDX-License-Identifier: MIT */
/*
 * Whole logs of two versions of the engine, read as the core reads them: 0.5.0 by the core itself, 0.7.0 by an
 * installed llama-server, which puts a time before each line. tests/golden/engine/VERSION-RUN.log: a model of
 * 8 layers on the processor, on three Vulkan devices (4, 2 and 3), and one of experts of which those of the
 * first 3 layers are in host memory. Lines for each tensor, key and token are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/serverlog.h"
#include "tests/unit/harness.h"

#define MIB(hundredths) (((uint64_t)(hundredths)*1048576 + 50) / 100)
#define GPUS            3

/* Sizes in hundredths of a MiB, as the log prints them. */
struct sizes {
	uint32_t weights, kv, compute;
};

static const struct {
	const char *log;
	uint32_t n_devices, cache;
	struct sizes gpu[GPUS];
	uint32_t mapped, host_kv, host_compute; /* the mapped file; the rest in whichever memory */
} rows[] = {
	{ "0.5.0-cpu", 0, 200, { { 0 } }, 952, 200, 501 },
	{ "0.7.0-cpu", 0, 200, { { 0 } }, 952, 200, 602 },
	{ "0.5.0-vulkan3",
	  3,
	  200,
	  { { 451, 100, 804 }, { 225, 50, 804 }, { 250, 50, 804 } },
	  25,
	  0,
	  305 },
	{ "0.7.0-vulkan3",
	  3,
	  200,
	  { { 451, 100, 1255 }, { 225, 50, 804 }, { 250, 50, 804 } },
	  25,
	  0,
	  707 },
	{ "0.5.0-experts",
	  3,
	  200,
	  { { 454, 100, 456 }, { 677, 50, 456 }, { 702, 50, 456 } },
	  1041,
	  0,
	  151 },
	/* it maps each run of tensors by itself */
	{ "0.7.0-experts",
	  3,
	  200,
	  { { 454, 100, 551 }, { 677, 50, 456 }, { 702, 50, 456 } },
	  925,
	  0,
	  252 },
};

/* In pieces of `step` bytes, as a pipe would have them. */
static struct serverlog *read_log(const char *name, size_t step)
{
	struct serverlog *l = malloc(sizeof(*l));
	char path[128], piece[512];
	size_t n;

	assert_non_null(l);
	serverlog_init(l);
	snprintf(path, sizeof(path), "tests/golden/engine/%s.log", name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_true(step <= sizeof(piece));
	while ((n = fread(piece, 1, step, f)) > 0)
		serverlog_feed(l, piece, n);
	fclose(f);
	return l;
}

static bool is_gpu(const char *name)
{
	return strncmp(name, "Vulkan", 6) == 0 && name[6] >= '0' && name[6] <= '9';
}

/* gpu < 0: of the host's buffers, those of the mapped file or the others. */
static uint64_t sum(const struct enginelog *l, int gpu, bool mapped, enum buffer_kind kind)
{
	uint64_t total = 0;
	char name[24];

	snprintf(name, sizeof(name), "Vulkan%d", gpu);
	for (uint32_t i = 0; i < l->n_buffers; i++) {
		const struct engine_buffer *b = &l->buffers[i];
		bool here = gpu >= 0 ? strcmp(b->name, name) == 0
				     : !is_gpu(b->name) &&
					       (strcmp(b->name, "CPU_Mapped") == 0) == mapped;

		total += here && b->kind == kind ? b->bytes : 0;
	}
	return total;
}

/* A sum of rounded numbers is off by one unit for each. */
static void about(uint64_t found, uint32_t hundredths)
{
	uint64_t want = MIB(hundredths);

	assert_in_range(found, want < 4 ? 0 : want - 4, want + 4);
}

static void sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct serverlog *l = read_log(rows[i].log, 1 + i * 37);
		const struct enginelog *e = &l->engine;

		for (int g = 0; g < GPUS; g++) {
			about(sum(e, g, false, BUFFER_WEIGHTS), rows[i].gpu[g].weights);
			about(sum(e, g, false, BUFFER_KV), rows[i].gpu[g].kv);
			about(sum(e, g, false, BUFFER_COMPUTE), rows[i].gpu[g].compute);
		}
		about(sum(e, -1, true, BUFFER_WEIGHTS), rows[i].mapped);
		about(sum(e, -1, false, BUFFER_WEIGHTS), 0);
		about(sum(e, -1, false, BUFFER_KV), rows[i].host_kv);
		about(sum(e, -1, false, BUFFER_COMPUTE), rows[i].host_compute);
		about(e->cache_bytes, rows[i].cache);
		for (uint32_t k = 0; k < e->n_buffers; k++)
			assert_int_not_equal(e->buffers[k].kind, BUFFER_OTHER);
		assert_int_equal(e->n_caches, 1);
		assert_int_equal(e->n_left_out, 0);
		assert_false(e->no_memory);
		assert_string_equal(e->error, "");
		free(l);
	}
}

static void layers(void **state)
{
	static const char *const split[] = { "Vulkan0", "Vulkan0", "Vulkan0", "Vulkan0", "Vulkan1",
					     "Vulkan1", "Vulkan2", "Vulkan2", "Vulkan2" };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct serverlog *l = read_log(rows[i].log, 512);

		assert_int_equal(l->engine.n_layers, COUNT(split));
		for (size_t k = 0; k < COUNT(split); k++)
			assert_string_equal(l->engine.layers[k],
					    rows[i].n_devices ? split[k] : "CPU");
		free(l);
	}
}

static void devices(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct serverlog *l = read_log(rows[i].log, 100);

		assert_int_equal(l->n_devices, rows[i].n_devices);
		for (uint32_t d = 0; d < l->n_devices; d++) {
			char name[24];

			snprintf(name, sizeof(name), "Vulkan%u", (unsigned)d);
			assert_string_equal(l->devices[d].name, name);
			assert_string_equal(l->devices[d].backend, "vulkan");
			assert_string_equal(l->devices[d].pci, "");
		}
		free(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sizes), cmocka_unit_test(layers),
					    cmocka_unit_test(devices) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
