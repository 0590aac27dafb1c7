/* SPDX-License-Identifier: MIT */
/*
 * What must hold of the planner on real models, whatever the numbers are: the headers of the measured
 * ones, on devices of every size. That the numbers are the engine's own is tests/cli/jobs.sh.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/unit/harness.h"
#include "vram-planner/backend.h"
#include "vram-planner/bill.h"
#include "vram-planner/margin.h"
#include "vram-planner/plan.h"

#define GIB (INT64_C(1) << 30)

static const char *models_dir(void)
{
	static char dir[512];
	const char *build = getenv("BUILD");

	snprintf(dir, sizeof(dir), "%s/tests/models", build ? build : "build");
	return dir;
}

static struct model *open_header(const char *path)
{
	struct model *m = NULL;
	struct err e = { 0 };

	if (model_open(&m, path, &e))
		fail_msg("%s", e.text);
	return m;
}

static void each_header(void (*check)(const struct model *m))
{
	char pattern[700];
	glob_t g;

	snprintf(pattern, sizeof(pattern), "%s/headers*/*.gguf", models_dir());
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 33);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct model *m = open_header(g.gl_pathv[i]);

		check(m);
		model_close(m);
	}
	globfree(&g);
}

/* The tensor table accounts for the file to the byte. */
static void test_sizes(void **state)
{
	char path[700];
	json_t *all, *entry;
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s/truth/catalog.json", models_dir());
	all = json_load_file(path, 0, NULL);
	assert_true(json_array_size(all) >= 33);
	json_array_foreach(all, i, entry)
	{
		snprintf(path, sizeof(path), "%s/headers/%s.gguf", models_dir(),
			 json_string_value(json_object_get(entry, "name")));
		struct model *m = open_header(path);

		assert_int_equal(model_expected_bytes(m),
				 json_integer_value(json_object_get(entry, "file_size")));
		model_close(m);
	}
	json_decref(all);
}

static void bill_of(struct biller *b, const struct ask *wanted, uint32_t n, struct bill *out)
{
	struct target targets[4];
	struct ask a = *wanted;
	struct err e = { 0 };

	for (uint32_t i = 0; i < n; i++)
		targets[i] = (struct target) { .backend = backend_find("cuda"),
					       .memory_bytes = 8 * GIB };
	if (biller_bill(b, &a, targets, n, out, &e))
		fail_msg("%s", e.text);
}

static uint64_t caches(const struct bill *b)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->n; i++)
		sum += b->parts[i].kv_bytes;
	return sum;
}

/* Every unit is somewhere, and a split over more devices loses no byte of the caches. */
static void check_split(struct biller *b, const struct ask *a, uint64_t kv)
{
	uint32_t units = biller_shape(b)->n_layer + 1;

	for (uint32_t n = 0; n <= 4; n++) {
		struct ask part = *a;
		struct bill bill;
		uint32_t sum;

		part.n_gpu_layers = n == 3 ? units / 2 : ASK_ALL_LAYERS;
		bill_of(b, &part, n, &bill);
		if (bill.refused)
			continue;
		sum = bill.n_host;
		for (uint32_t i = 0; i < n; i++)
			sum += bill.units[i];
		assert_int_equal(sum, units);
		assert_true(caches(&bill) >= kv && caches(&bill) - kv < 4096 * (uint64_t)units);
	}
}

/* More context never takes less cache; the host and the devices together hold all of it. */
static void check_bills(const struct model *m)
{
	struct biller *b;
	struct err e = { 0 };
	uint64_t before = 0;

	if (biller_open(&b, m, engine_default(), &e))
		fail_msg("%s", e.text);
	for (uint32_t n_ctx = 256; n_ctx <= 131072; n_ctx *= 8) {
		struct bill bill;
		struct ask a;

		ask_default(&a);
		a.n_ctx = n_ctx;
		bill_of(b, &a, 0, &bill);
		assert_null(bill.refused);
		assert_false(bill.unverified);
		assert_true(caches(&bill) >= before);
		before = caches(&bill);
		if (n_ctx == 2048)
			check_split(b, &a, before);
	}
	biller_close(b);
}

static void test_bills(void **state)
{
	(void)state;
	each_header(check_bills);
}

/* A yes stays one with more memory; the layers of every plan add up. */
static void check_verdicts(const struct model *m)
{
	static const struct host_place host = { .free_bytes = { .v = INT64_C(1) << 41,
								.src = SRC_USER } };
	struct wish w = { .n_ctx = 4096 };
	enum verdict best = VERDICT_NO;

	for (int64_t memory = GIB; memory <= 1024 * GIB; memory *= 4) {
		struct place two[2] = { { .pci = "0000:01:00.0", .backend = "cuda" },
					{ .pci = "0000:02:00.0", .backend = "vulkan" } };
		struct err e = { 0 };
		struct plan p;
		uint32_t layers;

		two[0].free_bytes = two[0].total_bytes = fact_of(memory, SRC_USER);
		two[1].free_bytes = two[1].total_bytes = fact_of(memory / 2, SRC_USER);
		if (plan_decide(&p, m, two, 2, &host, &w, &e))
			fail_msg("%s", e.text);
		assert_true(p.verdict == VERDICT_FITS || p.verdict == VERDICT_SPILLS);
		assert_false(best == VERDICT_FITS && p.verdict != VERDICT_FITS);
		best = p.verdict;
		layers = p.host.layers;
		for (uint32_t i = 0; i < p.n_devices; i++) {
			layers += p.devices[i].layers;
			assert_true(p.devices[i].left_bytes >= 0);
		}
		assert_int_equal(layers, p.n_layer + 1);
	}
	assert_int_equal(best, VERDICT_FITS);
}

static void test_verdicts(void **state)
{
	(void)state;
	each_header(check_verdicts);
}

/*
 * Means are taken over 33 tokens, the next multiple of three sequences, of which 31 have outputs: the
 * engine's own check stops it. The model is none the worse.
 */
static void test_graph_that_cannot_be(void **state)
{
	struct biller *b;
	struct bill bill;
	struct err e = { 0 };
	struct model *m;
	struct ask a;
	char path[700];

	(void)state;
	snprintf(path, sizeof(path), "%s/headers-own/embeddinggemma-300m.gguf", models_dir());
	m = open_header(path);
	if (biller_open(&b, m, engine_default(), &e))
		fail_msg("%s", e.text);
	ask_default(&a);
	a.n_ctx = 2048;
	a.n_ubatch = 31;
	a.n_seq = 3;
	a.embeddings = true;
	bill_of(b, &a, 1, &bill);
	assert_non_null(bill.refused);
	a.n_ubatch = 33;
	bill_of(b, &a, 1, &bill);
	assert_null(bill.refused);
	biller_close(b);
	model_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sizes),
					    cmocka_unit_test(test_bills),
					    cmocka_unit_test(test_verdicts),
					    cmocka_unit_test(test_graph_that_cannot_be) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
