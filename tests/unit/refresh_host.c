/* SPDX-License-Identifier: MIT */
/* What of the host changes all the time: its memory, and how busy its CPUs are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "probe/probe_priv.h"
#include "probe/refresh.h"

#define MEMORY "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 400 kB\n"

struct folder {
	char path[64];
	struct machine m;
};

static void put(const struct folder *f, const char *name, const char *text)
{
	char path[128];
	FILE *to;

	snprintf(path, sizeof(path), "%s/proc/%s", f->path, name);
	to = fopen(path, "w");
	assert_non_null(to);
	assert_true(fputs(text, to) >= 0);
	assert_int_equal(fclose(to), 0);
}

static void folder_make(struct folder *f)
{
	char path[80];

	strcpy(f->path, "/tmp/berth-host-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	snprintf(path, sizeof(path), "%s/sys", f->path); /* without it, it is no machine's */
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/proc", f->path);
	assert_int_equal(mkdir(path, 0700), 0);
	put(f, "meminfo", MEMORY);
	assert_int_equal(machine_open(&f->m, f->path, NULL), 0);
}

static void folder_drop(struct folder *f)
{
	static const char *const names[] = { "/proc/meminfo", "/proc/stat", "/proc", "/sys", "" };
	char path[128];

	machine_close(&f->m);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, names[i]);
		remove(path);
	}
}

static void work_between_two_looks(void **state)
{
	struct cpu_time past = { 0 };
	struct cpu c = { 0 };
	struct folder f;

	(void)state;
	folder_make(&f);
	probe_refresh_host(&f.m, &c, &past);
	assert_int_equal(c.ram_available.v, 400 * 1024);
	assert_false(fact_known(&c.busy_percent)); /* there is no such file */

	put(&f, "stat", "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n");
	probe_refresh_host(&f.m, &c, &past);
	assert_false(fact_known(&c.busy_percent)); /* since when? */
	/* 200 ticks more, 150 of them idle or waiting for a disk */
	put(&f, "stat", "cpu  120 5 60 930 70 5 5 5 0 0\ncpu0 1 2 3\n");
	put(&f, "meminfo", "MemTotal: 1000 kB\nMemAvailable: 300 kB\n");
	probe_refresh_host(&f.m, &c, &past);
	assert_true(fact_known(&c.busy_percent));
	assert_int_equal(c.busy_percent.v, 25);
	assert_int_equal(c.ram_available.v, 300 * 1024);
	probe_refresh_host(&f.m, &c, &past);
	assert_false(fact_known(&c.busy_percent)); /* no tick went by */
	put(&f, "stat", "cpu  120 5 160 900 70 5 5 5 0 0\n");
	probe_refresh_host(&f.m, &c, &past);
	assert_false(fact_known(&c.busy_percent)); /* idle time that went back */
	put(&f, "stat", "intr 5\n");
	probe_refresh_host(&f.m, &c, &past);
	assert_int_equal(c.busy_percent.why, WHY_GARBLED);
	folder_drop(&f);
}

static void lines_that_are_none(void **state)
{
	static const char *const bad[] = { "",
					   "cpu",
					   "cpu0 1 2 3 4 5 6 7 8\n",
					   "cpu  1 2 3 4 5 6 7\n",
					   "cpu  1 2 x 4 5 6 7 8\n",
					   "cpu  18446744073709551615 1 2 3 4 5 6 7\n" };
	struct cpu_time t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(host_parse_time(bad[i], &t));
	assert_true(host_parse_time("cpu  1 2 3 4 5 6 7 8", &t));
	assert_int_equal(t.all, 36);
	assert_int_equal(t.idle, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_between_two_looks),
		cmocka_unit_test(lines_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
