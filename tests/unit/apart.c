/* SPDX-License-Identifier: MIT */
/* Files whose reader may hang are read in a child: in order, with what the kernel says of each, and never waited for. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/own.h"
#include "tests/unit/harness.h"

#define LONG 60000 /* a loaded machine is no hang */

static char dir[] = "/tmp/berth-apart-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	own_file FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
}

static int set_up(void **state)
{
	char path[64];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sys", dir);
	mkdir(path, 0700);
	put("one", "vfio-pci\n");
	put("driver_override", "(null)\n");
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "one", "driver_override", "long", "sys" };
	char path[64];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	return rmdir(dir);
}

struct seen {
	uint32_t n;
	long rc[8];
	char text[8][APART_BYTES];
};

static void take(void *ctx, uint32_t i, long rc, const char *text)
{
	struct seen *s = ctx;

	assert_int_equal(i, s->n);
	s->rc[i] = rc;
	strcpy(s->text[i], text);
	s->n++;
}

/* As the live machine reads, with another root. */
static void open_root(struct machine *m)
{
	struct err e = { 0 };

	assert_int_equal(machine_open(m, dir, &e), 0);
	m->live = true;
}

static void all_are_read_in_order(void **state)
{
	static const char *const paths[] = { "one", "absent", "driver_override", "sys" };
	struct seen s = { 0 };
	struct machine m;
	(void)state;

	open_root(&m);
	assert_int_equal(apart_read(&m, paths, COUNT(paths), LONG, take, &s), 0);
	assert_int_equal(s.n, 4);
	assert_string_equal(s.text[0], "vfio-pci");
	assert_int_equal(s.rc[0], 8);
	assert_int_equal(s.rc[1], -ENOENT);
	assert_string_equal(s.text[2], "(null)");
	assert_true(s.rc[3] < 0);
	machine_close(&m);
}

/* Nobody answers within no time at all: each is told so, and the next one is tried. */
static void who_does_not_answer_is_left(void **state)
{
	static const char *const paths[] = { "one", "one", "one" };
	struct seen s = { 0 };
	struct machine m;
	(void)state;

	open_root(&m);
	assert_int_equal(apart_read(&m, paths, COUNT(paths), 0, take, &s), 0);
	assert_int_equal(s.n, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(s.rc[i], -ETIMEDOUT);
	machine_close(&m);
}

static void one_file(void **state)
{
	char buf[64], small[4];
	struct machine m;
	(void)state;

	open_root(&m);
	assert_int_equal(apart_read_one(&m, "one", buf, sizeof(buf)), 8);
	assert_int_equal(apart_read_one(&m, "./driver_override", buf, sizeof(buf)), 6);
	assert_string_equal(buf, "(null)");
	assert_int_equal(apart_read_one(&m, "./driver_override", small, sizeof(small)), -EFBIG);
	assert_string_equal(small, "");
	assert_true(apart_must("sys/bus/pci/devices/0000:01:00.0/driver_override"));
	assert_false(apart_must("driver_override"));
	assert_false(apart_must("sys/x/driver_override_not"));
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_read_in_order),
		cmocka_unit_test(who_does_not_answer_is_left),
		cmocka_unit_test(one_file),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
