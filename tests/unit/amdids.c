/* SPDX-License-Identifier: MIT */
/* Names of AMD's products by device and revision. */
#include <string.h>

#include "probe/amdids.h"
#include "tests/unit/harness.h"

static const char table[] = "# a comment\n"
			    "1.0.0\n"
			    "744C,\tC8,\tAMD Radeon RX 7900 XTX\n"
			    "744C,\tCC,\tAMD Radeon RX 7900 XT\n"
			    "744C C8\n"
			    "7480,\tC1,\t\n"
			    "7480,\tC1,\tAMD Radeon RX 7700S \n"
			    "12345,\t00,\ttoo long an id\n"
			    "73BF,\tC1,\tbad \x1b[31m bytes\n"
			    "1586,C1,last line without an end";

static void finds(void **state)
{
	(void)state;
	char name[64];

	assert_true(amdids_find(table, 0x744c, 0xc8, name, sizeof(name)));
	assert_string_equal(name, "AMD Radeon RX 7900 XTX");
	assert_true(amdids_find(table, 0x744c, 0xcc, name, sizeof(name)));
	assert_string_equal(name, "AMD Radeon RX 7900 XT");
	assert_true(amdids_find(table, 0x7480, 0xc1, name, sizeof(name)));
	assert_string_equal(name, "AMD Radeon RX 7700S");
	assert_true(amdids_find(table, 0x1586, 0xc1, name, sizeof(name)));
	assert_string_equal(name, "last line without an end");
	/* A name is printed on terminals. */
	assert_true(amdids_find(table, 0x73bf, 0xc1, name, sizeof(name)));
	assert_null(strchr(name, '\x1b'));
}

static void does_not(void **state)
{
	(void)state;
	char name[8];

	assert_false(amdids_find(table, 0x744c, 0xff, name, sizeof(name)));
	assert_false(amdids_find(table, 0x2345, 0, name, sizeof(name)));
	assert_false(amdids_find("", 0x744c, 0xc8, name, sizeof(name)));
	assert_false(amdids_find(",,,\n,\n744C,", 0x744c, 0xc8, name, sizeof(name)));
	/* Cut, not past the end. */
	assert_true(amdids_find(table, 0x744c, 0xc8, name, sizeof(name)));
	assert_string_equal(name, "AMD Rad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds),
		cmocka_unit_test(does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
