/* SPDX-License-Identifier: MIT */
/* A captured folder is hostile: nothing outside it is read, nothing hangs, nothing grows without bound. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/own.h"
#include "tests/unit/harness.h"

struct folder {
	char dir[64];
	struct machine m;
};

static void put(const struct folder *f, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	FILE *out = fopen(path, "we");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void at(const struct folder *f, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", f->dir, name);
}

static int setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));
	char path[256];

	strcpy(f->dir, "/tmp/berth-machine-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	at(f, "sys", path);
	mkdir(path, 0755);
	put(f, "sys/number", "0x10de\n");
	put(f, "sys/minus", "-1\n");
	put(f, "sys/words", "hello world\n\n");
	put(f, "sys/empty", "");
	at(f, "sys/fifo", path);
	mkfifo(path, 0644);
	at(f, "sys/escape", path);
	(void)!symlink("../../../../../../etc/passwd", path);
	at(f, "sys/absolute", path);
	(void)!symlink("/sys/number", path);
	at(f, "sys/loop", path);
	(void)!symlink("loop", path);
	at(f, "sys/driver", path);
	(void)!symlink("../../bus/pci/drivers/amdgpu", path);
	*state = f;
	return machine_open(&f->m, f->dir, NULL);
}

static int teardown(void **state)
{
	struct folder *f = *state;
	char line[128];

	machine_close(&f->m);
	snprintf(line, sizeof(line), "rm -rf %s", f->dir);
	int rc = system(line);

	free(f);
	return rc;
}

static void reads_text_and_numbers(void **state)
{
	struct folder *f = *state;
	char buf[32];
	uint64_t u;

	assert_int_equal(machine_read(&f->m, "sys/words", buf, sizeof(buf)), 11);
	assert_string_equal(buf, "hello world");
	assert_int_equal(machine_read_u64(&f->m, "sys/number", &u), 0);
	assert_int_equal(u, 0x10de);
	assert_int_equal(machine_read_u64(&f->m, "sys/words", &u), -EBADMSG);
	assert_int_equal(machine_read_u64(&f->m, "sys/empty", &u), -EBADMSG);
	assert_int_equal(machine_read_u64(&f->m, "sys/minus", &u), -EBADMSG);
	assert_int_equal(machine_read(&f->m, "sys/none", buf, sizeof(buf)), -ENOENT);
}

static void never_leaves_the_folder(void **state)
{
	struct folder *f = *state;
	char buf[4096];
	uint64_t u;

	assert_int_equal(machine_read(&f->m, "sys/escape", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(machine_read(&f->m, "../../../../etc/passwd", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(machine_read_u64(&f->m, "sys/absolute", &u),
			 0); /* absolute within the folder */
	assert_int_equal(machine_read(&f->m, "sys/loop", buf, sizeof(buf)), -ELOOP);
}

static void odd_files_do_not_hang(void **state)
{
	struct folder *f = *state;
	char buf[64], huge[8];

	assert_int_equal(machine_read(&f->m, "sys/fifo", buf, sizeof(buf)), -EBADMSG);
	assert_int_equal(machine_read(&f->m, "sys", buf, sizeof(buf)), -EBADMSG);
	assert_int_equal(machine_read(&f->m, "sys/words", huge, sizeof(huge)), -EFBIG);
	assert_string_equal(huge, "");
}

static void reads_links_without_following(void **state)
{
	struct folder *f = *state;
	char buf[64];

	assert_int_equal(machine_link(&f->m, "sys/driver", buf, sizeof(buf)), 0);
	assert_non_null(strstr(buf, "/amdgpu"));
	assert_int_equal(machine_link(&f->m, "sys/number", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(machine_link(&f->m, "sys/none", buf, sizeof(buf)), -ENOENT);
}

static void lists_sorted(void **state)
{
	struct folder *f = *state;
	own_free char **names = NULL;
	int n = machine_list(&f->m, "sys", &names);

	assert_int_equal(n, 9);
	assert_string_equal(names[0], "absolute");
	assert_string_equal(names[8], "words");
	assert_null(names[9]);
	char **none;

	assert_int_equal(machine_list(&f->m, "sys/number", &none), -ENOTDIR);
	assert_null(none);
}

static void says_what_is_no_machine(void **state)
{
	struct folder *f = *state;
	struct machine m;
	struct err e = { 0 };
	char path[256];

	at(f, "sys/number", path);
	assert_int_equal(machine_open(&m, path, &e), -ENOTDIR);
	at(f, "absent", path);
	assert_int_equal(machine_open(&m, path, &e), -ENOENT);
	at(f, "sys", path);
	assert_int_equal(machine_open(&m, path, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "--capture"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_text_and_numbers),
		cmocka_unit_test(never_leaves_the_folder),
		cmocka_unit_test(odd_files_do_not_hang),
		cmocka_unit_test(reads_links_without_following),
		cmocka_unit_test(lists_sorted),
		cmocka_unit_test(says_what_is_no_machine),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
