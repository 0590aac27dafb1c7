/* SPDX-License-Identifier: MIT */
/* What eject decides on machines of tests/machines/device: its steps, and its refusals; and the words of a list. */
#include "tests/unit/slot_stage.h"

static void a_whole_box_leaves(void **state)
{
	struct ask a = { .words = { "2e:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "box.free");
	planned(&st, eject_plan, &a,
		"unbind 0000:30:00.0 from nvme\n"
		"unbind 0000:2f:00.0 from xhci_hcd\n"
		"unbind 0000:2e:00.1 from snd_hda_intel\n"
		"unbind 0000:2e:00.0 from nvidia\n"
		"remove 0000:2c:00.0 and all below it\n"
		"deauthorise 0-1 (Sonnet Breakaway Box 850 T5)\n");
	assert_string_equal(st.t.done, "You may unplug Breakaway Box 850 T5 now.");
	assert_true(warned(&st, "USB devices"));
	const struct step *remove = step_that(&st, "remove");

	assert_string_equal(remove->target, "sys/bus/pci/devices/0000:2c:00.0/remove");
	assert_int_equal(remove->after.kind, LOOK_GONE);
	assert_string_equal(remove->undo_target, "sys/bus/pci/devices/0000:00:07.0/rescan");
	assert_string_equal(step_that(&st, "nvidia")->undo_target, "sys/bus/pci/drivers_probe");
}

static void a_mounted_disk_keeps_its_box(void **state)
{
	struct ask a = { .words = { "2e:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "box.mounted");
	refused(&st, eject_plan, &a, -EBUSY, "/media/models");
	assert_int_equal(st.t.n, 0);
	a.o.force = true;
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_true(warned(&st, "/media/models"));
}

/* Which of two boxes in a row it is in is not certain: both leave. A person's choice of a driver can come back. */
static void boxes_in_a_row_leave_together(void **state)
{
	struct ask a = { .words = { "44:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "box.two");
	planned(&st, eject_plan, &a,
		"unbind 0000:44:00.0 from vfio-pci\n"
		"take back the choice of vfio-pci for 0000:44:00.0\n"
		"see that 0000:44:00.0 is free\n"
		"remove 0000:40:00.0 and all below it\n");
	assert_true(warned(&st, "it is likely 0-303"));
	assert_false(warned(&st, "USB devices")); /* Thunderbolt 3 has none past PCI */
	assert_string_equal(st.t.done, "You may unplug the box now.");
	const struct step *choice = step_that(&st, "take back the choice");

	assert_int_equal(choice->undo, UNDO_BEFORE);
	assert_string_equal(choice->before, "vfio-pci");
	assert_string_equal(step_that(&st, "is free")->undo_target,
			    "sys/bus/pci/devices/0000:44:00.0/driver/unbind");
}

/* A row by itself is certain, whichever of its boxes the card is in: all of them are let go, the last first. */
static void a_row_is_let_go(void **state)
{
	static const char *const names[] = { "2e:00.0", "0-1", "0-101", "Sonnet", "core x" };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "box.row");
	for (size_t i = 0; i < COUNT(names); i++) {
		struct ask a = { .words = { names[i] }, .n_words = 1 };

		planned(&st, eject_plan, &a,
			"unbind 0000:30:00.0 from nvme\n"
			"unbind 0000:2f:00.0 from xhci_hcd\n"
			"unbind 0000:2e:00.1 from snd_hda_intel\n"
			"unbind 0000:2e:00.0 from nvidia\n"
			"remove 0000:2c:00.0 and all below it\n"
			"deauthorise 0-101 (Razer Core X)\n"
			"deauthorise 0-1 (Sonnet Breakaway Box 850 T5)\n");
		assert_string_equal(st.t.done, "You may unplug the boxes now.");
		assert_string_equal(st.t.device, i == 0             ? "0000:2e:00.0"
						 : i == 2 || i == 4 ? "0-101"
								    : "0-1");
	}
}

static void boxes_have_names(void **state)
{
	struct ask a = { .words = { "0-1" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "box.free");
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_string_equal(st.t.done, "You may unplug Breakaway Box 850 T5 now.");
	a.words[0] = "0-0";
	refused(&st, eject_plan, &a, -EINVAL, "this machine's own controller");
	a.words[0] = "nosuch";
	refused(&st, eject_plan, &a, -ENODEV, "no device matches 'nosuch'");
	close_stage(&st);
	open_stage(&st, "box.two");
	a.words[0] = "0-3";
	refused(&st, eject_plan, &a, -EINVAL, "what is in 0-3 is not certain");
}

static void a_domain_may_not_let_go(void **state)
{
	struct ask a = { .words = { "2e:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "box.fixed");
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_null(strstr(st.said, "deauthorise"));
	assert_true(st.t.n_warns > 0);
	assert_non_null(strstr(st.t.done, "You may unplug"));
}

static void slots_lose_their_power(void **state)
{
	struct ask a = { .words = { "01:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "slots");
	planned(&st, eject_plan, &a,
		"unbind 0000:01:00.1 from snd_hda_intel\n"
		"unbind 0000:01:00.0 from amdgpu\n"
		"remove 0000:01:00.1\n"
		"remove 0000:01:00.0\n"
		"switch slot 1 off\n");
	const struct step *off = step_that(&st, "switch");

	assert_string_equal(off->target, "sys/bus/pci/slots/1/power");
	assert_string_equal(off->after.want, "0");
	assert_int_equal(off->undone.kind, LOOK_HERE);
	assert_false(off->may_fail);
	assert_string_equal(st.t.done, "Slot 1 is off: you may take the card out now.");
	/* No switch: nothing is written, and nothing is promised. */
	a.words[0] = "02:00.0";
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_null(strstr(st.said, "switch"));
	assert_null(strstr(st.t.done, "may take"));
	/* Nobody can tell: tried, and nothing is promised. */
	a.words[0] = "03:00.0";
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_true(step_that(&st, "switch")->may_fail);
	assert_null(strstr(st.t.done, "may take"));
	a.words[0] = "04:00.0";
	refused(&st, eject_plan, &a, -EPERM, "no port above it serves hot-plug");
	a.words[0] = "05:00.0"; /* by firmware: its switch is told by the slot alone */
	planned(&st, eject_plan, &a,
		"unbind 0000:05:00.0 from amdgpu\n"
		"remove 0000:05:00.0\n"
		"switch slot 5 off\n");
	assert_false(step_that(&st, "switch")->may_fail);
	assert_string_equal(st.t.done, "Slot 5 is off: you may take the card out now.");
	a.words[0] = "09:00.0";
	refused(&st, eject_plan, &a, -ENODEV, "09:00.0");
}

static void runs_are_asked_to_stop(void **state)
{
	struct ask a = { .words = { "01:00.0" }, .n_words = 1 };
	struct hold holds[3] = {
		{ .kind = HOLD_RUN, .pid = 500, .who = "chat" },
		{ .kind = HOLD_PROCESS, .pid = 500, .who = "core", .what = "/dev/dri/renderD129" },
		{ .kind = HOLD_PROCESS, .pid = 600, .who = "blender", .what = "/dev/dri/card1" },
	};
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "slots");
	for (uint32_t i = 0; i < COUNT(holds); i++)
		holds[i].func = (uint32_t)(scene_func(st.s, "01:00.0") - st.s->funcs);
	st.s->runs[0] = (struct scene_run) { .name = "chat", .pid = 500, .uid = RUN_OURS };
	st.s->n_runs = 1;
	free(st.s->holds);
	st.s->holds = calloc(COUNT(holds), sizeof(holds[0]));
	assert_non_null(st.s->holds);
	memcpy(st.s->holds, holds, sizeof(holds));
	st.s->n_holds = 2;
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_string_equal(st.t.steps[0].says, "ask run chat to stop");
	assert_int_equal(st.t.steps[0].op, STEP_ASK);
	assert_int_equal(st.t.steps[0].undo, UNDO_NEVER);
	assert_string_equal(st.t.steps[0].after.want, "ended");
	assert_false(st.t.steps[0].may_fail);
	/* Somebody else's, which root's own folders do not have, is looked for and stopped where it is. */
	st.s->runs[0].uid = 1000;
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_string_equal(st.t.steps[0].says, "ask run chat of user 1000 to stop");
	assert_string_equal(st.t.steps[0].target, "1000:chat");
	assert_string_equal(st.t.steps[0].after.path, "1000:chat");
	a.o.force = true;
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_true(st.t.steps[0].may_fail);
	assert_true(warned(&st, "run chat of user 1000 loses its device"));
	a.o.force = false;
	st.s->n_holds = 3;
	refused(&st, eject_plan, &a, -EBUSY, "blender");
	assert_null(strstr(st.e.text, "chat"));
}

static void runs_have_owners(void **state)
{
	static const char *const bad[] = {
		"",        ":chat",           "x:chat",  "1000:",       "1:2:c",
		"-1:chat", "4294967295:chat", "../chat", "1000:../chat"
	};
	const char *name;
	uint32_t uid;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (run_object_parse(bad[i], &uid, &name))
			fail_msg("'%s' is taken for a run", bad[i]);
	assert_true(run_object_parse("chat", &uid, &name) && uid == RUN_OURS);
	assert_true(run_object_parse("1000:chat", &uid, &name) && uid == 1000);
	assert_string_equal(name, "chat");
}

static void a_driver_that_refuses_to_go_keeps_the_box(void **state)
{
	struct ask a = { .words = { "2e:00.0" }, .n_words = 1 };
	on_stage struct stage st;
	struct outcome o;
	(void)state;

	open_stage(&st, "box.free");
	assert_int_equal(plan(&st, eject_plan, &a), 0);
	assert_int_equal(run_troubled(&st, "nvidia/unbind", -EBUSY, NULL, NULL, &o), -EBUSY);
	assert_int_equal(o.end, RUN_UNDONE);
	assert_null(strstr(trouble.wrote, "remove"));
	assert_null(strstr(trouble.wrote, "authorized"));
	assert_non_null(strstr(trouble.wrote, "0000:30:00.0 > drivers_probe"));
}

static void expect_words(const struct stage *st,
			 void (*words)(struct text *, const struct scene *, const struct func *),
			 const char *pci, const char *says)
{
	char buf[400];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	words(&t, st->s, scene_func(st->s, pci));
	assert_string_equal(buf, says);
}

static void list_has_words(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "slots");
	expect_words(&st, eject_words, "01:00.0", "hot-plug slot, below port 0000:00:01.0");
	expect_words(&st, eject_words, "04:00.0", "no: no port above it serves hot-plug");
	close_stage(&st);
	open_stage(&st, "resets");
	expect_words(&st, reset_words, "01:00.0", "flr pm");
	expect_words(&st, reset_words, "03:00.0", "bus, all below 0000:00:07.0 together");
	expect_words(&st, reset_words, "07:00.0", "as the kernel chooses");
	expect_words(&st, reset_words, "06:00.0",
		     "no: somebody switched all resets of 0000:06:00.0 off: "
		     "'echo default > /sys/bus/pci/devices/0000:06:00.0/reset_method' allows them");
	close_stage(&st);
	open_stage(&st, "rebar");
	expect_words(&st, rebar_words, "12:00.1", "no BAR of it can be resized");
	expect_words(&st, rebar_words, "50:00.0",
		     "BAR 0 has 256.0 MiB; its sizes are known while it is awake");
	expect_words(
		&st, rebar_words, "12:00.0",
		"BAR 0 has 256.0 MiB of 256.0 MiB, 512.0 MiB, 1.0 GiB, 2.0 GiB, 4.0 GiB, 8.0 GiB, "
		"16.0 GiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_box_leaves),
		cmocka_unit_test(a_mounted_disk_keeps_its_box),
		cmocka_unit_test(boxes_in_a_row_leave_together),
		cmocka_unit_test(a_row_is_let_go),
		cmocka_unit_test(boxes_have_names),
		cmocka_unit_test(a_domain_may_not_let_go),
		cmocka_unit_test(slots_lose_their_power),
		cmocka_unit_test(runs_are_asked_to_stop),
		cmocka_unit_test(runs_have_owners),
		cmocka_unit_test(list_has_words),
		cmocka_unit_test(a_driver_that_refuses_to_go_keeps_the_box),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
