/* SPDX-License-Identifier: MIT */
/*
 * gpu_metrics tables built field after field, as the driver's structs are, so that the offsets of the parser
 * are checked by counting and not by themselves; and the levels of pp_dpm_*.
 */
#include <errno.h>
#include <string.h>

#include "probe/gpu_metrics.h"
#include "probe/probe_priv.h"
#include "tests/unit/harness.h"

struct table {
	uint8_t bytes[GPU_METRICS_MAX];
	size_t n;
	bool packed;
};

static void add(struct table *t, unsigned size, uint64_t v)
{
	if (!t->packed)
		t->n = (t->n + size - 1) / size * size;
	for (unsigned i = 0; i < size; i++)
		t->bytes[t->n++] = (uint8_t)(v >> 8 * i);
}

/* Numbers that the device leaves out. */
static void omit(struct table *t, unsigned size, int count)
{
	for (int i = 0; i < count; i++)
		add(t, size, UINT64_MAX);
}

static void begin(struct table *t, unsigned format, unsigned content)
{
	*t = (struct table) { .n = 2 };
	t->bytes[t->n++] = (uint8_t)format;
	t->bytes[t->n++] = (uint8_t)content;
}

static void end(struct table *t, unsigned align)
{
	t->n = (t->n + align - 1) / align * align;
	t->bytes[0] = (uint8_t)t->n;
	t->bytes[1] = (uint8_t)(t->n >> 8);
}

static struct gpu_metrics parse(const struct table *t)
{
	struct gpu_metrics m;

	assert_int_equal(gpu_metrics_parse(t->bytes, t->n, &m), 0);
	return m;
}

static void is(const struct fact *f, int64_t v)
{
	assert_true(fact_known(f));
	assert_int_equal(f->v, v);
}

static void is_not(const struct fact *f, enum why why)
{
	assert_false(fact_known(f));
	assert_int_equal(f->why, why);
}

static void make_1_3(struct table *t, uint64_t indep)
{
	begin(t, 1, 3);
	add(t, 2, 41), add(t, 2, 48), add(t, 2, 0); /* edge, hotspot, memory: no sensor */
	omit(t, 2, 3);
	add(t, 2, 37), add(t, 2, 12), omit(t, 2, 1); /* gfx, memory controller, media */
	add(t, 2, 118);                              /* W */
	omit(t, 8, 2);                               /* energy, clock counter */
	add(t, 2, 1800), omit(t, 2, 1), add(t, 2, 900), omit(t, 2, 4);
	omit(t, 2, 7); /* the current clocks: only averages are told */
	add(t, 4, 0x80), omit(t, 2, 4);
	omit(t, 4, 2), omit(t, 2, 4), omit(t, 8, 1);
	omit(t, 2, 1), add(t, 2, 731), omit(t, 2, 2); /* SoC, graphics, memory voltage */
	add(t, 8, indep);
	end(t, 8);
	assert_int_equal(t->n, 120);
}

static void version_1_3(void **state)
{
	struct table t;

	(void)state;
	make_1_3(&t, UINT64_C(1) << 36 | 1 << 16);
	struct gpu_metrics m = parse(&t);

	is(&m.temp_mc, 41000);
	is(&m.temp_hotspot_mc, 48000);
	is_not(&m.temp_memory_mc, WHY_NOT_EXPORTED);
	is(&m.busy_percent, 37);
	is(&m.mem_busy_percent, 12);
	is(&m.power_mw, 118000);
	is(&m.core_mhz, 1800);
	is(&m.mem_mhz, 900);
	is(&m.voltage_mv, 731);
	is_not(&m.energy_uj, WHY_NOT_EXPORTED);
	assert_string_equal(m.throttle.v, "current tdc-gfx, thermal hotspot");
	assert_string_equal(m.version.v, "1.3");
	/* A capture of a whole page has zeros behind the table. */
	assert_int_equal(gpu_metrics_parse(t.bytes, 4096, &m), 0);
	is(&m.temp_mc, 41000);
}

static void throttling(void **state)
{
	struct table t;

	(void)state;
	make_1_3(&t, 0);
	assert_string_equal(parse(&t).throttle.v, "none");
	make_1_3(&t, UINT64_C(1) << 63 | 1);
	assert_string_equal(parse(&t).throttle.v, "power ppt0, other bits 0x8000000000000000");
	make_1_3(&t,
		 UINT64_MAX); /* left out: the chip's own bits say that there is one, not which */
	assert_string_equal(parse(&t).throttle.v, "other (the driver does not name it)");
	memset(t.bytes + 68, 0xff, 4);
	assert_int_equal(parse(&t).throttle.src, SRC_NONE);
}

static void version_1_5(void **state)
{
	struct table t;

	(void)state;
	begin(&t, 1, 5);
	add(&t, 2, 61), add(&t, 2, 55), omit(&t, 2, 1), add(&t, 2, 540);
	add(&t, 2, 99), add(&t, 2, 70), omit(&t, 2, 4 + 32);
	add(&t, 8, 65536 * 7), omit(&t, 8, 1); /* 7 J */
	add(&t, 4, 0), omit(&t, 4, 1), omit(&t, 2, 4), omit(&t, 4, 2), omit(&t, 8, 5);
	omit(&t, 4, 2), omit(&t, 8, 17);
	add(&t, 2, 2100), omit(&t, 2, 7 + 12), add(&t, 2, 1300), omit(&t, 2, 1);
	end(&t, 8);
	assert_int_equal(t.n, 360);
	struct gpu_metrics m = parse(&t);

	is(&m.temp_hotspot_mc, 61000);
	is(&m.temp_memory_mc, 55000);
	is(&m.power_mw, 540000);
	is(&m.busy_percent, 99);
	is(&m.mem_busy_percent, 70);
	is(&m.energy_uj, 7000000);
	is(&m.core_mhz, 2100);
	is(&m.mem_mhz, 1300);
	is_not(&m.temp_mc, WHY_NOT_EXPORTED);
	assert_string_equal(m.throttle.v, "none");
}

static void version_1_8(void **state)
{
	struct table t;

	(void)state;
	begin(&t, 1, 8);
	add(&t, 2, 50), add(&t, 2, 44), omit(&t, 2, 1), add(&t, 2, 300), add(&t, 2, 5),
		add(&t, 2, 6);
	omit(&t, 8, 1), add(&t, 8, 65536), omit(&t, 8, 1), omit(&t, 4, 7), omit(&t, 2, 4);
	omit(&t, 4, 2), omit(&t, 8, 5), omit(&t, 4, 2), omit(&t, 8, 16), omit(&t, 2, 9),
		omit(&t, 8, 1);
	add(&t, 2, 1700), omit(&t, 2, 7 + 12), add(&t, 2, 1500), omit(&t, 2, 1);
	for (int i = 0; i < 8; i++)
		omit(&t, 4, 8), omit(&t, 2, 44), omit(&t, 8, 40);
	omit(&t, 4, 1);
	end(&t, 8);
	assert_int_equal(t.n, 3872);
	struct gpu_metrics m = parse(&t);

	is(&m.energy_uj, 1000000);
	is(&m.core_mhz, 1700);
	is(&m.mem_mhz, 1500);
	assert_false(fact_text_known(&m.throttle)); /* only counters */
}

/* 2.1 and, with more behind, 2.4. */
static void make_apu(struct table *t, unsigned content)
{
	begin(t, 2, content);
	add(t, 2, 4350), omit(t, 2, 11), add(t, 2, 1250), omit(t, 2, 1), omit(t, 8, 1);
	add(t, 2, 27500), omit(t, 2, 11);
	add(t, 2, 650), omit(t, 2, 1), add(t, 2, 800), omit(t, 2, 3);
	add(t, 2, 700), omit(t, 2, 15); /* current clocks, cores, L3 */
	add(t, 4, 0), omit(t, 2, 4);
	if (content == 1) {
		end(t, 8);
		return;
	}
	add(t, 8, 1 << 4), omit(t, 2, 12);
	omit(t, 2, 2), add(t, 2, 812), omit(t, 2, 3);
	end(t, 8);
}

static void apus(void **state)
{
	struct table t;

	(void)state;
	make_apu(&t, 1);
	assert_int_equal(t.n, 120);
	struct gpu_metrics m = parse(&t);

	is(&m.temp_mc, 43500);
	is(&m.busy_percent, 12);
	is(&m.core_mhz, 700); /* the current clock before the average */
	is(&m.mem_mhz, 800);
	is_not(&m.power_mw, WHY_NOT_EXPORTED); /* its unit depends on the chip */
	is_not(&m.voltage_mv, WHY_NOT_EXPORTED);
	assert_string_equal(m.throttle.v, "none");

	make_apu(&t, 4);
	assert_int_equal(t.n, 168);
	m = parse(&t);
	is(&m.power_mw, 27500);
	is(&m.voltage_mv, 812);
	assert_string_equal(m.throttle.v, "power spl");
}

static void version_3_0(void **state)
{
	struct table t;

	(void)state;
	begin(&t, 3, 0);
	add(&t, 2, 5520), omit(&t, 2, 18), add(&t, 2, 900), omit(&t, 2, 25 + 4), omit(&t, 8, 1);
	add(&t, 4, 84000), omit(&t, 2, 1), omit(&t, 4, 4), omit(&t, 2, 19);
	add(&t, 2, 2400), omit(&t, 2, 5), add(&t, 2, 1000), omit(&t, 2, 1 + 18), omit(&t, 4, 8);
	end(&t, 8);
	assert_int_equal(t.n, 264);
	struct gpu_metrics m = parse(&t);

	is(&m.temp_mc, 55200);
	is(&m.power_mw, 84000);
	is(&m.core_mhz, 2400);
	is(&m.mem_mhz, 1000);
	is_not(&m.busy_percent, WHY_NOT_EXPORTED);
	assert_string_equal(m.version.v, "3.0");
}

static void add_attr(struct table *t, unsigned unit, unsigned type, unsigned id, unsigned n)
{
	add(t, 8, (uint64_t)unit << 24 | type << 20 | id << 10 | n);
}

static void make_1_9(struct table *t, unsigned count)
{
	begin(t, 1, 9);
	t->packed = true;
	add(t, 4, count);
	add_attr(t, 2, 2, 0, 1), add(t, 2, 77);    /* hotspot, C, u16 */
	add_attr(t, 0, 6, 7, 1), add(t, 8, 65536); /* energy, u64 */
	add_attr(t, 1, 2, 33, 2), add(t, 2, 1900), add(t, 2, 1901);
	add_attr(t, 9, 2, 3, 1), add(t, 2, 12); /* power in another unit than today's */
	add_attr(t, 0, 0, 900, 0);              /* something new, without values */
	end(t, 1);
}

static void version_1_9(void **state)
{
	struct table t;
	struct gpu_metrics m;

	(void)state;
	make_1_9(&t, 5);
	m = parse(&t);
	is(&m.temp_hotspot_mc, 77000);
	is(&m.energy_uj, 1000000);
	is(&m.core_mhz, 1900);
	is_not(&m.power_mw, WHY_NOT_EXPORTED);
	assert_string_equal(m.version.v, "1.9");
	/* More entries than bytes, at every place of the end. */
	make_1_9(&t, 6);
	assert_int_equal(gpu_metrics_parse(t.bytes, t.n, &m), -EBADMSG);
	is_not(&m.temp_hotspot_mc, WHY_GARBLED);
	make_1_9(&t, 5);
	for (size_t n = 4; n < t.n; n++) {
		t.bytes[0] = (uint8_t)n;
		assert_int_equal(gpu_metrics_parse(t.bytes, t.n, &m), -EBADMSG);
	}
}

static void hostile(void **state)
{
	struct gpu_metrics m;
	struct table t;

	(void)state;
	begin(&t, 1, 3);
	assert_int_equal(gpu_metrics_parse(t.bytes, 0, &m), -EBADMSG);
	make_1_3(&t, 0);
	assert_int_equal(gpu_metrics_parse(t.bytes, 119, &m), -EBADMSG); /* says 120 */
	is_not(&m.temp_mc, WHY_GARBLED);
	t.bytes[0] = 3;
	assert_int_equal(gpu_metrics_parse(t.bytes, t.n, &m), -EBADMSG);
	t.bytes[0] = 112; /* another layout under the same version */
	assert_int_equal(gpu_metrics_parse(t.bytes, t.n, &m), -ENOTSUP);
	assert_string_equal(m.version.v, "1.3");
	is_not(&m.temp_mc, WHY_NOT_EXPORTED);
	t.bytes[2] = 9;
	assert_int_equal(gpu_metrics_parse(t.bytes, t.n, &m), -ENOTSUP);
	make_1_3(&t, 0);
	memset(t.bytes + 4, 0xfe, 2); /* 65278 degrees */
	m = parse(&t);
	is_not(&m.temp_mc, WHY_GARBLED);
	memset(t.bytes + 4, 0xff, t.n - 4);
	m = parse(&t);
	is_not(&m.temp_mc, WHY_NOT_EXPORTED);
	is_not(&m.core_mhz, WHY_NOT_EXPORTED);
	assert_false(fact_text_known(&m.throttle));
}

static void levels(void **state)
{
	struct fact now, max;

	(void)state;
	parse_clock_levels("0: 500Mhz \n1: 1800Mhz *\n2: 2254Mhz \n", &now, &max);
	is(&now, 1800);
	is(&max, 2254);
	parse_clock_levels("S: 19Mhz *\n0: 500Mhz\n1: 0Mhz\n2: 2304Mhz", &now, &max);
	is(&now, 19);
	is(&max, 2304);
	parse_clock_levels("0: 0Mhz *\n1: 0Mhz\n", &now, &max);
	is(&now, 0);
	is_not(&max, WHY_NOT_EXPORTED);
	parse_clock_levels("", &now, &max);
	is_not(&now, WHY_NOT_EXPORTED);
	parse_clock_levels("0: 99999999999999999999Mhz *\n:\n1:\n2: \nMhz\n: 5Mhz", &now, &max);
	is_not(&now, WHY_NOT_EXPORTED);
	is(&max, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_3), cmocka_unit_test(throttling),
		cmocka_unit_test(version_1_5), cmocka_unit_test(version_1_8),
		cmocka_unit_test(apus),        cmocka_unit_test(version_3_0),
		cmocka_unit_test(version_1_9), cmocka_unit_test(hostile),
		cmocka_unit_test(levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
