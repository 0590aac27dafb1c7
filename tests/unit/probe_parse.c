/* SPDX-License-Identifier: MIT */
/* The pure parsers of probe/: addresses, BARs, power states, memory, CPUs. */
#include <stdlib.h>
#include <string.h>

#include "probe/probe_priv.h"
#include "tests/unit/harness.h"

static void addresses(void **state)
{
	static const char *const good[] = { "0000:c1:00.0", "10000:01:00.7", "ffffffff:ff:1f.0" };
	static const char *const bad[] = { "",
					   "c1:00.0",
					   "0000:c1:00",
					   "0000:c1:00.8",
					   "0000:C1:00.0",
					   "000:c1:00.0",
					   "123456789:00:00.0",
					   "0000:c1:00.0x",
					   "0000:c1",
					   "0000:c1:0g.0",
					   "not-an-address",
					   "0000:",
					   "../../../etc" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(addr_ok(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(addr_ok(bad[i]));
	assert_true(addr_compare("0000:ff:00.0", "10000:01:00.0") < 0);
	assert_true(addr_compare("0000:02:00.0", "0000:01:00.0") > 0);
	assert_int_equal(addr_compare("00000000:01:00.0", "0000:01:00.0"), 0);
}

static void bars(void **state)
{
	struct bar b[PROBE_BARS];

	(void)state;
	parse_resource("0x0000004800000000 0x0000004fffffffff 0x000000000014220c\n"
		       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		       "0x0000000000004000 0x00000000000040ff 0x0000000000040101\n"
		       "0x0000000000000000 0x000000000fffffff 0x000000002014220c\n"
		       "0x0000000000000000 0x000000000000007f 0x0000000000040101\n"
		       "0x0000000085a00000 0x0000000085afffff 0x0000000000040200\n"
		       "0x00000000000c0000 0x00000000000dffff 0x0000000000000212\n"
		       "0x0000000085c00000 0x0000000085cfffff 0x0000000000040200\n",
		       b);
	assert_int_equal(b[0].size_bytes, UINT64_C(32) << 30);
	assert_int_equal(b[0].address, UINT64_C(0x4800000000));
	assert_true(b[0].is_64bit && b[0].prefetchable && !b[0].io && !b[0].unassigned);
	assert_int_equal(b[1].size_bytes, 0);
	assert_true(b[2].io && b[2].size_bytes == 256);
	/* No room was found for these two: the size is known, the address is not. */
	assert_true(b[3].unassigned && b[3].size_bytes == 256 << 20 && b[3].address == 0);
	assert_true(b[4].unassigned && b[4].size_bytes == 128);
	assert_int_equal(b[5].size_bytes, 1 << 20);
	assert_int_equal(b[6].size_bytes, 128 << 10); /* the ROM; what follows is no BAR */
}

static void hostile_bars(void **state)
{
	static const char *const lines[] = {
		"0x00000000ffffffff 0x0000000000000000 0x0000000000000200", /* ends before it starts */
		"0x0000000000000000 0xffffffffffffffff 0x0000000000000200", /* the size overflows to 0 */
		"0x0000000000000000 0xfffffffffffffffe 0x0000000000000200", /* no BAR is 16 EiB */
		"0x0000000080000000 0x000000008000ffff 0x0000000000000000", /* neither memory nor ports */
		"0x80000000 0x8000ffff",
		"0x80000000 0x8000ffff 0x200 trailing",
		"0x1ffffffffffffffff 0x2ffffffffffffffff 0x200",
		"-1 -1 0x200",
		"nonsense",
		"",
		"\n\n\n\n\n\n\n\n\n\n",
		"0x",
	};
	struct bar b[PROBE_BARS];

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		parse_resource(lines[i], b);
		for (int k = 0; k < PROBE_BARS; k++)
			assert_int_equal(b[k].size_bytes, 0);
	}
	/* One bad line costs one BAR. */
	parse_resource("nonsense\n0x80000000 0x8000ffff 0x200", b);
	assert_int_equal(b[0].size_bytes, 0);
	assert_int_equal(b[1].size_bytes, 65536);
}

static void runtime_status(void **state)
{
	(void)state;
	assert_int_equal(parse_runtime_status("active"), AWAKE_YES);
	assert_int_equal(parse_runtime_status("unsupported"), AWAKE_YES);
	assert_int_equal(parse_runtime_status("suspended"), AWAKE_NO);
	assert_int_equal(parse_runtime_status("suspending"), AWAKE_NO);
	assert_int_equal(parse_runtime_status("resuming"), AWAKE_NO);
	assert_int_equal(parse_runtime_status("error"), AWAKE_UNKNOWN);
	assert_int_equal(parse_runtime_status(""), AWAKE_UNKNOWN);
	assert_int_equal(parse_runtime_status("actively"), AWAKE_UNKNOWN);
}

static void meminfo(void **state)
{
	struct fact total, available;

	(void)state;
	parse_meminfo("MemTotal:       16331580 kB\nMemFree: 1 kB\nMemAvailable:   15290112 kB\n",
		      &total, &available);
	assert_int_equal(total.v, INT64_C(16331580) * 1024);
	assert_int_equal(available.v, INT64_C(15290112) * 1024);
	assert_int_equal(total.src, SRC_PROC);
	parse_meminfo("MemTotal: 5 kB", &total, &available);
	assert_int_equal(total.v, 5120);
	assert_false(fact_known(&available));
	assert_int_equal(available.why, WHY_NOT_EXPORTED);
}

static void hostile_meminfo(void **state)
{
	static const char *const texts[] = {
		"",
		"MemTotal:",
		"MemTotal: -5 kB",
		"MemTotal: 5",
		"MemTotal: 5 MB",
		"MemTotal: 5 kBytes",
		"MemTotal: many kB",
		"MemTotal: 99999999999999999999 kB",
		"MemTotal: 18446744073709551615 kB",
		"XMemTotal: 5 kB",
		"MemTotal: 5 kB\nMemAvailable: 6 kB",
		"MemTotal\n: 5 kB",
	};
	struct fact total, available;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		parse_meminfo(texts[i], &total, &available);
		assert_false(fact_known(&total));
		assert_false(fact_known(&available));
	}
}

static void cpuinfo(void **state)
{
	struct cpu c = { 0 };

	(void)state;
	parse_cpuinfo(
		"processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nphysical id\t: 0\ncore id\t\t: 0\n\n"
		"processor\t: 1\nmodel name\t: Some CPU @ 3 GHz\nphysical id\t: 0\ncore id\t\t: 1\n\n"
		"processor\t: 2\nmodel name\t: Some CPU @ 3 GHz\nphysical id\t: 1\ncore id\t\t: 0\n\n"
		"processor\t: 3\nmodel name\t: Some CPU @ 3 GHz\nphysical id\t: 1\ncore id\t\t: 0\n",
		&c);
	assert_string_equal(c.name.v, "Some CPU @ 3 GHz");
	assert_int_equal(c.threads.v, 4);
	assert_int_equal(c.cores.v, 3);
	assert_int_equal(c.packages.v, 2);
	/* An Arm board tells neither cores nor packages. */
	c = (struct cpu) { 0 };
	parse_cpuinfo(
		"processor\t: 0\nprocessor\t: 1\n\nSerial\t\t: 100000001234\nModel\t\t: A Board\n",
		&c);
	assert_string_equal(c.name.v, "A Board");
	assert_int_equal(c.threads.v, 2);
	assert_false(fact_known(&c.cores));
	c = (struct cpu) { 0 };
	parse_cpuinfo("core id : x\nphysical id: -1\nmodel name\n:::\n", &c);
	assert_false(fact_known(&c.cores));
	assert_false(fact_known(&c.threads));
	assert_false(fact_text_known(&c.name));
}

static void kept_lines(void **state)
{
	static const char *const keys[] = { "model name", "processor", NULL };
	char text[] =
		"processor\t: 0\nSerial : 123\nmodel name\t: X\nmodel nameplate: Y\n\nprocessor : 1";

	(void)state;
	keep_lines(text, keys);
	assert_string_equal(text, "processor\t: 0\nmodel name\t: X\nprocessor : 1");
	char nothing[] = "Serial: 1\n";

	keep_lines(nothing, keys);
	assert_string_equal(nothing, "");
}

static void cpulists(void **state)
{
	static const struct {
		const char *in, *out;
	} same[] = {
		{ "0", "0" },           { "0-3", "0-3" },
		{ "0,1,2", "0-2" },     { "5,1-2", "1-2,5" },
		{ "0-6:2", "0,2,4,6" }, { "8191", "8191" },
		{ "0,1", "0-1" },       { "", "" },
		{ "3-3", "3" },
	};
	static const char *const bad[] = { ",",  "0-",    "-1",   "1-0",    "0,,1",
					   "a",  "0-3:0", "8192", "0-8192", "99999999999999999999",
					   "0 ", "0-3:",  "0-1-2" };
	struct cpuset set;
	char buf[120];

	(void)state;
	for (size_t i = 0; i < COUNT(same); i++) {
		assert_int_equal(cpulist_parse(same[i].in, &set), 0);
		assert_true(cpulist_text(&set, buf, sizeof(buf)));
		assert_string_equal(buf, same[i].out);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_true(cpulist_parse(bad[i], &set) < 0);
}

/* A text that does not fit plainly uses strides, and names the same CPUs. */
static void long_cpulists(void **state)
{
	struct cpuset set, back;
	char buf[120];

	(void)state;
	assert_int_equal(cpulist_parse("0-254:2", &set), 0);
	assert_true(cpulist_text(&set, buf, sizeof(buf)));
	assert_string_equal(buf, "0-254:2");
	assert_int_equal(cpulist_parse("0-62:2,64-126:2,129,131-190:3,191-8191:5", &set), 0);
	assert_true(cpulist_text(&set, buf, sizeof(buf)));
	assert_int_equal(cpulist_parse(buf, &back), 0);
	assert_memory_equal(&set, &back, sizeof(set));
	/* Without a pattern there is no true short text: none is better than a wrong one. */
	srand(1);
	memset(&set, 0, sizeof(set));
	for (int i = 0; i < 4096; i++)
		if (rand() % 3 == 0)
			set.bits[i / 8] |= (uint8_t)(1u << (i % 8));
	assert_false(cpulist_text(&set, buf, sizeof(buf)));
	assert_string_equal(buf, "");
}

static void classes(void **state)
{
	(void)state;
	assert_true(class_is_ours(0x030000) && class_is_ours(0x030200) && class_is_ours(0x038000));
	assert_true(class_is_ours(0x120000) && class_is_ours(0x0b4000));
	assert_false(class_is_ours(0x060400) || class_is_ours(0x040300) || class_is_ours(0x0b3000));
	assert_false(class_is_ours(0x01030000) || class_is_ours(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),    cmocka_unit_test(bars),
		cmocka_unit_test(hostile_bars), cmocka_unit_test(runtime_status),
		cmocka_unit_test(meminfo),      cmocka_unit_test(hostile_meminfo),
		cmocka_unit_test(cpuinfo),      cmocka_unit_test(kept_lines),
		cmocka_unit_test(cpulists),     cmocka_unit_test(long_cpulists),
		cmocka_unit_test(classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
