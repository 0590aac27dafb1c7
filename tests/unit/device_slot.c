/* SPDX-License-Identifier: MIT */
/* What eject, reset and rebar decide on machines of tests/machines/device: their steps, and their refusals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/agent_pci.h"
#include "device/agent_run.h"
#include "device/eject.h"
#include "device/hand.h"
#include "device/let_go.h"
#include "device/port.h"
#include "device/reason.h"
#include "device/rebar.h"
#include "device/reset.h"
#include "device/run.h"
#include "device/windows.h"
#include "tests/unit/harness.h"

/* A machine, and what a verb made of it. */
struct stage {
	struct machine m;
	struct scene *s;
	struct txn t;
	struct err e;
	char said[8192]; /* the steps, a line each */
};

static void open_stage(struct stage *st, const char *name)
{
	const char *build = getenv("BUILD");
	const struct scene_opts o = { .no_nvml = true };
	char dir[512];

	memset(st, 0, sizeof(*st));
	snprintf(dir, sizeof(dir), "%s/tests/device/%s", build ? build : "build", name);
	assert_int_equal(machine_open(&st->m, dir, &st->e), 0);
	assert_int_equal(scene_collect(&st->m, &o, &st->s, &st->e), 0);
}

static void close_stage(struct stage *st)
{
	txn_close(&st->t);
	scene_free(st->s);
	machine_close(&st->m);
}
#define on_stage __attribute__((cleanup(close_stage)))

typedef int plan_fn(const struct scene *, const struct ask *, struct txn *, struct err *);

static int plan(struct stage *st, plan_fn *verb, const struct ask *a)
{
	struct text t;

	txn_close(&st->t);
	st->e = (struct err) { 0 };
	assert_int_equal(txn_open(&st->t, "test"), 0);
	int rc = verb(st->s, a, &st->t, &st->e);

	text_init(&t, st->said, sizeof(st->said));
	for (uint32_t i = 0; i < st->t.n; i++)
		text_add(&t, "%s\n", st->t.steps[i].says);
	assert_false(t.cut);
	return rc;
}

/* Refused with this errno, and a sentence that has this in it. */
static void refused(struct stage *st, plan_fn *verb, const struct ask *a, int rc, const char *has)
{
	assert_int_equal(plan(st, verb, a), rc);
	if (!strstr(st->e.text, has))
		fail_msg("'%s' lacks '%s'", st->e.text, has);
}

static void planned(struct stage *st, plan_fn *verb, const struct ask *a, const char *steps)
{
	int rc = plan(st, verb, a);

	if (rc)
		fail_msg("refused: %s", st->e.text);
	assert_string_equal(st->said, steps);
}

static const struct step *step_that(const struct stage *st, const char *says)
{
	for (uint32_t i = 0; i < st->t.n; i++)
		if (strstr(st->t.steps[i].says, says))
			return &st->t.steps[i];
	fail_msg("no step says '%s'", says);
	return NULL;
}

static bool warned(const struct stage *st, const char *of)
{
	for (uint32_t i = 0; i < st->t.n_warns; i++)
		if (strstr(st->t.warns[i], of))
			return true;
	return false;
}

/* --- eject --- */

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

/* --- reset --- */

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

/* --- rebar --- */

static void a_bar_grows(void **state)
{
	struct ask a = { .words = { "12:00.0", "0", "16G" }, .n_words = 3 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "rebar");
	planned(&st, rebar_plan, &a,
		"unbind 0000:12:00.1 from snd_hda_intel\n"
		"unbind 0000:12:00.0 from amdgpu\n"
		"give BAR 0 of 0000:12:00.0 16.0 GiB\n"
		"see that its BARs lie inside the windows above\n"
		"bind 0000:12:00.0 to amdgpu\n"
		"bind 0000:12:00.1 to snd_hda_intel\n");
	const struct step *s = step_that(&st, "give BAR");

	assert_string_equal(s->target, "sys/bus/pci/devices/0000:12:00.0/resource0_resize");
	assert_string_equal(s->value, "14");
	assert_string_equal(s->undo_value, "8");
	assert_string_equal(s->after.path, "bar 0 0000:12:00.0");
	assert_string_equal(s->after.want, "17179869184");
	assert_string_equal(s->undone.want, "268435456");
	assert_int_equal(st.t.n_warns, 0);
}

static void empty_ports_make_room(void **state)
{
	struct ask a = { .words = { "22:00.0", "bar1", "16 GiB" }, .n_words = 3 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "rebar");
	refused(&st, rebar_plan, &a, -EBUSY, "0000:21:01.0 (an empty port, 16.0 GiB)");
	assert_non_null(strstr(st.e.text, "--force takes away 0000:21:01.0 first"));
	a.o.force = true;
	planned(&st, rebar_plan, &a,
		"unbind 0000:22:00.1 from snd_hda_intel\n"
		"unbind 0000:22:00.0 from nvidia\n"
		"take 0000:21:01.0 away for now\n"
		"give BAR 1 of 0000:22:00.0 16.0 GiB\n"
		"see that its BARs lie inside the windows above\n"
		"find again what was taken away\n"
		"bind 0000:22:00.0 to nvidia\n"
		"bind 0000:22:00.1 to snd_hda_intel\n");
}

/* A USB-C controller of the very card has a BAR in the window that must grow. */
static void the_card_itself_is_in_the_way(void **state)
{
	struct ask a = { .words = { "30:00.0", "1", "1G" }, .n_words = 3 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "rebar");
	refused(&st, rebar_plan, &a, -EBUSY, "--force takes away 0000:30:00.2 first");
	a.o.force = true;
	planned(&st, rebar_plan, &a,
		"unbind 0000:30:00.2 from xhci_hcd\n"
		"unbind 0000:30:00.1 from snd_hda_intel\n"
		"unbind 0000:30:00.0 from nvidia\n"
		"take 0000:30:00.2 away for now\n"
		"give BAR 1 of 0000:30:00.0 1.0 GiB\n"
		"see that its BARs lie inside the windows above\n"
		"find again what was taken away\n"
		"bind 0000:30:00.0 to nvidia\n"
		"bind 0000:30:00.1 to snd_hda_intel\n");
	assert_true(warned(&st, "processor's own window"));
}

static void another_device_pins_the_window(void **state)
{
	struct ask a = { .words = { "40:00.0", "0", "16G" }, .n_words = 3, .o.force = true };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "rebar");
	refused(&st, rebar_plan, &a, -EBUSY, "0000:40:01.0");
	assert_non_null(strstr(st.e.text, "berth doctor bar 0000:40:00.0"));
	/* A gap is left beside it. */
	a.words[2] = "512M";
	assert_int_equal(plan(&st, rebar_plan, &a), 0);
	assert_true(warned(&st, "older kernels"));
}

static void sizes_are_checked(void **state)
{
	static const struct {
		const char *device, *bar, *size;
		int rc;
		const char *says;
	} rows[] = {
		{ "12:00.0", "0", "3G", -EINVAL, "it lists 256.0 MiB, 512.0 MiB, 1.0 GiB" },
		{ "12:00.0", "0", "128M", -EINVAL, "cannot have 128M" },
		{ "12:00.0", "0", "32G", -EINVAL, "cannot have 32G" },
		{ "12:00.0", "0", "0", -EINVAL, "cannot have 0" },
		{ "12:00.0", "0", "much", -EINVAL, "'much' is no size" },
		{ "12:00.0", "0", "-1G", -EINVAL, "is no size" },
		{ "12:00.0", "0", "99999999999999999999", -EINVAL, "is no size" },
		{ "12:00.0", "2", "4M", -EINVAL,
		  "BAR 2 of 0000:12:00.0 cannot be resized; of this card: 0" },
		{ "12:00.0", "6", "4M", -EINVAL, "'6' is no BAR" },
		{ "12:00.0", "bar", "4M", -EINVAL, "'bar' is no BAR" },
		{ "12:00.0", "01", "4M", -EINVAL, "'01' is no BAR" },
		{ "00:02.0", "2", "1G", -EINVAL, "no BAR of 0000:00:02.0 can be resized" },
		{ "50:00.0", "0", "16G", -EAGAIN, "sleeps" },
		{ "40:01.0", "0", "16G", -EINVAL, "--any" },
		{ "13:00.0", "0", "16G", -ENODEV, "13:00.0" },
	};
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "rebar");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ask a = { .words = { rows[i].device, rows[i].bar, rows[i].size },
				 .n_words = 3 };

		refused(&st, rebar_plan, &a, rows[i].rc, rows[i].says);
		assert_int_equal(st.t.n, 0);
	}
}

static void it_is_so_already(void **state)
{
	struct ask a = { .words = { "60:00.0", "0", "16384M" }, .n_words = 3 };
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "rebar");
	planned(&st, rebar_plan, &a, "");
	assert_string_equal(st.t.done, "BAR 0 of 0000:60:00.0 has 16.0 GiB.");
	/* Smaller is allowed; what the driver makes of it is told. */
	a.words[2] = "256M";
	assert_int_equal(plan(&st, rebar_plan, &a), 0);
	assert_true(warned(&st, "amdgpu.rebar=0"));
}

/* --- looking --- */

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

/* --- failures: the recording hand, but for one write that is refused, or one look that is answered otherwise --- */

static struct {
	const struct hand_ops *real;
	const char *target, *object, *said;
	int rc;
	char wrote[4096]; /* "value > target", a line each */
} trouble;

static int troubled_act(struct hand *h, const struct step *s, struct err *e)
{
	size_t n = strlen(trouble.wrote);

	if (trouble.target && strstr(s->target, trouble.target))
		return err_set(e, trouble.rc, "refused");
	if (s->op == STEP_WRITE)
		snprintf(trouble.wrote + n, sizeof(trouble.wrote) - n, "%s > %s\n", s->value,
			 strrchr(s->target, '/') + 1);
	return trouble.real->act(h, s, e);
}

static int troubled_ask(struct hand *h, const char *agent, const char *object, char *said,
			size_t size, struct err *e)
{
	if (!trouble.object || strcmp(object, trouble.object) != 0)
		return trouble.real->ask(h, agent, object, said, size, e);
	text_copy(said, size, trouble.said);
	return 0;
}

/* Run what was planned; what was written is in trouble.wrote. */
static int run_troubled(struct stage *st, const char *target, int rc, const char *object,
			const char *said, struct outcome *o)
{
	struct hand_ops ops;
	struct hand h;
	struct log log;
	struct runner r = { .hand = &h, .log = &log };

	log_init(&log, "test", 2, 0);
	assert_int_equal(hand_recording(&h, &st->m, agents), 0);
	memset(&trouble, 0, sizeof(trouble));
	trouble.real = h.ops;
	trouble.target = target;
	trouble.object = object;
	trouble.said = said;
	trouble.rc = rc;
	ops = *h.ops;
	ops.act = troubled_act;
	ops.ask = troubled_ask;
	h.ops = &ops;
	st->e = (struct err) { 0 };
	rc = txn_run(&r, &st->t, o, &st->e);
	hand_close(&h);
	return rc;
}

static void no_room_puts_everything_back(void **state)
{
	struct ask a = { .words = { "12:00.0", "0", "16G" }, .n_words = 3 };
	on_stage struct stage st;
	struct outcome o;
	(void)state;

	open_stage(&st, "rebar");
	assert_int_equal(plan(&st, rebar_plan, &a), 0);
	assert_int_equal(run_troubled(&st, "resource0_resize", -ENOSPC, NULL, NULL, &o), -ENOSPC);
	assert_int_equal(o.end, RUN_UNDONE);
	assert_string_equal(trouble.wrote, "0000:12:00.1 > unbind\n0000:12:00.0 > unbind\n"
					   "0000:12:00.0 > bind\n0000:12:00.1 > bind\n");
}

static void windows_that_contradict_take_the_size_back(void **state)
{
	struct ask a = { .words = { "12:00.0", "0", "16G" }, .n_words = 3 };
	on_stage struct stage st;
	struct outcome o;
	(void)state;

	open_stage(&st, "rebar");
	assert_int_equal(plan(&st, rebar_plan, &a), 0);
	assert_int_equal(run_troubled(&st, NULL, 0, "nested 0000:12:00.0", "no", &o), -ENXIO);
	assert_int_equal(o.end, RUN_UNDONE);
	assert_string_equal(trouble.wrote, "0000:12:00.1 > unbind\n0000:12:00.0 > unbind\n"
					   "14 > resource0_resize\n8 > resource0_resize\n"
					   "0000:12:00.0 > bind\n0000:12:00.1 > bind\n");
}

static void a_driver_that_stays_away_takes_the_size_back(void **state)
{
	struct ask a = { .words = { "12:00.0", "0", "16G" }, .n_words = 3 };
	on_stage struct stage st;
	struct outcome o;
	(void)state;

	open_stage(&st, "rebar");
	assert_int_equal(plan(&st, rebar_plan, &a), 0);
	assert_true(run_troubled(&st, "amdgpu/bind", -EIO, NULL, NULL, &o) < 0);
	assert_int_equal(o.end, RUN_FAILED);
	assert_string_equal(trouble.wrote, "0000:12:00.1 > unbind\n0000:12:00.0 > unbind\n"
					   "14 > resource0_resize\n8 > resource0_resize\n"
					   "0000:12:00.1 > bind\n");
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
		cmocka_unit_test(a_function_is_reset_alone),
		cmocka_unit_test(a_shared_bus_is_reset_as_a_whole),
		cmocka_unit_test(a_bus_of_ones_own),
		cmocka_unit_test(resets_are_refused),
		cmocka_unit_test(a_weak_reset_is_called_so),
		cmocka_unit_test(an_older_kernel_chooses),
		cmocka_unit_test(methods_reach),
		cmocka_unit_test(a_bar_grows),
		cmocka_unit_test(empty_ports_make_room),
		cmocka_unit_test(the_card_itself_is_in_the_way),
		cmocka_unit_test(another_device_pins_the_window),
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(it_is_so_already),
		cmocka_unit_test(looks_at_registers),
		cmocka_unit_test(reasons_are_given),
		cmocka_unit_test(list_has_words),
		cmocka_unit_test(no_room_puts_everything_back),
		cmocka_unit_test(windows_that_contradict_take_the_size_back),
		cmocka_unit_test(a_driver_that_stays_away_takes_the_size_back),
		cmocka_unit_test(what_comes_back_different_is_told),
		cmocka_unit_test(differences_have_words),
		cmocka_unit_test(a_reset_that_fails_gives_back_the_driver),
		cmocka_unit_test(a_driver_that_refuses_to_go_keeps_the_box),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
