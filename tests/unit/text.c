/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "tests/unit/harness.h"

static void builder_never_overflows(void **state)
{
	char buf[8];
	struct text t;

	(void)state;
	text_init(&t, buf, sizeof(buf));
	text_add(&t, "%s", "abc");
	assert_false(t.cut);
	text_add(&t, "%s", "defghij");
	assert_true(t.cut);
	assert_string_equal(buf, "abcdefg");
	text_add(&t, "more");
	assert_string_equal(buf, "abcdefg");
}

static void formats_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *says;
	} rows[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1048575, "1.0 MiB" }, /* never "1024.0 KiB" */
		{ UINT64_C(17179869184), "16.0 GiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char buf[TEXT_SIZE_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(text_size(buf, rows[i].bytes), rows[i].says);
	assert_string_equal(text_size_signed(buf, -1536), "-1.5 KiB");
	assert_string_equal(text_size_signed(buf, INT64_MIN), "-8.0 EiB");
	assert_string_equal(text_size_signed(buf, 5), "+5 B");
}

static void parses_sizes(void **state)
{
	static const struct {
		const char *s;
		int rc;
		uint64_t bytes;
	} rows[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "1k", 0, 1024 },
		{ "1.5GiB", 0, UINT64_C(1610612736) },
		{ "2 MiB", 0, 2097152 },
		{ "1GB", 0, 1000000000 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "9999999999T", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1Q", -EINVAL, 0 },
		{ "1GiBs", -EINVAL, 0 },
		{ ".5G", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t v = 7;

		assert_int_equal(text_parse_size(rows[i].s, &v), rows[i].rc);
		if (!rows[i].rc)
			assert_int_equal(v, rows[i].bytes);
	}
}

static void parses_whole_numbers(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(text_parse_u64("0x1af4", &v), 0);
	assert_int_equal(v, 0x1af4);
	assert_int_equal(text_parse_u64("18446744073709551615", &v), 0);
	assert_int_equal(text_parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(text_parse_u64("0x", &v), -EINVAL);
	assert_int_equal(text_parse_u64("12a", &v), -EINVAL);
	assert_int_equal(text_parse_u64(" 12", &v), -EINVAL);
	assert_int_equal(text_parse_u64("+1", &v), -EINVAL);
	assert_int_equal(text_parse_u64("-1", &v), -EINVAL);
	assert_int_equal(text_parse_u64("", &v), -EINVAL);
	assert_int_equal(text_parse_u64("af", &v), -EINVAL);
}

static void cleans_what_a_terminal_would_obey(void **state)
{
	char esc[] = "a\033[2Jb", c1[] = "x\302\233y", bad[] = "\377\376ok", cut[] = "\342\202";
	char good[] = "caf\303\251 \342\202\254 \360\237\230\200", over[] = "\300\257",
	     surr[] = "\355\240\200";

	(void)state;
	assert_string_equal(text_clean(esc), "a?[2Jb");
	assert_string_equal(text_clean(c1), "x??y");
	assert_string_equal(text_clean(bad), "??ok");
	assert_string_equal(text_clean(cut), "??");
	assert_string_equal(text_clean(good), "caf\303\251 \342\202\254 \360\237\230\200");
	assert_string_equal(text_clean(over), "??");
	assert_string_equal(text_clean(surr), "???");
}

static void copies_and_trims(void **state)
{
	char buf[4], line[] = "0x10de \n";

	(void)state;
	assert_true(text_copy(buf, sizeof(buf), "abc"));
	assert_false(text_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_string_equal(text_trim(line), "0x10de");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builder_never_overflows),
		cmocka_unit_test(formats_sizes),
		cmocka_unit_test(parses_sizes),
		cmocka_unit_test(parses_whole_numbers),
		cmocka_unit_test(cleans_what_a_terminal_would_obey),
		cmocka_unit_test(copies_and_trims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
