/* SPDX-License-Identifier: MIT */
/* What a reset reaches and does, and how it is looked at. */
#include "tests/unit/slot_stage.h"

static void a_function_is_reset_alone(void **state)
{
	struct ask a = { .words = { "01:00.0" }, .n_words = 1, .o.method = "flr" };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "resets");
	planned(&st, reset_plan, &a,
		"unbind 0000:01:00.0 from nvidia\n"
		"let 0000:01:00.0 be reset by flr\n"
		"reset 0000:01:00.0\n"
		"see that 0000:01:00.0 came back as it was\n"
		"let 0000:01:00.0 be reset by flr pm\n"
		"bind 0000:01:00.0 to nvidia\n");
	const struct step *back = step_that(&st, "came back");

	assert_string_equal(back->after.agent, "pci");
	assert_string_equal(back->after.path, "config 0000:01:00.0");
	assert_string_equal(back->after.want, "de108426a100000380"
					      "00000080000000000c000000600000000000000000000000");
	assert_int_equal(step_that(&st, "reset 0000")->undo, UNDO_NEVER);
	/* The kernel's order: nothing is chosen, nothing is put back. */
	a.o.method = NULL;
	planned(&st, reset_plan, &a,
		"unbind 0000:01:00.0 from nvidia\n"
		"reset 0000:01:00.0\n"
		"see that 0000:01:00.0 came back as it was\n"
		"bind 0000:01:00.0 to nvidia\n");
}

static void a_shared_bus_is_reset_as_a_whole(void **state)
{
	struct ask a = { .words = { "03:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "resets");
	planned(&st, reset_plan, &a,
		"unbind 0000:03:00.1 from snd_hda_intel\n"
		"unbind 0000:03:00.0 from nouveau\n"
		"reset all below 0000:00:07.0\n"
		"see that 0000:03:00.0 came back as it was\n"
		"see that 0000:03:00.1 came back as it was\n"
		"bind 0000:03:00.0 to nouveau\n"
		"bind 0000:03:00.1 to snd_hda_intel\n");
	assert_string_equal(step_that(&st, "reset all")->target,
			    "sys/bus/pci/devices/0000:00:07.0/reset_subordinate");
	assert_true(warned(&st, "2 functions"));
	/* Also where the function has better ways, when it is asked for. */
	a.words[0] = "01:00.0";
	a.o.method = "bus";
	assert_int_equal(plan(&st, reset_plan, &a), 0);
	assert_null(strstr(st.said, "let "));
	step_that(&st, "reset all below 0000:00:01.0");
	a.words[0] = "04:00.0";
	a.o.method = NULL;
	refused(&st, reset_plan, &a, -EPERM, "shares its bus with 0000:04:00.1");
}

static void a_bus_of_ones_own(void **state)
{
	struct ask a = { .words = { "02:00.0" }, .n_words = 1, .o.method = "bus" };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "resets");
	planned(&st, reset_plan, &a,
		"unbind 0000:02:00.0 from amdgpu\n"
		"let 0000:02:00.0 be reset by bus\n"
		"reset 0000:02:00.0\n"
		"see that 0000:02:00.0 came back as it was\n"
		"let 0000:02:00.0 be reset by device_specific bus\n"
		"bind 0000:02:00.0 to amdgpu\n");
	/* Nothing but its ids is known of a card whose registers nobody may read. */
	assert_string_equal(step_that(&st, "came back")->after.want, "1002:731f");
}

static void resets_are_refused(void **state)
{
	static const struct {
		const char *device, *method;
		int rc;
		const char *says;
	} rows[] = {
		{ "01:00.0", "device_specific", -EINVAL, "the kernel offers: flr pm" },
		{ "01:00.0", "kick", -EINVAL, "'kick' is no way to reset anything" },
		{ "05:00.0", NULL, -EPERM, "knows no way to reset" },
		{ "06:00.0", NULL, -EPERM, "echo default" },
		{ "01:00.1", NULL, -EPERM, "knows no way to reset" },
		{ "00:07.0", NULL, -EINVAL, "carries other devices" },
		{ "0f:00.0", NULL, -ENODEV, "0f:00.0" },
	};
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "resets");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ask a = { .words = { rows[i].device },
				 .n_words = 1,
				 .o.method = rows[i].method };

		if (strcmp(rows[i].device, "01:00.1") == 0)
			continue; /* its slot can be reset by the bridge */
		refused(&st, reset_plan, &a, rows[i].rc, rows[i].says);
		assert_int_equal(st.t.n, 0);
	}
}

static void a_weak_reset_is_called_so(void **state)
{
	struct ask a = { .words = { "08:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "resets");
	assert_int_equal(plan(&st, reset_plan, &a), 0);
	assert_true(warned(&st, "may keep most of its state"));
}

static void an_older_kernel_chooses(void **state)
{
	struct ask a = { .words = { "07:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "resets");
	planned(&st, reset_plan, &a,
		"unbind 0000:07:00.0 from vfio-pci\n"
		"reset 0000:07:00.0\n"
		"see that 0000:07:00.0 came back as it was\n"
		"bind 0000:07:00.0 to vfio-pci\n");
	a.o.method = "flr";
	refused(&st, reset_plan, &a, -EPERM, "leave --method away");
}

static void methods_reach(void **state)
{
	(void)state;
	assert_int_equal(reset_reach("flr"), REACH_FUNCTION);
	assert_int_equal(reset_reach("device_specific"), REACH_CARD);
	assert_int_equal(reset_reach("cxl_bus"), REACH_BUS);
	assert_int_equal(reset_reach("kick"), -1);
}

/* Its BARs are empty after the reset: exit 6, and the method and the driver are given back all the same. */
static void what_comes_back_different_is_told(void **state)
{
	struct ask a = { .words = { "01:00.0" }, .n_words = 1, .o.method = "flr" };
	on_stage struct stage st;
	struct outcome o;
	(void)state;

	open_stage(&st, "resets");
	assert_int_equal(plan(&st, reset_plan, &a), 0);
	assert_int_equal(
		run_troubled(&st, NULL, 0, "config 0000:01:00.0", "de108426a100000380", &o),
		-ENXIO);
	assert_int_equal(err_exit(-ENXIO), EXIT_LOST);
	assert_non_null(strstr(st.e.text, "came back as it was"));
	assert_non_null(strstr(st.e.text, "it is 'de108426a100000380', not '"));
	assert_string_equal(trouble.wrote, "0000:01:00.0 > unbind\nflr > reset_method\n1 > reset\n"
					   "flr pm > reset_method\n0000:01:00.0 > bind\n");
}

static void differences_have_words(void **state)
{
	/* ids, revision and class, header type, six BARs */
	static const char was[] =
		"de108426a100000300000000fc0c0000a00000000000000000000000000000000000";
	static const struct {
		const char *object, *want, *said, *words;
	} rows[] = {
		{ "config 0000:01:00.0",
		  "de108426a100000380000000fc0c0000a0000000000000000000000000000000d0",
		  "de109926a100000380000000fc0c0000b0000000000000000000000000000000d0",
		  "its ids are 10de:2699, not 10de:2684; its BAR register 1 is 0xb000000c, not 0xa000000c" },
		{ "config 0000:01:00.0",
		  "de108426a100000380000000fc0c0000a0000000000000000000000000000000d0",
		  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		  "its ids are ffff:ffff, not 10de:2684: it does not answer" },
		{ "config 0000:01:00.0", was, "",
		  "it is '', not 'de108426a100000300000000fc0c0000a0000000'" },
		{ "ids 0000:01:00.0", "10de:2684", "1002:744c",
		  "its ids are 1002:744c, not 10de:2684" },
		{ "bar 0 0000:01:00.0", "17179869184", "268435456",
		  "BAR 0 has 256.0 MiB, not 16.0 GiB" },
		{ "bar 1 0000:01:00.0", "17179869184", "0", "BAR 1 has no address" },
		{ "nested 0000:01:00.0", "yes", "no",
		  "a BAR or window lies outside the window above" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buf[400];
		struct text t;

		text_init(&t, buf, sizeof(buf));
		pci_differs(&t, rows[i].object, rows[i].want, rows[i].said);
		assert_string_equal(buf, rows[i].words);
	}
}

static void a_reset_that_fails_gives_back_the_driver(void **state)
{
	struct ask a = { .words = { "01:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	struct outcome o;
	(void)state;

	open_stage(&st, "resets");
	assert_int_equal(plan(&st, reset_plan, &a), 0);
	assert_int_equal(run_troubled(&st, "0000:01:00.0/reset", -ENOTTY, NULL, NULL, &o), -ENOTTY);
	assert_int_equal(o.end, RUN_UNDONE);
	assert_string_equal(trouble.wrote, "0000:01:00.0 > unbind\n0000:01:00.0 > bind\n");
}

static void expect_look(const struct stage *st, const char *object, const char *says)
{
	char said[128] = "";
	struct err e = { 0 };

	assert_int_equal(pci_look(&st->m, object, said, sizeof(said), &e), 0);
	assert_string_equal(said, says);
}

static void looks_at_registers(void **state)
{
	static const char *const bad[] = { "",
					   "bar",
					   "bar 6 0000:12:00.0",
					   "bar 0",
					   "ids ",
					   "what 0000:12:00.0",
					   "ids ../../../etc",
					   "nested" };
	on_stage struct stage st;
	char said[128];
	struct err e;
	(void)state;

	open_stage(&st, "rebar");
	expect_look(&st, "bar 0 0000:12:00.0", "268435456");
	expect_look(&st, "bar 1 0000:12:00.0", "0");
	expect_look(&st, "nested 0000:12:00.0", "yes");
	expect_look(&st, "ids 0000:12:00.0", "1002:744c");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(pci_look(&st.m, bad[i], said, sizeof(said), &e), -EINVAL);
	assert_int_equal(pci_look(&st.m, "ids 0000:99:00.0", said, sizeof(said), &e), -ENODEV);
	assert_true(pci_look(&st.m, "config 0000:12:00.0", said, sizeof(said), &e) < 0);
}

static void reasons_are_given(void **state)
{
	struct step s = { .op = STEP_WRITE };
	(void)state;

	text_copy(s.target, sizeof(s.target), "sys/bus/pci/devices/0000:01:00.0/resource1_resize");
	assert_non_null(strstr(step_reason(&s, -ENOSPC), "no room"));
	assert_null(step_reason(&s, -EXDEV));
	text_copy(s.target, sizeof(s.target), "sys/bus/pci/devices/0000:01:00.0/reset");
	assert_non_null(strstr(step_reason(&s, -ENOTTY), "shares its bus"));
	text_copy(s.target, sizeof(s.target), "sys/bus/pci/drivers/nvidia/bind");
	assert_non_null(step_reason(&s, -EBUSY));
	s.op = STEP_AWAIT;
	assert_null(step_reason(&s, -EBUSY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_is_reset_alone),
		cmocka_unit_test(a_shared_bus_is_reset_as_a_whole),
		cmocka_unit_test(a_bus_of_ones_own),
		cmocka_unit_test(resets_are_refused),
		cmocka_unit_test(a_weak_reset_is_called_so),
		cmocka_unit_test(an_older_kernel_chooses),
		cmocka_unit_test(methods_reach),
		cmocka_unit_test(looks_at_registers),
		cmocka_unit_test(reasons_are_given),
		cmocka_unit_test(what_comes_back_different_is_told),
		cmocka_unit_test(differences_have_words),
		cmocka_unit_test(a_reset_that_fails_gives_back_the_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
