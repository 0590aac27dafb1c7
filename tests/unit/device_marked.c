/* SPDX-License-Identifier: MIT */
/* Lists of the kernel that mark what is chosen, in every shape that drivers write them. */
#include <stdio.h>
#include <string.h>

#include "device/marked.h"
#include "tests/unit/harness.h"

/* "0 BOOTUP_DEFAULT*, 5 COMPUTE" */
static void is(const struct marked *m, const char *want)
{
	char got[1024] = "";
	size_t at = 0;

	for (uint32_t i = 0; i < m->n; i++)
		at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%u %s%s", i ? ", " : "",
				       m->list[i].number, m->list[i].name,
				       m->list[i].now ? "*" : "");
	assert_string_equal(got, want);
}

static void table(const char *text, const char *want)
{
	struct marked m;

	marked_table(text, &m);
	is(&m, want);
}

static void tables(void **state)
{
	(void)state;
	/* smu7: the one in force is a line of its own; Polaris marks it with a blank before the star */
	table("NUM        MODE_NAME     SCLK_UP_HYST   SCLK_DOWN_HYST\n"
	      "  0   BOOTUP_DEFAULT:        -                -\n"
	      "  1 3D_FULL_SCREEN *:        0              100\n"
	      "  5          COMPUTE:        0                5\n"
	      "  *          CURRENT:        0              100\n",
	      "0 BOOTUP_DEFAULT, 1 3D_FULL_SCREEN*, 5 COMPUTE");
	/* vega10: settings behind the colon, blanks before it */
	table("NUM        MODE_NAME BUSY_SET_POINT FPS USE_RLC_BUSY MIN_ACTIVE_LEVEL\n"
	      "  0 BOOTUP_DEFAULT :             70  60          0              0\n"
	      "  2   POWER_SAVING*:             90  60          0              0\n",
	      "0 BOOTUP_DEFAULT, 2 POWER_SAVING*");
	/* vega20 and Navi: settings by clock in lines of their own */
	table("PROFILE_INDEX(NAME) CLOCK_TYPE(NAME) FPS MinFreqType MinActiveFreqType\n"
	      " 0 BOOTUP_DEFAULT*:\n"
	      "                    0(       GFXCLK)       0       5       1       0\n"
	      "                    1(       SOCCLK)       0       5       1       0\n"
	      " 1 3D_FULL_SCREEN :\n"
	      "                    0(       GFXCLK)       0       5       0    1600\n"
	      " 6         CUSTOM :\n",
	      "0 BOOTUP_DEFAULT*, 1 3D_FULL_SCREEN, 6 CUSTOM");
	/* smu 13.0.7: turned by a quarter; short names get their star behind blanks */
	table("                              0 BOOTUP_DEFAULT  1 3D_FULL_SCREEN  4 VR            * 5 COMPUTE \n"
	      "Gfx_ActiveHystLimit           0                 0                 0                 0\n"
	      "Gfx_IdleHystLimit             0                 2                 0                 1\n",
	      "0 BOOTUP_DEFAULT, 1 3D_FULL_SCREEN, 4 VR*, 5 COMPUTE");
	/* processors: names alone */
	table(" 0 BOOTUP_DEFAULT \n 1 3D_FULL_SCREEN \n 3          VIDEO*\n",
	      "0 BOOTUP_DEFAULT, 1 3D_FULL_SCREEN, 3 VIDEO*");
}

static void nonsense(void **state)
{
	char many[4096] = "";

	(void)state;
	table("", "");
	table("\n\n \n", "");
	table("busy", "");
	table(" 0 1 2 3\n", "");
	table(" 4294967296 X\n", "");
	table(" 0 A\n 0 B\n 1 A\n 2 C*\n 3 D*\n", "0 A, 2 C*, 3 D");
	table(" 1 A_NAME_OF_MORE_THAN_THIRTY_ONE_LETTERS\n", "");
	for (int i = 0; i < 60; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), " %d N%d\n", i, i);
	struct marked m;

	marked_table(many, &m);
	assert_int_equal(m.n, MARKED_MAX);
}

static void brackets(void **state)
{
	struct marked m;

	(void)state;
	marked_brackets("[base]    power_saving", &m);
	is(&m, "0 base*, 1 power_saving");
	marked_brackets("base    [power_saving]\n", &m);
	is(&m, "0 base, 1 power_saving*");
	marked_brackets("[base", &m);
	is(&m, "");
	marked_brackets("[] [a] [b]", &m);
	is(&m, "0 a*, 1 b");
}

static void finds(void **state)
{
	struct marked m;

	(void)state;
	marked_table(" 0 BOOTUP_DEFAULT*\n 1 3D_FULL_SCREEN \n", &m);
	assert_ptr_equal(marked_find(&m, "3d-full-screen"), &m.list[1]);
	assert_null(marked_find(&m, "3d-full"));
	assert_null(marked_find(&m, "3D_FULL_SCREEN_"));
	assert_null(marked_find(&m, ""));
	assert_ptr_equal(marked_now(&m), &m.list[0]);
}

static void looks(void **state)
{
	(void)state;
	assert_true(marked_says(" 0 A\n 1 B*:\n", "B"));
	assert_false(marked_says(" 0 A\n 1 B*:\n", "A"));
	assert_true(marked_says("base [power_saving]", "power_saving"));
	assert_false(marked_says("", "base"));
	/* whole watts of 187.5 and 15.9, and what is no rounding */
	assert_true(number_is_near("15000000", "15900000"));
	assert_true(number_is_near("187000000", "187500000"));
	assert_true(number_is_near("200000", "200000"));
	assert_true(number_is_near("220000", "200000"));
	assert_false(number_is_near("220001", "200000"));
	assert_false(number_is_near("18446744073709551615", "1"));
	assert_false(number_is_near("", "0"));
	assert_false(number_is_near("1 W", "1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables), cmocka_unit_test(nonsense), cmocka_unit_test(brackets),
		cmocka_unit_test(finds),  cmocka_unit_test(looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
