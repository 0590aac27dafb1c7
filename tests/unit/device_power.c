/* SPDX-License-Identifier: MIT */
/* What `power` and `sleep` decide on a machine with every kind of limit and profile: steps, refusals, words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/power.h"
#include "device/sleep.h"
#include "tests/unit/harness.h"

#define AMD     "0000:03:00.0"
#define APU     "0000:04:00.0"
#define XE      "0000:06:00.0"
#define I915    "0000:09:00.0"
#define NOUVEAU "0000:0a:00.0"
#define ASLEEP  "0000:0b:00.0"
#define NVIDIA  "0000:41:00.0"
#define BARE    "0000:51:00.0"

static struct machine m;
static struct scene *s;
static struct txn t;
static struct err e;

static int set_up(void **state)
{
	const char *build = getenv("BUILD");
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/machines/power", build ? build : "build");
	return machine_open(&m, path, &e) || scene_collect(&m, &(struct scene_opts) { 0 }, &s, &e);
}

static int tear_down(void **state)
{
	(void)state;
	txn_close(&t);
	scene_free(s);
	machine_close(&m);
	return 0;
}

static int ask(const char *pci, const char *cap, const char *profile, bool wake)
{
	struct ask a = { .words = { pci }, .n_words = 1 };

	a.o.cap = cap;
	a.o.profile = profile;
	a.o.wake = wake;
	memset(&e, 0, sizeof(e));
	txn_close(&t);
	assert_int_equal(txn_open(&t, "power"), 0);
	return power_plan(s, &a, &t, &e);
}

/* The steps as "file value <before>", one a line, files without their folders. */
static void steps(const char *want)
{
	char got[4096] = "";

	for (uint32_t i = 0; i < t.n; i++) {
		const struct step *p = &t.steps[i];
		const char *slash = strrchr(p->target, '/');
		const char *undo = p->undo == UNDO_BEFORE  ? p->before
				   : p->undo == UNDO_OTHER ? p->undo_value
							   : p->why;

		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s %s <%s>\n",
			 slash ? slash + 1 : p->target, p->value, undo);
		/* What a crash and a hang are judged by, and what is said, is never left out */
		assert_true(p->after.kind != LOOK_NONE && p->says[0]);
	}
	assert_string_equal(got, want);
}

static void limits(const char *pci, const char *cap, const char *want)
{
	if (ask(pci, cap, NULL, false))
		fail_msg("%s --cap %s: %s", pci, cap, e.text);
	steps(want);
}

static void says(const char *what)
{
	if (!strstr(e.text, what))
		fail_msg("\"%s\" lacks \"%s\"", e.text, what);
}

static void refuses(const char *pci, const char *cap, int rc, const char *what)
{
	assert_int_equal(ask(pci, cap, NULL, false), rc);
	assert_int_equal(t.n, 0);
	says(what);
}

static void files_in_microwatts(void **state)
{
	(void)state;
	limits(AMD, "250", "power1_cap 250000000 <236000000>\n");
	limits(AMD, "212.5W", "power1_cap 212500000 <236000000>\n");
	limits(AMD, "default", ""); /* it is so */
	limits(AMD, "board=280", "power1_cap 280000000 <236000000>\n");
	limits(APU, "12", "power1_cap 12000000 <15000000>\n");
	limits(APU, "FAST=25", "power2_cap 25000000 <18000000>\n");
	limits(XE, "default", "power1_max 225000000 <190000000>\n");
	limits(XE, "card-burst=270", "power1_cap 270000000 <260000000>\n");
	/* No limit is in force: 0 goes back */
	limits(I915, "150", "power1_max 150000000 <0>\n");
	assert_int_equal(t.steps[0].after.kind, LOOK_NEAR);
}

static void by_the_library(void **state)
{
	(void)state;
	limits(NVIDIA, "250", NVIDIA " 250000 <350000>\n");
	assert_int_equal(t.steps[0].op, STEP_ASK);
	assert_string_equal(t.steps[0].agent, "nvml");
	assert_string_equal(t.steps[0].after.agent, "nvml");
	limits(NVIDIA, "default", NVIDIA " 370000 <350000>\n");
	refuses(NVIDIA, "99.9", -EINVAL, "99.9 W is outside");
	says("100 to 400 W");
}

static void bad_values(void **state)
{
	(void)state;
	refuses(AMD, "211", -EINVAL, "212 to 280 W");
	refuses(AMD, "281", -EINVAL, "281 W is outside");
	refuses(AMD, "0", -EINVAL, "0 W is outside");
	refuses(AMD, "-5", -EINVAL, "no number of watts");
	refuses(AMD, "", -EINVAL, "no number of watts");
	refuses(AMD, "2e2", -EINVAL, "no number of watts");
	refuses(AMD, "250.1234", -EINVAL, "no number of watts");
	refuses(AMD, "99999999999999999999", -EINVAL, "no number of watts");
	refuses(AMD, "fast=20", -EINVAL, "no limit named 'fast'; it has board");
	refuses(XE, "226", -EINVAL, "at most 225 W");
	refuses(I915, "default", -ENODATA, "does not tell the default");
	refuses(I915, "0", -EINVAL, "0 W is no limit");
}

static void nothing_to_set(void **state)
{
	(void)state;
	refuses(NOUVEAU, "200", -EOPNOTSUPP, "nouveau, offers no power limit");
	refuses(BARE, "200", -EOPNOTSUPP, "has no driver");
	refuses(ASLEEP, "150", -EACCES, "--wake allows that");
	refuses("0000:99:00.0", "150", -ENODEV, "0000:99:00.0");
	refuses("0000:03:00.1", "150", -EOPNOTSUPP, "snd_hda_intel, offers no power limit");
	assert_int_equal(ask(ASLEEP, "150", NULL, true), 0);
	steps("power1_cap 150000000 <186000000>\n");
	assert_int_equal(ask(NVIDIA, NULL, "high", false), -EOPNOTSUPP);
	says("nvidia, offers no profile");
}

static void chooses(const char *pci, const char *profile, const char *want)
{
	if (ask(pci, NULL, profile, false))
		fail_msg("%s --profile %s: %s", pci, profile, e.text);
	steps(want);
}

static void profiles(void **state)
{
	(void)state;
	chooses(AMD, "high", "power_dpm_force_performance_level high <auto>\n");
	chooses(AMD, "auto", "");
	/* A mode wants the level manual first, and goes back before it */
	chooses(AMD, "compute",
		"power_dpm_force_performance_level manual <auto>\npp_power_profile_mode 5 <0>\n");
	assert_int_equal(t.steps[1].after.kind, LOOK_MARKED);
	assert_string_equal(t.steps[1].after.want, "COMPUTE");
	assert_string_equal(t.steps[1].undone.want, "BOOTUP_DEFAULT");
	chooses(AMD, "3d-full-screen",
		"power_dpm_force_performance_level manual <auto>\npp_power_profile_mode 1 <0>\n");
	chooses(AMD, "default", "");
	/* What its owner had made of CUSTOM cannot be written back */
	chooses(APU, "default",
		"pp_power_profile_mode 0 <the settings of CUSTOM cannot be written back>\n"
		"power_dpm_force_performance_level auto <manual>\n");
	chooses(XE, "power-saving",
		"power_profile power_saving <base>\npower_profile power_saving <base>\n");
	assert_string_not_equal(t.steps[0].target, t.steps[1].target);
	chooses(I915, "default", "slpc_power_profile base <power_saving>\n");
	assert_int_equal(ask(AMD, NULL, "custom", false), -EOPNOTSUPP);
	assert_int_equal(ask(AMD, NULL, "turbo", false), -EINVAL);
	says("no profile 'turbo'; it has auto, low, high");
	/* Both at once is one transaction */
	assert_int_equal(ask(AMD, "250", "low", false), 0);
	steps("power1_cap 250000000 <236000000>\npower_dpm_force_performance_level low <auto>\n");
	assert_int_equal(ask(AMD, "250", "turbo", false), -EINVAL);
}

static int sleeps(const char *pci, const char *how, bool persist)
{
	struct ask a = { .words = { pci, how }, .n_words = 2 };

	a.o.persist = persist;
	memset(&e, 0, sizeof(e));
	txn_close(&t);
	assert_int_equal(txn_open(&t, "sleep"), 0);
	return sleep_plan(s, &a, &t, &e);
}

/* "01:00.0 control auto": the function, the file, the value. */
static void sleep_steps(const char *want)
{
	char got[4096] = "";

	for (uint32_t i = 0; i < t.n; i++) {
		const struct step *p = &t.steps[i];
		const char *file = strrchr(p->target, '/') + 1;
		const char *pci = strstr(p->target,
					 strcmp(file, "control") == 0 ? "/power/" : "/d3cold");

		assert_int_equal(p->op, STEP_WRITE);
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.12s %s %s <%s>\n",
			 pci - 12, file, p->value, p->before);
	}
	assert_string_equal(got, want);
}

static void sleep_for_all_of_a_card(void **state)
{
	(void)state;
	/* Its other function, and the port that is its alone, keep it awake as well */
	assert_int_equal(sleeps(AMD, "allow", false), 0);
	sleep_steps("0000:03:00.0 control auto <on>\n0000:03:00.1 control auto <on>\n"
		    "0000:00:01.0 d3cold_allowed 1 <0>\n0000:00:01.0 control auto <on>\n");
	assert_int_equal(sleeps(AMD, "shallow", false), 0);
	sleep_steps("0000:03:00.0 d3cold_allowed 0 <1>\n0000:03:00.0 control auto <on>\n"
		    "0000:03:00.1 d3cold_allowed 0 <1>\n0000:03:00.1 control auto <on>\n"
		    "0000:00:01.0 control auto <on>\n");
	assert_int_equal(sleeps(AMD, "forbid", false), 0);
	sleep_steps("");
	assert_int_equal(sleeps(XE, "forbid", false), 0);
	sleep_steps("0000:06:00.0 control on <auto>\n");
	assert_int_equal(sleeps(XE, "perhaps", false), VERB_USAGE);
	/* A kernel without power management of it */
	assert_int_equal(sleeps(BARE, "forbid", false), -EOPNOTSUPP);
	/* Nothing wakes it */
	assert_int_equal(sleeps(ASLEEP, "allow", false), 0);
	sleep_steps("");
}

static void for_good(void **state)
{
	const struct step *p;

	(void)state;
	assert_int_equal(sleeps(XE, "forbid", true), 0);
	assert_int_equal(t.n, 2);
	p = &t.steps[1];
	assert_int_equal(p->op, STEP_SAVE);
	assert_string_equal(p->target, "etc/udev/rules.d/85-berth-sleep-0000:06:00.0.rules");
	assert_true(p->was_gone && p->undo == UNDO_BEFORE);
	assert_non_null(strstr(
		p->value, "\nACTION==\"add|bind\", SUBSYSTEM==\"pci\", KERNEL==\"0000:06:00.0\", "
			  "ATTR{vendor}==\"0x8086\", ATTR{device}==\"0xe20b\", "
			  "ATTR{power/control}=\"on\"\n"));
	assert_int_equal(sleeps(XE, "shallow", true), 0);
	assert_non_null(strstr(t.steps[t.n - 1].value, "ATTR{d3cold_allowed}=\"0\""));
}

static void words(const char *pci, const char *power, const char *sleep)
{
	char buf[512];
	struct text w;

	text_init(&w, buf, sizeof(buf));
	power_words(&w, s, scene_func(s, pci));
	assert_string_equal(buf, power);
	text_init(&w, buf, sizeof(buf));
	sleep_words(&w, s, scene_func(s, pci));
	assert_string_equal(buf, sleep);
}

static void for_the_list(void **state)
{
	(void)state;
	words(AMD, "236 W, can be 212 to 280 W", "forbidden");
	words(NVIDIA, "350 W, can be 100 to 400 W", "forbidden");
	words(XE, "190 W, can be at most 225 W", "allowed, off altogether");
	words(NOUVEAU, "nouveau has no limit to set", "allowed, off altogether");
	words(ASLEEP, "asleep", "allowed, off altogether");
	words(BARE, "no driver", "not told");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_in_microwatts),
		cmocka_unit_test(by_the_library),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(nothing_to_set),
		cmocka_unit_test(profiles),
		cmocka_unit_test(sleep_for_all_of_a_card),
		cmocka_unit_test(for_good),
		cmocka_unit_test(for_the_list),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
