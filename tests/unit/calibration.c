/* SPDX-License-Identifier: MIT */
/* What was measured once: its rows, its file, and what it changes in places. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "vram-planner/calibration.h"

static void overhead(void **state)
{
	const struct fact none = fact_unknown(WHY_ASLEEP), before = fact_of(1000, SRC_NVML);
	const struct fact during = fact_of(600, SRC_NVML);
	struct fact f = calibration_overhead(&before, &during, 150);

	(void)state;
	assert_true(fact_known(&f));
	assert_int_equal(f.v, 250);
	f = calibration_overhead(&before, &during, 400);
	assert_int_equal(f.v, 0);
	/* less is gone than the engine took: somebody else left */
	f = calibration_overhead(&before, &during, 401);
	assert_false(fact_known(&f));
	f = calibration_overhead(&during, &before, 1);
	assert_false(fact_known(&f));
	f = calibration_overhead(&none, &during, 1);
	assert_false(fact_known(&f));
	f = calibration_overhead(&before, &none, 1);
	assert_false(fact_known(&f));
	f = calibration_overhead(&before, &during, UINT64_MAX);
	assert_false(fact_known(&f));
	/* somebody loaded a model meanwhile */
	const struct fact much = fact_of(INT64_C(100) << 30, SRC_NVML);

	f = calibration_overhead(&much, &during, 1);
	assert_false(fact_known(&f));
}

static struct calibration row_of(const char *key, int64_t time_s, int64_t bytes)
{
	struct calibration r = { .time_s = time_s, .overhead_bytes = fact_of(bytes, SRC_ENGINE) };

	strcpy(r.key, key);
	return r;
}

static void rows(void **state)
{
	struct calibrations *c = calloc(1, sizeof(*c));
	struct calibration r = row_of("a", 5, 1);

	(void)state;
	assert_non_null(c);
	assert_null(calibrations_find(c, "a"));
	calibrations_put(c, &r);
	r = row_of("a", 6, 2);
	calibrations_put(c, &r);
	assert_int_equal(c->n, 1);
	assert_int_equal(calibrations_find(c, "a")->overhead_bytes.v, 2);
	/* a full table loses its oldest row */
	for (int i = 0; i < CALIBRATIONS_MAX; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		r = row_of(key, 100 + i, i);
		calibrations_put(c, &r);
	}
	assert_int_equal(c->n, CALIBRATIONS_MAX);
	assert_null(calibrations_find(c, "a"));
	assert_non_null(calibrations_find(c, "k0"));
	assert_non_null(calibrations_find(c, "k63"));
	free(c);
}

static void file(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"schema\":\"berth.calibration/2\",\"devices\":{}}",
	};
	static const char odd[] =
		"{\"schema\":\"berth.calibration/1\",\"devices\":{"
		"\"no time\":{\"overhead_bytes\":1},"
		"\"from nowhere\":{\"time_s\":-1,\"overhead_bytes\":1},"
		"\"no object\":7,"
		"\"odd\":{\"time_s\":3,\"overhead_bytes\":-1,\"read_bytes_s\":\"1\",\"link_bytes_s\":1e9},"
		"\"absurd\":{\"time_s\":3,\"overhead_bytes\":9223372036854775807}}}";
	struct calibrations *c = calloc(1, sizeof(*c)), *back = calloc(1, sizeof(*back));
	struct calibration r = row_of("a", 5, 1);
	struct err e = { 0 };

	(void)state;
	assert_true(c && back);
	for (size_t i = 0; i < COUNT(bad); i++) {
		json_t *o = json_parse(bad[i], strlen(bad[i]), "test", &e);

		assert_int_equal(calibrations_from_json(c, o, &e), -EBADMSG);
		json_decref(o);
	}
	json_t *o = json_parse(odd, sizeof(odd) - 1, "test", &e);

	assert_int_equal(calibrations_from_json(c, o, &e), 0);
	json_decref(o);
	assert_int_equal(c->n, 2);
	for (uint32_t i = 0; i < c->n; i++) {
		assert_false(fact_known(&c->rows[i].overhead_bytes));
		assert_false(fact_known(&c->rows[i].read_bytes_s));
		assert_false(fact_known(&c->rows[i].link_bytes_s));
	}
	c->n = 0;
	r.link_bytes_s = fact_of(7, SRC_ENGINE);
	calibrations_put(c, &r);
	o = calibrations_to_json(c);
	assert_int_equal(calibrations_from_json(back, o, &e), 0);
	json_decref(o);
	assert_int_equal(back->n, 1);
	assert_string_equal(back->rows[0].key, "a");
	assert_int_equal(back->rows[0].overhead_bytes.v, 1);
	assert_int_equal(back->rows[0].overhead_bytes.src, SRC_CACHE);
	assert_int_equal(back->rows[0].link_bytes_s.v, 7);
	assert_false(fact_known(&back->rows[0].read_bytes_s));
	free(c);
	free(back);
}

static void apply(void **state)
{
	struct calibrations *c = calloc(1, sizeof(*c));
	struct place p[2] = { { .pci = "0000:01:00.0", .backend = "cuda", .driver = "nvidia 1" },
			      { .pci = "0000:01:00.0", .backend = "cuda", .driver = "nvidia 2" } };
	struct host_place host = { 0 };
	struct calibration r = row_of("", 5, 9);

	(void)state;
	assert_non_null(c);
	calibration_key(r.key, sizeof(r.key), &p[0]);
	r.read_bytes_s = fact_of(100, SRC_ENGINE);
	r.link_bytes_s = fact_of(10, SRC_ENGINE);
	calibrations_put(c, &r);
	calibration_key(r.key, sizeof(r.key), NULL);
	r.read_bytes_s = fact_of(50, SRC_ENGINE);
	calibrations_put(c, &r);
	p[0].bandwidth_bytes_s = fact_of(200, SRC_TABLE);
	calibrations_apply(c, p, 2, &host);
	assert_int_equal(p[0].overhead_bytes.v, 9);
	/* a number that somebody stated stands; an unknown one is filled */
	assert_int_equal(p[0].bandwidth_bytes_s.v, 200);
	assert_int_equal(p[0].link_bytes_s.v, 10);
	assert_int_equal(host.bandwidth_bytes_s.v, 50);
	/* another driver is another row */
	assert_false(fact_known(&p[1].overhead_bytes));
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overhead),
		cmocka_unit_test(rows),
		cmocka_unit_test(file),
		cmocka_unit_test(apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
