/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>

#include "base/own.h"
#include "tests/unit/harness.h"

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void closes_at_scope_end(void **state)
{
	int seen;

	(void)state;
	{
		own_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		seen = fd;
		assert_true(is_open(fd));
	}
	assert_false(is_open(seen));
}

static void taken_descriptor_stays_open(void **state)
{
	int moved;

	(void)state;
	{
		own_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		moved = take_fd(&fd);
		assert_int_equal(fd, -1);
	}
	assert_true(is_open(moved));
	close(moved);
}

static void taken_pointer_is_not_freed(void **state)
{
	char *moved;

	(void)state;
	{
		own_free char *s = strdup("kept");

		moved = take_ptr(&s);
		assert_null(s);
	}
	assert_string_equal(moved, "kept");
	free(moved);
}

static void nothing_is_nothing(void **state)
{
	own_fd int fd = -1;
	own_file FILE *f = NULL;
	own_dir DIR *d = NULL;
	own_free char *p = NULL;

	(void)state;
	(void)fd, (void)f, (void)d, (void)p;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closes_at_scope_end),
		cmocka_unit_test(taken_descriptor_stays_open),
		cmocka_unit_test(taken_pointer_is_not_freed),
		cmocka_unit_test(nothing_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
