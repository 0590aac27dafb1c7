/* SPDX-License-Identifier: MIT */
/* The privileged helper: which words it takes, and that its tables know every verb and option. */
#include <stdio.h>
#include <string.h>

#include "device/elevate.h"
#include "tests/unit/harness.h"

#define WORDS(...) ((const char *const[]) { "device-helper", __VA_ARGS__, NULL })

static int check(const char *const *argv)
{
	struct err e = { 0 };
	int argc = 0;

	while (argv[argc])
		argc++;
	int rc = helper_check(argc, argv, &e);

	if (rc)
		assert_true(e.text[0]);
	return rc;
}

static void what_is_sent_is_taken(void **state)
{
	(void)state;
	assert_int_equal(check(WORDS("manage", "bind", "0000:01:00.0", "vfio-pci")), 0);
	assert_int_equal(check(WORDS("manage", "authorise", "0-1", "--enrol")), 0);
	assert_int_equal(check(WORDS("power", "power", "0000:01:00.0", "--cap", "250W", "--for",
				     "run llama (4711)")),
			 0);
	assert_int_equal(check(WORDS("sleep", "sleep", "0000:01:00.0", "forbid")), 0);
	assert_int_equal(check(WORDS("manage", "undo")), 0);
	assert_int_equal(check(WORDS("force", "eject", "0000:01:00.0", "--force")), 0);
}

static void foreign_words_are_refused(void **state)
{
	static const char *const bad[][7] = {
		{ "x" },
		{ "x", "manage" },
		{ "x", "manage", "list" },
		{ "x", "manage", "--force", "bind" },
		{ "x", "manage", "bind", "/sys/bus", "vfio-pci" },
		{ "x", "manage", "bind", "../0000:01:00.0" },
		{ "x", "manage", "bind", "0000:01:00.0", "--machine", "root" },
		{ "x", "manage", "bind", "0000:01:00.0", "--machine=root" },
		{ "x", "manage", "bind", "0000:01:00.0", "--forc" },
		{ "x", "manage", "bind", "0000:01:00.0", "-m" },
		{ "x", "manage", "bind", "--", "-x" },
		{ "x", "manage", "bind", "" },
		{ "x", "manage", "bind", "a b" },
		{ "x", "manage", "bind", "a\nb" },
		{ "x", "manage", "bind", "\xc3\xa4" },
		{ "x", "power", "power", "--cap" },
		{ "x", "power", "power", "--cap", "--force" },
		{ "x", "power", "power", "--for", "/etc/shadow" },
		{ "x", "power", "power", "--for", "a\x1b[2J" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (check(bad[i]) != -EINVAL)
			fail_msg("row %zu is taken", i);
}

/* polkit judges by the action; a password for one must not do another. */
static void verbs_stay_in_their_action(void **state)
{
	(void)state;
	assert_int_equal(check(WORDS("power", "bind", "0000:01:00.0", "nvidia")), -EINVAL);
	assert_int_equal(check(WORDS("sleep", "power", "0000:01:00.0")), -EINVAL);
	assert_int_equal(check(WORDS("manage", "power", "0000:01:00.0")), -EINVAL);
	/* --force anywhere makes it an action of its own, and nothing else does. */
	assert_int_equal(check(WORDS("manage", "eject", "--force", "0000:01:00.0")), -EINVAL);
	assert_int_equal(check(WORDS("power", "power", "0000:01:00.0", "--force")), -EINVAL);
	assert_int_equal(check(WORDS("force", "eject", "0000:01:00.0")), -EINVAL);
	/* The value of an option is no option. */
	assert_int_equal(check(WORDS("force", "power", "--for", "--force")), -EINVAL);
}

static void lengths_and_counts_are_bounded(void **state)
{
	const char *many[64] = { "x", "manage", "bind" };
	char longer[200];

	(void)state;
	memset(longer, 'a', sizeof(longer));
	longer[199] = '\0';
	assert_int_equal(check(WORDS("manage", "bind", longer)), -EINVAL);
	assert_int_equal(check(WORDS("power", "power", "--for", longer)), -EINVAL);
	for (int i = 3; i < 63; i++)
		many[i] = longer + 198;
	assert_int_equal(check(many), -EINVAL);
}

static bool is_among(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* Every verb that changes something, and every option it heeds, passes; what only shows does not. */
static void the_tables_know_every_verb(void **state)
{
	(void)state;
	for (const struct verb *v = verbs; v->name; v++) {
		const char *action = helper_action(v->name, false);

		if (!v->plan || !action) {
			if (v->plan)
				fail_msg("the helper does not know '%s'", v->name);
			continue;
		}
		for (size_t i = 0; i < device_command.n_opts; i++) {
			const struct opt *o = &device_command.opts[i];
			char name[40], act[16], verb[16], value[] = "x";

			if (!is_among(v->heeds, o->name))
				continue;
			snprintf(name, sizeof(name), "--%s", o->name);
			snprintf(act, sizeof(act), "%s", action);
			snprintf(verb, sizeof(verb), "%s", v->name);
			if (check(WORDS(act, verb, name, o->kind == OPT_FLAG ? NULL : value)))
				fail_msg("the helper does not take %s of %s", name, v->name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_is_taken),
		cmocka_unit_test(foreign_words_are_refused),
		cmocka_unit_test(verbs_stay_in_their_action),
		cmocka_unit_test(lengths_and_counts_are_bounded),
		cmocka_unit_test(the_tables_know_every_verb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
