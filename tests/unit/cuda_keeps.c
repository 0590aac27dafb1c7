/* SPDX-License-Identifier: MIT */
/*
 * Compute buffers where CUDA's fused kernels for experts keep operands alive, against what the 0.5.0
 * library allocates on simulated devices whose graph_optimize runs the engine's own matching code.
 */
#include "tests/unit/harness.h"
#include "tests/unit/truth_rows.h"
#include "vram-planner/compute.h"

/* At 8,192 tokens of context and one output. */
static const struct {
	const char *header;
	uint32_t n_ubatch, n_devices,
		layers; /* layers: all of them, or 12 without flash attention */
	uint64_t device[2], host;
} rows[] = {
	{ "/olmoe-1b-7b", 512, 1, 99, { 88090752 }, 16789568 },
	{ "/olmoe-1b-7b", 512, 2, 99, { 130064384, 146842112 }, 41992448 },
	{ "/qwen3-30b-a3b", 512, 1, 99, { 96479360 }, 16789568 },
	{ "/qwen3-30b-a3b", 512, 2, 99, { 134258688, 151036416 }, 41992448 },
	{ "/glm-4.5-air", 2048, 1, 99, { 922787968 }, 100712512 },
	{ "/glm-4.5-air", 512, 1, 12, { 1711327232 }, 37756992 },
	{ "/deepseek-v2-lite", 512, 2, 99, { 125984768, 130454016 }, 41976064 },
	{ "/minimax-m2", 512, 2, 99, { 184590336, 209756672 }, 46186752 },
	{ "/gpt-oss-20b", 512, 1, 12, { 1161316352 }, 34353216 },
	{ "/ernie-4.5-21b-a3b", 512, 2, 99, { 140550144, 154735104 }, 44089600 },
	{ "/deepseek-v4-flash", 512, 1, 12, { 877658112 }, 25261376 },
	{ "/deepseek-v4-flash", 512, 2, 99, { 303464448, 538821120 }, 38130944 },
	{ "/qwen3.5-35b-a3b", 2048, 1, 99, { 459489536 }, 67182720 },
	{ "/qwen3.5-35b-a3b", 512, 1, 12, { 370184192 }, 39956608 },
	{ "-own/kimi-k2", 2048, 1, 99, { 1560305792 }, 151027776 },
	{ "-own/kimi-k2", 512, 1, 12, { 2655259136 }, 46145600 },
	{ "-own/glm-5", 512, 2, 99, { 600088576, 595894784 }, 92586240 },
};

static void compute_row(size_t i, const struct shape *s, struct compute_bytes *c)
{
	struct target targets[2] = { { .backend = backend_find("cuda") },
				     { .backend = backend_find("cuda") } };
	struct placement p = { 0 };
	struct compute *compute;
	struct err e = { 0 };
	struct ask a;

	ask_default(&a);
	a.measuring = true;
	a.n_ctx = 8192;
	a.n_ubatch = rows[i].n_ubatch;
	a.n_outputs = 1;
	a.n_gpu_layers = rows[i].layers;
	a.flash_attn = rows[i].layers == 99;
	for (int d = 0; d < 2; d++)
		a.split[d] = 1;
	assert_int_equal(ask_settle(&a, s->n_ctx_train, s->causal, &e), 0);
	assert_int_equal(placement_make(&p, s, &a, targets, rows[i].n_devices, NULL, &e), 0);
	assert_int_equal(compute_open(&compute, s), 0);
	assert_int_equal(compute_bytes(compute, &a, &p, engine_find("0.5.0"), c), 0);
	compute_close(compute);
	placement_fini(&p);
}

static void test_measured(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		static struct shape s;
		struct compute_bytes c;
		struct model *m = NULL;
		struct err e = { 0 };
		char path[700];

		snprintf(path, sizeof(path), "%s/headers%s.gguf", models_dir(), rows[i].header);
		if (model_open(&m, path, &e) || shape_read(&s, m, &e))
			fail_msg("%s: %s", path, e.text);
		compute_row(i, &s, &c);
		for (uint32_t d = 0; d < rows[i].n_devices; d++)
			assert_int_equal(c.device[d], rows[i].device[d]);
		assert_int_equal(c.host, rows[i].host);
		shape_fini(&s);
		model_close(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_measured) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
