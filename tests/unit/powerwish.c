/* SPDX-License-Identifier: MIT */
/* What --power-cap takes, and for which GPU it is meant. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "launch/powerwish.h"
#include "tests/unit/harness.h"

static struct power_wish w;
static struct err e;

static void takes(void **state)
{
	(void)state;
	assert_int_equal(power_wish_parse(&w, NULL, &e), 0);
	assert_null(power_wish_of(&w, "0000:03:00.0"));
	assert_int_equal(power_wish_parse(&w, "None", &e), 0);
	assert_null(power_wish_of(&w, "0000:03:00.0"));
	assert_int_equal(power_wish_parse(&w, "250", &e), 0);
	assert_string_equal(power_wish_of(&w, "0000:03:00.0"), "250");
	assert_int_equal(power_wish_parse(&w, "187.5,03:00.0=default,00010000:C1:00.0=90", &e), 0);
	assert_string_equal(power_wish_of(&w, "0000:03:00.0"), "default");
	assert_string_equal(power_wish_of(&w, "00010000:c1:00.0"), "90");
	assert_string_equal(power_wish_of(&w, "0000:c1:00.0"), "187.5");
	assert_int_equal(power_wish_parse(&w, "0000:03:00.0=250", &e), 0);
	assert_null(power_wish_of(&w, "0000:04:00.0"));
}

static void refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"-1",
		"250W",
		"1e3",
		"0x10",
		"250,",
		",250",
		"250,200",
		"250.",
		"250.1234",
		"123456",
		"none,250",
		"0000:03:00.0",
		"0000:03:00.0=",
		"3:00.0=250",
		"x000:03:00.0=1",
		"03:00=250",
		"03:00.0=1,0000:03:00.0=2",
		"0000:03:00.0=none",
		":03:00.0=1",
		"=250",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err) { 0 };
		if (power_wish_parse(&w, bad[i], &e) != -EINVAL || !e.text[0])
			fail_msg("'%s' was taken: %s", bad[i], e.text);
	}
	/* A long one is not cut into a good one */
	char *many = calloc(1, 4096);

	memset(many, '1', 4000);
	assert_int_equal(power_wish_parse(&w, many, &e), -EINVAL);
	memset(many, 0, 4096);
	for (int i = 0; i < PLAN_DEVICES_MAX + 1; i++)
		sprintf(many + strlen(many), "%s%02x:00.0=100", i ? "," : "", i);
	assert_int_equal(power_wish_parse(&w, many, &e), -EINVAL);
	free(many);
}

static void names_the_plans_devices(void **state)
{
	static struct plan p;

	(void)state;
	p.n_devices = 1;
	strcpy(p.devices[0].pci, "0000:03:00.0");
	assert_int_equal(power_wish_parse(&w, "03:00.0=250", &e), 0);
	assert_int_equal(power_wish_check(&w, &p, &e), 0);
	assert_int_equal(power_wish_parse(&w, "250,04:00.0=250", &e), 0);
	assert_int_equal(power_wish_check(&w, &p, &e), -EINVAL);
	assert_non_null(strstr(e.text, "0000:04:00.0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(names_the_plans_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
