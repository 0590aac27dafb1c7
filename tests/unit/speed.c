/* SPDX-License-Identifier: MIT */
/* Speed: what a token reads, ranges that hold their bounds, and reasons where something is unknown. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/gguf_build.h"
#include "tests/unit/harness.h"
#include "vram-planner/speed.h"

static struct built bytes;

static struct plan plan_for(const struct model *m, const struct place *places, uint32_t n)
{
	const struct host_place host = { .free_bytes = fact_of(INT64_C(1) << 36, SRC_USER) };
	struct wish w = { .n_ctx = 2048, .accept = ACCEPT_CPU };
	struct err e = { 0 };
	struct plan p;

	if (plan_make(&p, m, places, n, &host, &w, &e))
		fail_msg("%s", e.text);
	return p;
}

static struct model *small(uint32_t n_layer)
{
	struct model *m;

	build_llama(&bytes, n_layer);
	assert_int_equal(model_from_bytes(&m, bytes.bytes, bytes.n, NULL), 0);
	return m;
}

static struct place card(int64_t bandwidth, int64_t free_bytes)
{
	return (struct place) { .name = "card",
				.backend = "cuda",
				.engine_name = "hypothetical0",
				.total_bytes = fact_of(free_bytes, SRC_USER),
				.free_bytes = fact_of(free_bytes, SRC_USER),
				.bandwidth_bytes_s = fact_of(bandwidth, SRC_USER),
				.link_bytes_s = fact_of(16000000000, SRC_USER),
				.gflops = fact_of(50000, SRC_USER),
				.power_mw = fact_of(300000, SRC_USER) };
}

static struct speed speed_for(const struct model *m, const struct plan *p,
			      const struct place *place, int64_t ram_bandwidth, uint32_t depth)
{
	struct host_place host = { .bandwidth_bytes_s = fact_of(ram_bandwidth, SRC_USER) };
	const struct prices prices = { .kwh = 0.5, .api_token = 2 };
	struct speed s;

	if (!ram_bandwidth)
		host.bandwidth_bytes_s = fact_unknown(WHY_NOT_EXPORTED);
	assert_true(speed_of_plan(&s, p, m, place, place ? 1 : 0, &host, depth, &prices));
	return s;
}

/* 2 layers of 4 matrices of 64 x 64, 3 of 128 x 64 and 2 norms, the output and its norm; the embedding is a row. */
static void a_token_reads_the_weights_and_its_cache(void **state)
{
	struct model *m = small(2);
	struct place one = card(1000000000, INT64_C(1) << 33);
	struct plan p = plan_for(m, &one, 1);
	double weights = 2 * ((4 * 64 * 64 + 3 * 128 * 64) / 32 * 34 + 2 * 64 * 4) +
			 64 * 1000 / 32 * 34 + 64 * 4;
	struct speed s = speed_for(m, &p, &one, 0, 1);

	(void)state;
	assert_int_equal(p.verdict, VERDICT_FITS);
	/* Of the cache: 2 layers, one cell, 2 heads of 32, keys and values of 2 bytes. */
	assert_int_equal((uint64_t)s.token_bytes, (uint64_t)weights + 2 * 2 * 64 * 2);
	assert_true(s.generation.known);
	assert_true(s.generation.low > 0 && s.generation.low < s.generation.high);
	assert_true(s.generation.high <= 1e9 / s.token_bytes);
	struct speed deep = speed_for(m, &p, &one, 0, 1000);

	assert_int_equal((uint64_t)deep.token_bytes, (uint64_t)weights + 1000 * 2 * 2 * 64 * 2);
	assert_true(deep.generation.high < s.generation.high);
	model_close(m);
}

static void more_is_never_slower(void **state)
{
	struct model *m = small(8);
	double low = 0, high = 0;

	(void)state;
	for (int64_t bandwidth = 100000000; bandwidth < 4000000000000; bandwidth *= 3) {
		struct place one = card(bandwidth, INT64_C(1) << 33);
		struct plan p = plan_for(m, &one, 1);
		struct speed s = speed_for(m, &p, &one, 0, 100);

		assert_true(s.generation.known && s.prompt.known && s.load_s.known);
		assert_true(s.generation.low >= low && s.generation.high >= high);
		assert_true(s.prompt.low <= s.prompt.high);
		assert_true(s.wh_1000.known && s.wh_1000.low < s.wh_1000.high);
		/* A watt-hour for 1,000 tokens is a kilowatt-hour for a million. */
		assert_true(s.cost_million.high == s.wh_1000.high * 0.5);
		low = s.generation.low;
		high = s.generation.high;
	}
	model_close(m);
}

static void what_is_unknown_is_said(void **state)
{
	struct model *m = small(2);
	struct place one = card(1000000000, INT64_C(1) << 33);
	struct plan p = plan_for(m, &one, 1);

	(void)state;
	one.bandwidth_bytes_s = one.gflops = one.link_bytes_s = one.power_mw = fact_unknown(
		WHY_NOT_EXPORTED);
	struct speed s = speed_for(m, &p, &one, 0, 1);

	assert_false(s.generation.known || s.prompt.known || s.load_s.known || s.wh_1000.known ||
		     s.cost_million.known);
	assert_string_equal(s.generation.why, "the memory bandwidth of card is unknown");
	assert_string_equal(s.load_s.why, "the link of card is unknown");
	assert_string_equal(s.wh_1000.why, "the power of card is unknown");
	struct plan on_cpu = plan_for(m, NULL, 0);

	s = speed_for(m, &on_cpu, NULL, 0, 1);
	assert_non_null(strstr(s.generation.why, "--ram-bandwidth"));
	assert_non_null(strstr(s.prompt.why, "processor"));
	s = speed_for(m, &on_cpu, NULL, 50000000000, 1);
	assert_true(s.generation.known);
	assert_false(s.wh_1000.known);
	model_close(m);
}

/* What was measured on the machine is told more closely than what a table says of all cards. */
static void a_measured_card_has_a_narrower_range(void **state)
{
	struct model *m = small(8);
	struct place one = card(1000000000, INT64_C(1) << 33);
	struct plan p = plan_for(m, &one, 1);

	(void)state;
	one.bandwidth_bytes_s.src = SRC_TABLE;
	struct speed table = speed_for(m, &p, &one, 0, 100);

	assert_string_equal(table.basis, "table");
	one.bandwidth_bytes_s.src = SRC_CACHE;
	struct speed measured = speed_for(m, &p, &one, 0, 100);

	assert_string_equal(measured.basis, "measured here");
	assert_true(measured.generation.low > table.generation.low);
	assert_true(measured.generation.high <= table.generation.high);
	model_close(m);
}

/* The host's share is read at the host's rate. */
static void a_spill_is_slower(void **state)
{
	struct model *m = small(8);
	struct place one = card(1000000000000, INT64_C(1) << 33);
	struct plan all = plan_for(m, &one, 1), half = all;

	(void)state;
	half.devices[0].layers = half.flags.n_gpu_layers = 4;
	half.host.layers = 5;
	struct speed fast = speed_for(m, &all, &one, 40000000000, 100);
	struct speed slow = speed_for(m, &half, &one, 40000000000, 100);

	assert_true(slow.generation.known && slow.generation.high < fast.generation.high);
	assert_true(slow.token_bytes == fast.token_bytes);
	model_close(m);
}

/* So is a cache that is kept there, for all that every layer is on a GPU. */
static void a_cache_on_the_host_is_slower(void **state)
{
	struct model *m = small(8);
	struct place one = card(1000000000000, INT64_C(1) << 33);
	struct plan here = plan_for(m, &one, 1), there = here;

	(void)state;
	there.flags.no_kv_offload = true;
	struct speed fast = speed_for(m, &here, &one, 1000000000, 2000);
	struct speed slow = speed_for(m, &there, &one, 1000000000, 2000);

	assert_true(slow.generation.known && slow.generation.high < fast.generation.high);
	assert_true(slow.token_bytes == fast.token_bytes);
	slow = speed_for(m, &there, &one, 0, 2000);
	assert_false(slow.generation.known);
	assert_non_null(strstr(slow.generation.why, "--ram-bandwidth"));
	model_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_reads_the_weights_and_its_cache),
		cmocka_unit_test(more_is_never_slower),
		cmocka_unit_test(what_is_unknown_is_said),
		cmocka_unit_test(a_measured_card_has_a_narrower_range),
		cmocka_unit_test(a_spill_is_slower),
		cmocka_unit_test(a_cache_on_the_host_is_slower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
