/* SPDX-License-Identifier: MIT */
/* "DEV=FILE": whose it is, and what. */
#include <string.h>

#include "bar-forward/devopts.h"
#include "tests/unit/harness.h"

static const char *const both[] = { "03:00.0", "0000:03:00.1" };
static struct opt_list given;
static struct err e;

static struct devopts of(uint32_t n, char mark)
{
	return (struct devopts) { both, n, "policy", mark, "FILE", &given };
}

static void a_name_says_whose_it_is(void **state)
{
	static const struct {
		const char *given, *value;
		int device;
	} rows[] = {
		{ "03:00.0=a", "a", 0 },         { "0000:03:00.0=a", "a", 0 },
		{ "03:00.1=a=b", "a=b", 1 },     { "0000:03:00.1=03:00.0=a", "03:00.0=a", 1 },
		{ "03:00.1=", "", 1 },           { "0001:03:00.0=a", NULL, -EINVAL },
		{ "03:00.2=a", NULL, -EINVAL },  { "03:00.0", NULL, -EINVAL },
		{ "03:00.01=a", NULL, -EINVAL }, { "a", NULL, -EINVAL },
		{ "", NULL, -EINVAL },
	};
	const struct devopts o = of(2, '=');

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *value = NULL;

		given = (struct opt_list) { 1, { rows[i].given } };
		assert_int_equal(devopts_of(&o, 0, &value, &e), rows[i].device);
		if (rows[i].device >= 0)
			assert_string_equal(value, rows[i].value);
		else
			assert_non_null(strstr(e.text, "--policy 03:00.0=FILE"));
	}
}

static void of_one_it_may_be_left_out(void **state)
{
	const struct devopts o = of(1, ':');
	const char *value;

	(void)state;
	given = (struct opt_list) { 3, { "1=256M", "03:00.0:1=256M", "03:00.1:1=256M" } };
	assert_int_equal(devopts_of(&o, 0, &value, &e), 0);
	assert_string_equal(value, "1=256M");
	assert_int_equal(devopts_of(&o, 1, &value, &e), 0);
	assert_string_equal(value, "1=256M");
	assert_int_equal(devopts_of(&o, 2, &value, &e), 0); /* its reader says that it is none */
	assert_string_equal(value, "03:00.1:1=256M");
}

static void each_has_one_at_most(void **state)
{
	const struct devopts o = of(2, '=');
	const char *value;

	(void)state;
	given = (struct opt_list) { 1, { "03:00.1=a" } };
	assert_int_equal(devopts_one(&o, 0, &value, &e), 0);
	assert_null(value);
	assert_int_equal(devopts_one(&o, 1, &value, &e), 0);
	assert_string_equal(value, "a");
	given = (struct opt_list) { 2, { "03:00.1=a", "b" } };
	assert_int_equal(devopts_one(&o, 0, &value, &e), -EINVAL);
	given = (struct opt_list) { 2, { "03:00.1=a", "0000:03:00.1=b" } };
	assert_int_equal(devopts_one(&o, 0, &value, &e), 0);
	assert_int_equal(devopts_one(&o, 1, &value, &e), -EINVAL);
	assert_non_null(strstr(e.text, "twice for 0000:03:00.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_says_whose_it_is),
		cmocka_unit_test(of_one_it_may_be_left_out),
		cmocka_unit_test(each_has_one_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
