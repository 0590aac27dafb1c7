/* SPDX-License-Identifier: MIT */
/* The reader of the engine's log, against logs that llama.cpp v0.5.0 wrote and against nonsense. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/enginelog.h"
#include "tests/unit/harness.h"

/* Feed a recorded log in pieces of `step` bytes, as an engine that prints in parts would. */
static struct enginelog *read_log(const char *name, size_t step)
{
	struct enginelog *l = malloc(sizeof(*l));
	char path[128], piece[512];
	size_t n;

	assert_non_null(l);
	enginelog_init(l);
	snprintf(path, sizeof(path), "tests/golden/engine/%s", name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_true(step < sizeof(piece));
	while ((n = fread(piece, 1, step, f)) > 0) {
		piece[n] = 0;
		enginelog_feed(l, false, piece);
	}
	fclose(f);
	return l;
}

static uint64_t sum(const struct enginelog *l, const char *name, enum buffer_kind kind)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < l->n_buffers; i++)
		if (strcmp(l->buffers[i].name, name) == 0 && l->buffers[i].kind == kind)
			total += l->buffers[i].bytes;
	return total;
}

#define MIB(hundredths) (((uint64_t)(hundredths)*1048576 + 50) / 100)

static void cpu(void **state)
{
	(void)state;
	struct enginelog *l = read_log("cpu.log", 7);

	assert_int_equal(l->n_layers, 9);
	for (int i = 0; i < 9; i++)
		assert_string_equal(l->layers[i], "CPU");
	assert_int_equal(l->n_buffers, 4);
	assert_int_equal(sum(l, "CPU_Mapped", BUFFER_WEIGHTS), MIB(952));
	assert_int_equal(sum(l, "CPU", BUFFER_KV), MIB(400));
	assert_int_equal(sum(l, "CPU", BUFFER_COMPUTE), MIB(551));
	assert_int_equal(sum(l, "CPU", BUFFER_OUTPUT), 0);
	assert_int_equal(l->n_left_out, 0);
	assert_false(l->no_memory);
	free(l);
}

static void three_devices(void **state)
{
	static const char *const where[] = { "Vulkan0", "Vulkan0", "Vulkan0", "Vulkan0", "Vulkan1",
					     "Vulkan1", "Vulkan2", "Vulkan2", "Vulkan2" };
	(void)state;
	struct enginelog *l = read_log("vulkan3.log", 500);

	assert_int_equal(l->n_layers, 9);
	for (size_t i = 0; i < COUNT(where); i++)
		assert_string_equal(l->layers[i], where[i]);
	assert_int_equal(sum(l, "Vulkan0", BUFFER_WEIGHTS), MIB(451));
	assert_int_equal(sum(l, "Vulkan2", BUFFER_KV), MIB(100));
	assert_int_equal(sum(l, "Vulkan1", BUFFER_COMPUTE), MIB(1004));
	assert_int_equal(sum(l, "Vulkan_Host", BUFFER_COMPUTE), MIB(505));
	assert_int_equal(sum(l, "CPU_Mapped", BUFFER_WEIGHTS), MIB(25));
	free(l);
}

static void errors(void **state)
{
	struct enginelog *l = malloc(sizeof(*l));

	(void)state;
	assert_non_null(l);
	enginelog_init(l);
	enginelog_feed(l, false, "all is well\n");
	enginelog_feed(l, true, "cudaMalloc fai");
	enginelog_feed(l, false, "led: out of memory\n");
	enginelog_feed(l, true, "second\033[1m error\n");
	enginelog_feed(l, true, "...\n");
	assert_true(l->no_memory);
	assert_string_equal(l->error, "cudaMalloc failed: out of memory");
	assert_string_equal(l->last_error, "second?[1m error");
	free(l);
}

static void recorded_failures(void **state)
{
	struct enginelog *l = malloc(sizeof(*l));

	(void)state;
	assert_non_null(l);
	enginelog_init(l);
	enginelog_feed(l, true,
		       "llama_init_from_model: failed to initialize the context: std::bad_alloc\n");
	assert_true(l->no_memory);
	enginelog_init(l);
	enginelog_feed(
		l, true,
		"llama_model_load: error loading model: mmap failed: Cannot allocate memory\n");
	assert_true(l->no_memory);
	enginelog_init(l);
	enginelog_feed(
		l, true,
		"llama_model_load: error loading model: tensor 'blk.6.ffn_gate.weight' data is not within the "
		"file bounds, model is corrupted or incomplete\n");
	assert_false(l->no_memory);
	assert_int_equal(strncmp(l->error, "llama_model_load: error", 23), 0);
	free(l);
}

/* Whatever a line looks like, nothing is believed that is not exactly the pattern. */
/* A model may be called anything, and the engine prints its name before it places tensors. */
static void forged(void **state)
{
	struct enginelog *l = calloc(1, sizeof(*l));

	(void)state;
	assert_non_null(l);
	enginelog_feed(
		l, false,
		"print_info: general.name = x\n"
		"load_tensors: layer   0 assigned to device CUDA0, is_swa = 0\n"
		"load_tensors:        CUDA0 model buffer size =     4.20 MiB\n"
		"load_tensors: loading model tensors, this can take a while... (load_mode = mmap)\n"
		"load_tensors: layer   1 assigned to device CPU, is_swa = 0\n");
	assert_int_equal(l->n_layers, 2);
	assert_string_equal(l->layers[0], "");
	assert_string_equal(l->layers[1], "CPU");
	assert_int_equal(l->n_buffers, 0);
	free(l);
}

/* An error that the engine survived is not why a later step fails. */
static void calmed(void **state)
{
	struct enginelog *l = calloc(1, sizeof(*l));

	(void)state;
	assert_non_null(l);
	enginelog_feed(l, true, "ggml_cuda_init: out of memory\n");
	assert_true(l->no_memory);
	enginelog_calm(l);
	assert_false(l->no_memory);
	enginelog_feed(l, true, "later\n");
	assert_string_equal(l->error, "later");
	free(l);
}

static void garbage(void **state)
{
	static const char *const lines[] = {
		"load_tensors: layer  assigned to device CPU, is_swa = 0\n",
		"load_tensors: layer -1 assigned to device CPU, is_swa = 0\n",
		"load_tensors: layer 99999999999999999999 assigned to device CPU\n",
		"load_tensors: layer 1 is assigned to device CPU\n",
		"x: layer 1 assigned to device CPU\n",
		": model buffer size = 1.00 MiB\n",
		"f:  model buffer size = \n",
		"f: CPU model buffer size = 1 MiB\n",
		"f: CPU model buffer size = 1.0 MiB\n",
		"f: CPU model buffer size = 1.000 MiB\n",
		"f: CPU model buffer size = -1.00 MiB\n",
		"f: CPU model buffer size = 1.00 GiB\n",
		"f: CPU model buffer size = 9999999999999.00 MiB\n",
		"f: CPU model buffer size = nan MiB\n",
		" buffer size = 1.00 MiB\n",
		"f: CPU compute buffer size is   5.5117 MiB, matches expectation of   5.5117 MiB\n",
		"\n\n\n",
		"\xff\xfe\x80 buffer size = \xff\n",
	};
	struct enginelog *l = malloc(sizeof(*l));

	(void)state;
	assert_non_null(l);
	enginelog_init(l);
	for (size_t i = 0; i < COUNT(lines); i++)
		enginelog_feed(l, false, lines[i]);
	assert_int_equal(l->n_layers, 0);
	assert_int_equal(l->n_buffers, 0);
	free(l);
}

static void limits(void **state)
{
	struct enginelog *l = malloc(sizeof(*l));
	char line[256];

	(void)state;
	assert_non_null(l);
	enginelog_init(l);
	for (int i = 0; i < 200; i++)
		enginelog_feed(l, false, "f: CPU KV buffer size = 1.00 MiB\n");
	assert_int_equal(l->n_buffers, ENGINELOG_BUFFERS_MAX);
	assert_int_equal(l->n_left_out, 200 - ENGINELOG_BUFFERS_MAX);
	enginelog_feed(l, false, "load_tensors: layer 1024 assigned to device CPU, is_swa = 0\n");
	assert_int_equal(l->n_layers, 0);
	for (int i = 0; i < 100; i++)
		enginelog_feed(l, false, "a very long line without an end, again and again, ");
	enginelog_feed(l, false, "\n");
	snprintf(line, sizeof(line),
		 "load_tensors: layer   3 assigned to device %0120d, is_swa = 0\n", 7);
	enginelog_feed(l, false, line);
	assert_int_equal(l->n_layers, 4);
	assert_int_equal(strlen(l->layers[3]), ENGINELOG_NAME_MAX - 1);
	/* a kind nobody knows is kept, but counted to none */
	enginelog_init(l);
	enginelog_feed(l, false, "f: CUDA0 zork buffer size =     1.00 MiB\n");
	enginelog_feed(l, false, "f: CUDA0 LoRA buffer size =     1.00 MiB\n");
	assert_int_equal(l->buffers[0].kind, BUFFER_OTHER);
	assert_int_equal(l->buffers[1].kind, BUFFER_WEIGHTS);
	assert_string_equal(buffer_kind_name(l->buffers[0].kind), "other");
	free(l);
}

/* Totals of caches, as each kind of memory prints its own; whatever else has a "size" is none. */
static void caches(void **state)
{
	static const char *const lines[] = {
		"llama_kv_cache: size =  256.00 MiB (  2048 cells,  32 layers,  1/1 seqs), K (f16):  128.00 MiB, V (f16):  128.00 MiB\n",
		"llama_memory_recurrent: size =    0.50 MiB (     1 cells,  24 layers,  1 seqs  0 rs_seq), R (f32):    0.25 MiB, S (f32):    0.25 MiB, P (f32):    0.00 MiB\n",
		"llama_dsv4_comp_state: csa ratio = 4, state = 8 x 1024, streams = 1, rs_seq = 0, layers = 21, size =    1.25 MiB\n",
	};
	static const char *const others[] = {
		"llama_kv_cache_iswa: creating     SWA KV cache, size = 1024 cells\n",
		"llama_kv_cache: SIM0 KV buffer size =   256.00 MiB\n",
		"llama_kv_cache: size = 256.0 MiB (2048 cells)\n",
		"print_info: file size = 4.58 GiB (4.89 BPW)\n",
		"load_tensors: tensor a (size = 12 MiB) lazy read enabled\n",
	};
	struct enginelog *l = malloc(sizeof(*l));

	(void)state;
	assert_non_null(l);
	enginelog_init(l);
	for (size_t i = 0; i < COUNT(lines); i++)
		enginelog_feed(l, false, lines[i]);
	assert_int_equal(l->n_caches, COUNT(lines));
	assert_int_equal(l->cache_bytes, (UINT64_C(256) << 20) + (7 << 18));
	for (size_t i = 0; i < COUNT(others); i++)
		enginelog_feed(l, false, others[i]);
	assert_int_equal(l->n_caches, COUNT(lines));
	/* what stood before the tensors is forgotten, like all else */
	enginelog_feed(l, false, "load_tensors: loading model tensors, this can take a while...\n");
	assert_int_equal(l->cache_bytes, 0);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu),    cmocka_unit_test(three_devices),
		cmocka_unit_test(errors), cmocka_unit_test(garbage),
		cmocka_unit_test(forged), cmocka_unit_test(calmed),
		cmocka_unit_test(limits), cmocka_unit_test(recorded_failures),
		cmocka_unit_test(caches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
