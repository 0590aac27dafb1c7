/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/err.h"
#include "tests/unit/harness.h"

static void keeps_cause_and_place(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "%d tensors; at most %d", 9, 8), -EINVAL);
	assert_int_equal(err_at(&e, -EINVAL, "reading %s", "x.gguf"), -EINVAL);
	assert_string_equal(e.text, "reading x.gguf: 9 tensors; at most 8");
	assert_int_equal(e.rc, -EINVAL);
}

static void names_errno_when_nobody_said_why(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_at(&e, -ENOENT, "opening x");
	assert_string_equal(e.text, "opening x: No such file or directory");
}

static void null_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_at(NULL, -EIO, "x"), -EIO);
}

static void marks_a_cut(void **state)
{
	struct err e = { 0 };
	char lots[2000];

	(void)state;
	memset(lots, 'a', sizeof(lots) - 1);
	lots[sizeof(lots) - 1] = '\0';
	err_set(&e, -EINVAL, "%s", lots);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_string_equal(e.text + sizeof(e.text) - 4, "...");
	err_at(&e, -EINVAL, "%s", lots);
	assert_string_equal(e.text + sizeof(e.text) - 4, "...");
}

static void exit_codes_by_table(void **state)
{
	(void)state;
	assert_int_equal(err_exit(0), EXIT_YES);
	assert_int_equal(err_exit(-ENOENT), EXIT_NO);
	assert_int_equal(err_exit(-EBADMSG), EXIT_BAD_INPUT);
	assert_int_equal(err_exit(-EISDIR), EXIT_BAD_INPUT);
	assert_int_equal(err_exit(-EACCES), EXIT_ENV);
	assert_int_equal(err_exit(-ENODATA), EXIT_UNKNOWN);
	assert_int_equal(err_exit(-EIO), EXIT_LOST);
	assert_int_equal(err_exit(-ESTALE), EXIT_ENV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_cause_and_place),
		cmocka_unit_test(names_errno_when_nobody_said_why),
		cmocka_unit_test(null_is_allowed),
		cmocka_unit_test(marks_a_cut),
		cmocka_unit_test(exit_codes_by_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
