/* SPDX-License-Identifier: MIT */
/* The graph of a batch, its schedule and its allocation, on graphs small enough to reckon by hand. */
#include "vram-planner/graph.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "vram-planner/engine.h"
#include "vram-planner/gsched.h"
#include "vram-planner/trim.h"

#define ROW 1024 /* bytes of 256 floats */

/* --- shapes --- */

static void assert_shape(const struct graph *g, int a, int64_t ne0, int64_t ne1, int64_t ne2,
			 int64_t ne3)
{
	const int64_t ne[G_DIMS] = { ne0, ne1, ne2, ne3 };

	assert_null(g->fault);
	assert_memory_equal(g_at(g, a)->ne, ne, sizeof(ne));
}

static void test_shapes(void **state)
{
	struct graph g = { 0 };
	int w = g_new(&g, GT_F16, 64, 96, 1, 1), x = g_new(&g, GT_F32, 64, 5, 1, 1);
	int y = g_mul_mat(&g, w, x), ids = g_new(&g, GT_I32, 2, 1, 1, 1);

	(void)state;
	assert_shape(&g, y, 96, 5, 1, 1);
	assert_int_equal(g_at(&g, y)->type, GT_F32);
	assert_shape(&g, g_get_rows(&g, y, ids), 96, 2, 1, 1);
	assert_shape(&g, g_reshape_3d(&g, y, 32, 3, 5), 32, 3, 5, 1);
	assert_shape(&g, g_permute(&g, g_reshape_3d(&g, y, 32, 3, 5), 0, 2, 1, 3), 32, 5, 3, 1);
	assert_shape(&g, g_concat(&g, y, y, 0), 192, 5, 1, 1);
	assert_shape(&g, g_glu(&g, y, G_NONE, GLU_SWIGLU), 48, 5, 1, 1);
	assert_shape(&g, g_argsort_top_k(&g, y, 7), 7, 5, 1, 1);
	assert_shape(&g, g_pad(&g, y, 4, 0, 1, 0), 100, 5, 2, 1);
	graph_fini(&g);
}

/* A view's elements span what its strides reach; a view of a view is of the same memory. */
static void test_views(void **state)
{
	struct graph g = { 0 };
	int x = g_new(&g, GT_F32, 256, 8, 1, 1);
	int v = g_view_2d(&g, x, 64, 8, g_nb(&g, x, 1)), u = g_view_1d(&g, v, 10);

	(void)state;
	assert_int_equal(g_at(&g, u)->view_src, x);
	assert_int_equal(g_bytes(&g, v), 7 * ROW + 64 * 4);
	assert_false(g_is_contiguous(&g, v));
	assert_true(g_is_contiguous(&g, g_cont(&g, v)));
	assert_int_equal(g_bytes(&g, g_view_2d(&g, x, 0, 8, ROW)), 0);
	assert_null(g.fault);
	graph_fini(&g);
}

static int bad_product(struct graph *g)
{
	return g_mul_mat(g, g_new(g, GT_F32, 64, 2, 1, 1), g_new(g, GT_F32, 32, 2, 1, 1));
}

static int bad_reshape(struct graph *g)
{
	return g_reshape_2d(g, g_new(g, GT_F32, 6, 2, 1, 1), 5, 2);
}

static int gaps(struct graph *g)
{
	return g_reshape_1d(g, g_transpose(g, g_new(g, GT_F32, 6, 2, 1, 1)), 12);
}

static int too_large(struct graph *g)
{
	return g_new(g, GT_F32, INT64_C(1) << 40, INT64_C(1) << 40, 1, 1);
}

static int negative(struct graph *g)
{
	return g_new(g, GT_F32, -1, 4, 1, 1);
}

static int half_block(struct graph *g)
{
	return g_new(g, 8, 48, 4, 1, 1); /* q8_0 has blocks of 32 */
}

static int far_view(struct graph *g)
{
	return g_view_2d(g, g_new(g, GT_F32, 4, 4, 1, 1), 4, 4, UINT64_MAX / 2);
}

static int lacking(struct graph *g)
{
	return g_mul_mat(g, G_NONE, g_new(g, GT_F32, 4, 4, 1, 1));
}

/* What cannot be is told once, and what follows is nothing. */
static void test_faults(void **state)
{
	int (*const faults[])(struct graph *) = { bad_product, bad_reshape, gaps,     too_large,
						  negative,    half_block,  far_view, lacking };

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct graph g = { 0 };
		const char *why;

		assert_int_equal(faults[i](&g), G_NONE);
		why = g.fault;
		assert_non_null(why);
		assert_int_equal(g_new(&g, GT_F32, 1, 1, 1, 1), G_NONE);
		assert_int_equal(lacking(&g), G_NONE);
		assert_ptr_equal(g.fault, why);
		graph_reset(&g);
		assert_int_not_equal(g_new(&g, GT_F32, 1, 1, 1, 1), G_NONE);
		graph_fini(&g);
	}
}

/* Operands come first, in their order; what is in already stays where it is. */
static void test_order(void **state)
{
	struct graph g = { 0 };
	int x = g_input(&g, GT_F32, 256, 1, 1, 1), late = g_sqr(&g, x), early = g_sqrt(&g, x);
	int sum = g_add(&g, early, late);
	const int32_t order[] = { late, early, sum };

	(void)state;
	g_expand(&g, late);
	g_expand(&g, sum);
	g_expand(&g, early);
	assert_int_equal(g.n_order, 3);
	assert_memory_equal(g.order, order, sizeof(order));
	assert_int_equal(g.n_leaves, 1);
	graph_fini(&g);
}

/* --- one side --- */

static struct side side_of(const char *name)
{
	const struct backend *b = backend_find(name);

	return (struct side) { .backend = b, .alignment = b->alignment };
}

/* Schedule and allocate; sizes by side. */
static void sizes_of(struct graph *g, struct side *sides, uint32_t n, uint32_t copies,
		     bool offloads, uint64_t *sizes, uint32_t *splits)
{
	struct sched s = { .sides = sides, .n_sides = n, .n_copies = copies, .offloads = offloads };
	struct galloc *scratch = NULL;

	assert_null(g->fault);
	assert_int_equal(sched_graph(&s, g), 0);
	assert_int_equal(galloc_sizes(&scratch, g, &s.laid, sides, n, sizes), 0);
	*splits = s.n_splits;
	galloc_free(scratch);
	sched_fini(&s);
}

static uint64_t host_size(struct graph *g)
{
	struct side cpu = side_of("cpu");
	uint64_t size;
	uint32_t splits;

	sizes_of(g, &cpu, 1, 1, false, &size, &splits);
	assert_int_equal(splits, 1);
	graph_fini(g);
	return size;
}

/* A chain over one buffer: each step writes over the one before. */
static void test_in_place(void **state)
{
	struct graph g = { 0 };
	int x = g_input(&g, GT_F32, 256, 1, 1, 1);

	(void)state;
	for (int i = 0; i < 5; i++)
		x = g_scale(&g, x);
	g_expand(&g, x);
	assert_int_equal(host_size(&g), ROW);
}

/* Not over what somebody needs later, over a result, or by an operation that cannot. */
static void test_not_in_place(void **state)
{
	struct graph g = { 0 };
	int x = g_input(&g, GT_F32, 256, 1, 1, 1), y = g_scale(&g, x);

	(void)state;
	g_expand(&g, g_add(&g, y, x)); /* x is needed after y is made; the sum goes over y */
	assert_int_equal(host_size(&g), 2 * ROW);

	x = g_set_output(&g, g_sqr(&g, g_input(&g, GT_F32, 256, 1, 1, 1)));
	g_expand(&g, g_scale(&g, x));
	assert_int_equal(host_size(&g), 2 * ROW);

	x = g_input(&g, GT_F32, 256, 1, 1, 1);
	g_expand(&g, g_norm(&g, g_norm(&g, x))); /* the second goes where x was */
	assert_int_equal(host_size(&g), 2 * ROW);
}

/* What is freed is used again by the best fit, and joins its neighbours. */
static void test_best_fit(void **state)
{
	struct graph g = { 0 };
	int x = g_input(&g, GT_F32, 256, 1, 1, 1), wide, narrow, y;

	(void)state;
	wide = g_expand(&g, g_repeat_4d(&g, x, 256, 8, 1, 1));   /* 1..9 */
	narrow = g_expand(&g, g_repeat_4d(&g, x, 256, 2, 1, 1)); /* 9..11; x is free: 0..1 */
	y = g_expand(&g, g_sum_rows(&g, wide));                  /* into 0..1; then 1..9 is free */
	y = g_expand(&g, g_repeat_4d(&g, y, 128, 8, 1, 1));      /* 4 rows of the 8 */
	g_expand(&g, g_concat(&g, narrow, g_reshape_2d(&g, y, 256, 4), 1)); /* 6 rows: at the end */
	assert_int_equal(host_size(&g), 17 * ROW);
}

static void test_chunks(void **state)
{
	struct graph g = { 0 };
	struct side cpu = side_of("cpu");
	uint64_t size;
	uint32_t splits;
	int x = g_input(&g, GT_F32, 256, 1, 1, 1);

	(void)state;
	x = g_repeat_4d(&g, x, 256, 2, 1, 1);
	x = g_repeat_4d(&g, x, 256, 4, 1, 1);
	g_expand(&g, x);
	cpu.max_buffer_bytes = 3 * ROW; /* 1 + 2 rows fill the first; 4 do not fit any */
	sizes_of(&g, &cpu, 1, 1, false, &size, &splits);
	assert_int_equal(size, 7 * ROW);
	graph_fini(&g);
}

/* --- several sides --- */

static int weight(struct graph *g, int home)
{
	return g_placed(g, GT_F32, (int64_t[]) { 256, 256, 1, 1 }, home, GF_WEIGHT);
}

/* Two layers on two devices: what crosses is copied once, in a pipeline so many times. */
static void test_pipeline(void **state)
{
	struct side sides[] = { side_of("cuda"), side_of("cuda"), side_of("cpu") };

	(void)state;
	for (uint32_t copies = 1; copies <= 4; copies += 3) {
		struct graph g = { 0 };
		int x = g_input(&g, GT_F32, 256, 2, 1, 1);
		uint64_t sizes[3];
		uint32_t splits;

		g_expand(&g, g_mul_mat(&g, weight(&g, 1), g_mul_mat(&g, weight(&g, 0), x)));
		sizes_of(&g, sides, 3, copies, true, sizes, &splits);
		assert_int_equal(splits, 2);
		assert_int_equal(sizes[0], (copies + 1) * 2 * ROW); /* x, and the product */
		assert_int_equal(sizes[1], (copies + 1) * 2 * ROW);
		assert_int_equal(sizes[2], copies * 2 * ROW);
		graph_fini(&g);
	}
}

/* A weight of the host is fetched for 32 rows and more, if the engine may. */
static void test_offload(void **state)
{
	static const struct {
		int64_t rows;
		bool offloads;
		int home;
		uint64_t device, splits;
	} cases[] = {
		{ 32, true, HOME_HOST, 256 * ROW + 2 * 32 * ROW, 1 },
		{ 31, true, HOME_HOST, 0, 1 },
		{ 32, false, HOME_HOST, 0, 1 },
		{ 32, true, HOME_EXTRA, 0, 1 }, /* repacked: no device can read it */
	};
	struct side sides[] = { side_of("cuda"), side_of("cpu") };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct graph g = { 0 };
		int x = g_input(&g, GT_F32, 256, cases[i].rows, 1, 1);
		uint64_t sizes[2];
		uint32_t splits;

		g_expand(&g, g_mul_mat(&g, weight(&g, cases[i].home), x));
		sizes_of(&g, sides, 2, 1, cases[i].offloads, sizes, &splits);
		assert_int_equal(sizes[0], cases[i].device);
		assert_int_equal(splits, cases[i].splits);
		graph_fini(&g);
	}
}

/* Each further weight from the host begins a split of its own, and takes the place of the last. */
static void test_weights_take_turns(void **state)
{
	struct side sides[] = { side_of("cuda"), side_of("cpu") };
	struct graph g = { 0 };
	int x = g_input(&g, GT_F32, 256, 32, 1, 1);
	uint64_t sizes[2];
	uint32_t splits;

	(void)state;
	for (int i = 0; i < 4; i++)
		x = g_mul_mat(&g, weight(&g, HOME_HOST), x);
	g_expand(&g, x);
	sizes_of(&g, sides, 2, 1, true, sizes, &splits);
	assert_int_equal(splits, 4);
	assert_in_range(sizes[0], 256 * ROW, 256 * ROW + 3 * 32 * ROW);
	graph_fini(&g);
}

/* A cache on a device that cannot write it stops the engine. */
static void test_stuck(void **state)
{
	struct side sides[] = { side_of("vulkan"), side_of("cpu") };
	struct sched s = { .sides = sides, .n_sides = 2, .n_copies = 1 };
	struct graph g = { 0 };
	int cache = g_placed(&g, GT_F32, (int64_t[]) { 256, 64, 1, 1 }, 0, 0);

	(void)state;
	sides[0].max_buffer_bytes = 8 * ROW;
	g_expand(&g, g_set_rows(&g, cache, g_input(&g, GT_F32, 256, 2, 1, 1),
				g_input(&g, GT_I64, 2, 1, 1, 1)));
	assert_int_equal(sched_graph(&s, &g), -ENOTSUP);
	assert_non_null(s.fault);
	sched_fini(&s);
	graph_fini(&g);
}

/* --- layers left out --- */

static void test_trim(void **state)
{
	static const struct {
		const char *kinds;
		struct trim_care care;
		const char *kept; /* of those layers */
		uint32_t runs;
	} cases[] = {
		{ "aaaaaaaaaa", { 3, 1 }, "aaaa", 1 },
		{ "aaaa", { 3, 1 }, "aaaa", 0 },
		{ "abababababab", { 3, 1 }, "abababab", 1 },
		{ "aaaaaaaaaaaa", { 3, 2 }, "aaaaaaaa", 1 },
		{ "xaaaaaaaay", { 3, 1 }, "xaaaay", 1 },
		{ "aaaaaabbbbbb", { 3, 1 }, "aaaabbbb", 2 },
		{ "abcdefgh", { 3, 1 }, "abcdefgh", 0 },
		{ "aabaabaabaabaabaab", { 3, 1 }, "aabaabaabaab", 1 },
		{ "", { 3, 1 }, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t n = (uint32_t)strlen(cases[i].kinds), left_out = 0;
		uint64_t kinds[32];
		struct trim t;

		for (uint32_t k = 0; k < n; k++)
			kinds[k] = (uint64_t)cases[i].kinds[k];
		trim_find(&t, kinds, n, &cases[i].care);
		assert_int_equal(t.n, strlen(cases[i].kept));
		assert_int_equal(t.n_runs, cases[i].runs);
		for (uint32_t k = 0; k < t.n; k++)
			assert_int_equal(cases[i].kinds[t.layers[k]], cases[i].kept[k]);
		for (uint32_t k = 0; k < t.n_runs; k++)
			left_out += t.runs[k].skipped;
		assert_int_equal(left_out + t.n, n);
	}
}

static void test_engines(void **state)
{
	(void)state;
	assert_null(engine_find("0.4.9"));
	assert_string_equal(engine_find("0.5.0")->version, "0.5.0");
	assert_string_equal(engine_find("0.6.12")->version, "0.5.0");
	assert_string_equal(engine_find("0.7.0")->version, "0.7.0");
	assert_string_equal(engine_find("1.0")->version, "0.7.0");
	assert_string_equal(engine_find("llama.cpp v0.5.0")->version, "0.5.0");
	assert_null(engine_find("b7000"));
	assert_string_equal(engine_default()->version, "0.7.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_not_in_place),
		cmocka_unit_test(test_best_fit),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_offload),
		cmocka_unit_test(test_weights_take_turns),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_engines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
