/* SPDX-License-Identifier: MIT */
/* The planner against the engine's own measure: reading the answer, and what it changes in a plan. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "vram-planner/plan.h"
#include "vram-planner/verify.h"

#define MIB (UINT64_C(1) << 20)

static int read_text(struct measured *m, const char *s, uint32_t n_devices)
{
	struct err e = { 0 };
	json_t *o = json_parse(s, strlen(s), "test", &e);

	assert_non_null(o);
	int rc = measured_from_json(m, o, n_devices, &e);

	json_decref(o);
	assert_int_equal(rc == 0, e.text[0] == 0);
	return rc;
}

static void answers(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"schema\":\"berth.measure/2\",\"end\":\"measured\"}",
		"{\"schema\":\"berth.measure/1\"}",
		"{\"schema\":\"berth.measure/1\",\"end\":7}",
		"{\"schema\":\"berth.measure/1\",\"end\":\"measured\"}",
		"{\"schema\":\"berth.measure/1\",\"end\":\"measured\",\"devices\":[{\"compute_bytes\":1}]}",
		"{\"schema\":\"berth.measure/1\",\"end\":\"measured\",\"kv_bytes\":-1,\"kv_rounding_bytes\":0,"
		"\"devices\":[{\"compute_bytes\":1}]}",
		"{\"schema\":\"berth.measure/1\",\"end\":\"measured\",\"kv_bytes\":1,\"kv_rounding_bytes\":0,"
		"\"devices\":[{\"compute_bytes\":\"1\"}]}",
		"{\"schema\":\"berth.measure/1\",\"end\":\"measured\",\"kv_bytes\":1,\"kv_rounding_bytes\":0,"
		"\"devices\":[7]}",
		"{\"schema\":\"berth.measure/1\",\"end\":\"measured\",\"kv_bytes\":1,\"kv_rounding_bytes\":0,"
		"\"devices\":[{\"compute_bytes\":1},{\"compute_bytes\":1}]}",
	};
	struct measured m;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(read_text(&m, bad[i], 0), -EBADMSG);
	assert_int_equal(
		read_text(
			&m,
			"{\"schema\":\"berth.measure/1\",\"end\":\"measured\",\"engine\":\"9\","
			"\"kv_bytes\":5,\"kv_rounding_bytes\":6,\"devices\":[{\"compute_bytes\":7}]}",
			0),
		0);
	assert_int_equal(m.kv_bytes, 5);
	assert_int_equal(m.kv_rounding_bytes, 6);
	assert_int_equal(m.compute_bytes[0], 7);
	/* an end without sizes needs none, and its words are cleaned */
	assert_int_equal(
		read_text(
			&m,
			"{\"schema\":\"berth.measure/1\",\"end\":\"aborted\",\"why\":\"a\\u0007b\"}",
			3),
		0);
	assert_string_equal(m.why, "a?b");
	assert_int_equal(m.n, 0);
}

/* One device with 100 MiB of compute, 300 of cache and 600 of weights, `free_mib` free. */
static struct plan plan_with(uint64_t free_mib)
{
	struct plan p = { .verdict = VERDICT_FITS, .n_devices = 1 };

	strcpy(p.devices[0].pci, "0000:01:00.0");
	p.devices[0].layers = 3;
	p.devices[0].buffers = (struct plan_buffers) { 600 * MIB, 300 * MIB, 100 * MIB, 0 };
	p.devices[0].free_bytes = fact_of((int64_t)(free_mib * MIB), SRC_NVML);
	p.devices[0].left_bytes = (int64_t)((free_mib - 1000) * MIB);
	p.host.buffers.compute_bytes = 10 * MIB;
	return p;
}

static struct measured measure_of(uint64_t kv_mib, uint64_t device_mib, uint64_t host_mib)
{
	return (struct measured) { .end = "measured",
				   .kv_bytes = kv_mib * MIB,
				   .n = 2,
				   .compute_bytes = { device_mib * MIB, host_mib * MIB } };
}

static void agree(void **state)
{
	struct measured m = measure_of(300 + 16, 100 - 16, 10 + 16);
	struct plan p = plan_with(1000), before = p;
	struct verification v;

	(void)state;
	verify_use(&p, &m, &v);
	assert_int_equal(v.end, VERIFY_AGREES);
	assert_memory_equal(&p, &before, sizeof(p));
	/* just over: the cache's rounding is no difference */
	m.kv_bytes += 1;
	verify_use(&p, &m, &v);
	assert_int_equal(v.end, VERIFY_DIFFERS);
	p = before;
	m.kv_rounding_bytes = 1;
	verify_use(&p, &m, &v);
	assert_int_equal(v.end, VERIFY_AGREES);
}

static void differ(void **state)
{
	struct measured m = measure_of(300, 150, 10);
	struct plan p = plan_with(1100);
	struct verification v;

	(void)state;
	/* more than predicted, and it still fits */
	verify_use(&p, &m, &v);
	assert_int_equal(v.end, VERIFY_DIFFERS);
	assert_int_equal(p.verdict, VERDICT_FITS);
	assert_int_equal(p.devices[0].buffers.compute_bytes, 150 * MIB);
	assert_int_equal(p.devices[0].left_bytes, 50 * MIB);
	assert_int_equal(p.n_assumed, 1);
	assert_non_null(strstr(p.assumed[0], "0000:01:00.0"));
	assert_int_equal(v.planned_compute_bytes[0], 100 * MIB);
	/* more than there is */
	p = plan_with(1040);
	verify_use(&p, &m, &v);
	assert_int_equal(p.verdict, VERDICT_NO);
	assert_int_equal(p.devices[0].left_bytes, -(int64_t)(10 * MIB));
	assert_non_null(strstr(p.decided_by, "0000:01:00.0"));
	/* less than predicted: the prediction stands */
	p = plan_with(1000);
	m = measure_of(300, 50, 10);
	verify_use(&p, &m, &v);
	assert_int_equal(v.end, VERIFY_DIFFERS);
	assert_int_equal(p.verdict, VERDICT_FITS);
	assert_int_equal(p.devices[0].buffers.compute_bytes, 100 * MIB);
	/* cache: where most of it is */
	p = plan_with(1000);
	m = measure_of(400, 100, 10);
	verify_use(&p, &m, &v);
	assert_int_equal(p.devices[0].buffers.kv_bytes, 400 * MIB);
	assert_int_equal(p.verdict, VERDICT_NO);
	/* a no stays what it was, with its own reason */
	p = plan_with(1000);
	p.verdict = VERDICT_NO;
	strcpy(p.decided_by, "reason");
	verify_use(&p, &m, &v);
	assert_int_equal(p.verdict, VERDICT_NO);
	assert_string_equal(p.decided_by, "reason");
}

/* An architecture without rules: what was a bound becomes the measure, whichever is larger. */
static void bound(void **state)
{
	struct measured m = measure_of(200, 50, 5);
	struct plan p = plan_with(1000);
	struct verification v;

	(void)state;
	p.unverified = true;
	p.verdict = VERDICT_UNKNOWN;
	plan_assume(&p, PLAN_BOUND_NOTE " 'x' are verified");
	verify_use(&p, &m, &v);
	assert_int_equal(v.end, VERIFY_MEASURED);
	assert_int_equal(p.verdict, VERDICT_FITS);
	assert_false(p.unverified);
	assert_int_equal(p.devices[0].buffers.compute_bytes, 50 * MIB);
	assert_int_equal(p.devices[0].buffers.kv_bytes, 200 * MIB);
	assert_int_equal(p.devices[0].left_bytes, 150 * MIB);
	assert_null(strstr(p.assumed[0], PLAN_BOUND_NOTE " 'x' are"));
	assert_int_equal(v.planned_kv_bytes, 300 * MIB);
	/* more than the bound, and more than there is */
	m = measure_of(900, 50, 5);
	p = plan_with(1000);
	p.unverified = true;
	p.verdict = VERDICT_UNKNOWN;
	verify_use(&p, &m, &v);
	assert_int_equal(p.verdict, VERDICT_NO);
	/* caches in two places: only their sum is known, so the bound stays */
	m = measure_of(200, 50, 5);
	p = plan_with(1000);
	p.unverified = true;
	p.host.buffers.kv_bytes = 10 * MIB;
	p.host.layers = 1;
	p.host.free_bytes = fact_of(INT64_C(1) << 30, SRC_PROC);
	verify_use(&p, &m, &v);
	assert_int_equal(p.devices[0].buffers.kv_bytes, 300 * MIB);
	assert_int_equal(p.verdict, VERDICT_SPILLS);
	p = plan_with(1000);
	p.unverified = true;
	p.host.layers = 1;
	verify_use(&p, &m, &v);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
}

static void no_measure(void **state)
{
	struct measured aborted = { .end = "aborted", .why = "assert failed" };
	struct measured refused = { .end = "refused", .why = "no" };
	struct measured none = { .why = "no engine" };
	struct plan p = plan_with(1000);
	struct verification v;
	char buf[256];
	struct text t;

	(void)state;
	verify_use(&p, &none, &v);
	assert_int_equal(v.end, VERIFY_NONE);
	assert_int_equal(p.verdict, VERDICT_FITS);
	assert_non_null(strstr(p.assumed[0], "no engine"));
	text_init(&t, buf, sizeof(buf));
	verification_explain(&t, &v);
	assert_non_null(strstr(buf, "no engine"));
	verify_use(&p, &aborted, &v);
	assert_int_equal(v.end, VERIFY_REFUSED);
	assert_int_equal(p.verdict, VERDICT_REFUSED);
	assert_non_null(strstr(p.decided_by, "assert failed"));
	p = plan_with(1000);
	verify_use(&p, &refused, &v);
	assert_int_equal(p.verdict, VERDICT_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers), cmocka_unit_test(agree),      cmocka_unit_test(differ),
		cmocka_unit_test(bound),   cmocka_unit_test(no_measure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
