/* SPDX-License-Identifier: MIT */
/* Thunderbolt boxes of tests/machines/device/boxes.tree: which one is meant, what is in it, who lets it in and out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/tb.h"
#include "device/verb.h"
#include "tests/unit/harness.h"

struct stage {
	struct machine m;
	struct scene *s;
	struct txn t;
	struct err e;
};

static void open_stage(struct stage *st, const char *variant)
{
	const char *build = getenv("BUILD");
	const struct scene_opts o = { .no_nvml = true };
	char dir[512];

	*st = (struct stage) { 0 };
	snprintf(dir, sizeof(dir), "%s/tests/device/boxes.%s", build ? build : "build", variant);
	assert_int_equal(machine_open(&st->m, dir, &st->e), 0);
	assert_int_equal(scene_collect(&st->m, &o, &st->s, &st->e), 0);
	assert_int_equal(txn_open(&st->t, "authorise"), 0);
}

static void close_stage(struct stage *st)
{
	txn_close(&st->t);
	scene_free(st->s);
	machine_close(&st->m);
}
#define on_stage __attribute__((cleanup(close_stage)))

static int authorise(struct stage *st, const char *device, struct options o)
{
	const struct ask a = { .words = { device }, .n_words = 1, .o = o };

	return authorise_plan(st->s, &a, &st->t, &st->e);
}

static int deauthorise(struct stage *st, const char *device, struct options o)
{
	const struct ask a = { .words = { device }, .n_words = 1, .o = o };

	return deauthorise_plan(st->s, &a, &st->t, &st->e);
}

static bool warned(const struct stage *st, const char *words)
{
	for (uint32_t i = 0; i < st->t.n_warns; i++)
		if (strstr(st->t.warns[i], words))
			return true;
	return false;
}

static const char *name_of(const struct stage *st, const char *device)
{
	int i = tb_select(st->s, device, NULL);

	return i < 0 ? "" : st->s->report->usb4.routers[i].name;
}

static void a_box_has_many_names(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "alone");
	assert_string_equal(name_of(&st, "0-1"), "0-1");
	assert_string_equal(name_of(&st, "D1030000-0080-7608-23e4-bc8d0d2a1111"), "0-1");
	assert_string_equal(name_of(&st, "5a5a5a5a"), "0-3");
	assert_string_equal(name_of(&st, "razer core"), "0-1");
	assert_string_equal(name_of(&st, "Breakaway"), "0-3");
	assert_int_equal(tb_select(st.s, "CalDigit", &st.e), -EINVAL);
	assert_non_null(strstr(st.e.text, "0-101, 0-303"));
	assert_int_equal(tb_select(st.s, "0-0", &st.e), -EINVAL);
	assert_int_equal(tb_select(st.s, "0-5", &st.e), -ENODEV);
	assert_non_null(strstr(st.e.text, "0-3 (Sonnet Breakaway Core)"));
	/* Seven digits may be an accident; and one letter is no name. */
	assert_int_equal(tb_select(st.s, "5a5a5a5", &st.e), -ENODEV);
	assert_int_equal(tb_select(st.s, "x", &st.e), -ENODEV);
	assert_int_equal(tb_select(st.s, "", &st.e), -ENODEV);
	/* A GPU stands for its box where that is certain, and with two ports in use it is not. */
	assert_int_equal(tb_select(st.s, "0c:00.0", &st.e), -EINVAL);
	assert_non_null(strstr(st.e.text, "perhaps 0-1"));
	assert_int_equal(tb_select(st.s, "0000:00:02.0", &st.e), -EINVAL);
	assert_non_null(strstr(st.e.text, "in no Thunderbolt box"));
}

static bool holds(const struct func **set, uint32_t n, const char *pci)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(set[i]->pci, pci) == 0)
			return true;
	return false;
}

static void all_below_the_tunnel_leaves(void **state)
{
	const struct func *set[64];
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "alone");
	uint32_t n = tb_behind(st.s, (uint32_t)tb_select(st.s, "0-1", NULL), set, 64);

	assert_true(holds(set, n, "0000:0c:00.0"));
	assert_true(holds(set, n, "0000:0c:00.1"));
	assert_true(holds(set, n, "0000:22:00.0"));
	assert_false(holds(set, n, "0000:00:02.0"));
	assert_false(holds(set, n, "0000:00:07.0"));
	assert_int_equal(tb_behind(st.s, (uint32_t)tb_select(st.s, "0-1", NULL), set, 2), 2);
	assert_int_equal(tb_router_behind(st.s, "0000:00:02.0"), -1);
	assert_int_equal(tb_router_behind(st.s, "0000:99:02.0"), -1);
}

static void without_bolt_sysfs_is_written(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "alone");
	assert_int_equal(authorise(&st, "Breakaway", (struct options) { 0 }), 0);
	assert_int_equal(st.t.n, 1);
	const struct step *p = &st.t.steps[0];

	assert_int_equal(p->op, STEP_WRITE);
	assert_string_equal(p->target, "sys/bus/thunderbolt/devices/0-3/authorized");
	assert_string_equal(p->value, "1");
	assert_true(p->known);
	assert_string_equal(p->before, "0");
	assert_string_equal(p->after.want, "1");
	assert_int_equal(p->undo, UNDO_BEFORE);
	assert_string_equal(st.t.device, "0-3");
	assert_int_equal(st.t.n_warns, 0);
}

static void bolt_is_asked_where_it_is(void **state)
{
	static const char *const variants[] = { "bolt", "startable", "manual" };
	(void)state;

	for (size_t i = 0; i < COUNT(variants); i++) {
		on_stage struct stage st;

		open_stage(&st, variants[i]);
		assert_int_equal(authorise(&st, "0-3", (struct options) { 0 }), 0);
		assert_int_equal(st.t.n, 1);
		const struct step *p = &st.t.steps[0];

		assert_int_equal(p->op, STEP_ASK);
		assert_string_equal(p->agent, "bolt");
		assert_string_equal(p->target, "5a5a5a5a-0080-7608-23e4-bc8d0d2a3333");
		assert_string_equal(p->value, "authorise");
		assert_int_equal(p->undo, UNDO_OTHER);
		assert_string_equal(p->undo_value, "deauthorise");
		assert_string_equal(p->undone.path, "sys/bus/thunderbolt/devices/0-3/authorized");
		/* Whoever is enrolled stays so: that is part of what it should say afterwards. */
		assert_string_equal(p->after.want, i == 2 ? "authorized enrolled" : "authorized");
		assert_true(
			i == 1 ? st.t.n_warns == 0
			       : warned(&st, i == 2 ? "'manual', which stays" : "this time only"));
	}
}

static void enrolling_is_told_and_forgotten_by_undo(void **state)
{
	const struct options enrol = { .enrol = true };
	(void)state;
	{
		on_stage struct stage st;

		open_stage(&st, "bolt");
		assert_int_equal(authorise(&st, "0-3", enrol), 0);
		assert_string_equal(st.t.steps[0].value, "enrol");
		assert_string_equal(st.t.steps[0].undo_value, "forget deauthorise");
		assert_string_equal(st.t.steps[0].after.want, "authorized enrolled");
		assert_true(warned(&st, "its own default policy ('auto')"));
	}
	{
		on_stage struct stage st;

		open_stage(&st, "bolt");
		/* What was let in stays in when the enrolment is taken back. */
		assert_int_equal(authorise(&st, "0-101", enrol), 0);
		assert_string_equal(st.t.steps[0].undo_value, "forget");
	}
	{
		on_stage struct stage st;

		open_stage(&st, "manual");
		assert_int_equal(authorise(&st, "0-3", enrol), -EINVAL);
		assert_non_null(strstr(st.e.text, "'manual', which stays as it is"));
	}
	{
		on_stage struct stage st;

		open_stage(&st, "alone");
		assert_int_equal(authorise(&st, "0-3", enrol), -EOPNOTSUPP);
	}
}

static void what_forbids_it_is_said(void **state)
{
	(void)state;
	{
		on_stage struct stage st;

		open_stage(&st, "forbidden");
		assert_int_equal(authorise(&st, "0-3", (struct options) { .force = true }), -EPERM);
		assert_non_null(strstr(st.e.text, "nopcie"));
		assert_non_null(strstr(st.e.text, "firmware's setup"));
	}
	{
		on_stage struct stage st;

		open_stage(&st, "secure");
		assert_int_equal(authorise(&st, "0-3", (struct options) { 0 }), -ENOKEY);
		assert_int_equal(authorise(&st, "0-3", (struct options) { .force = true }), 0);
		assert_true(warned(&st, "without a key"));
	}
	{
		on_stage struct stage st;

		open_stage(&st, "alone");
		assert_int_equal(authorise(&st, "0-303", (struct options) { 0 }), -EPERM);
		assert_non_null(strstr(st.e.text, "0-303 is plugged into 0-3"));
		assert_int_equal(authorise(&st, "0-1", (struct options) { 0 }), 0);
		assert_int_equal(st.t.n, 0);
	}
	{
		on_stage struct stage st;

		open_stage(&st, "open");
		assert_int_equal(authorise(&st, "0-3", (struct options) { 0 }), 0);
		assert_true(warned(&st, "may read and write all of it"));
		assert_int_equal(st.t.steps[0].undo, UNDO_NEVER);
		assert_true(st.t.steps[0].why[0]);
	}
}

static void letting_go_begins_at_the_end(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "bolt");
	assert_int_equal(deauthorise(&st, "0-1", (struct options) { .force = true }), 0);
	assert_int_equal(st.t.n, 2);
	assert_string_equal(st.t.steps[0].target, "sys/bus/thunderbolt/devices/0-101/authorized");
	assert_string_equal(st.t.steps[1].target, "sys/bus/thunderbolt/devices/0-1/authorized");
	for (int i = 0; i < 2; i++) {
		assert_string_equal(st.t.steps[i].value, "0");
		assert_string_equal(st.t.steps[i].before, "1");
		assert_int_equal(st.t.steps[i].undo, UNDO_BEFORE);
	}
	assert_true(warned(&st, "'iommu') and lets it in again"));
}

static void letting_go_asks_the_guard(void **state)
{
	(void)state;
	{
		on_stage struct stage st;

		open_stage(&st, "disk");
		assert_int_equal(deauthorise(&st, "0-1", (struct options) { 0 }), -EBUSY);
		assert_non_null(strstr(st.e.text, "/data"));
		assert_int_equal(st.t.n, 0);
		/* The dock behind it is the one with the disk. */
		assert_int_equal(deauthorise(&st, "0-101", (struct options) { 0 }), -EBUSY);
		assert_int_equal(deauthorise(&st, "0-3", (struct options) { 0 }), 0);
		assert_int_equal(st.t.n, 0);
	}
	{
		on_stage struct stage st;

		open_stage(&st, "open");
		assert_int_equal(deauthorise(&st, "0-1", (struct options) { 0 }), -EOPNOTSUPP);
		assert_non_null(strstr(st.e.text, "pull its cable"));
	}
}

static void the_agent_tells_what_bolt_said(void **state)
{
	char said[64];
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "bolt");
	assert_int_equal(bolt_agent_look(&st.m, "D1030000-0080-7608-23e4-bc8d0d2a1111", said,
					 sizeof(said), &st.e),
			 0);
	assert_string_equal(said, "authorized enrolled");
	assert_int_equal(bolt_agent_look(&st.m, "00000000-0000", said, sizeof(said), &st.e),
			 -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_box_has_many_names),
		cmocka_unit_test(all_below_the_tunnel_leaves),
		cmocka_unit_test(without_bolt_sysfs_is_written),
		cmocka_unit_test(bolt_is_asked_where_it_is),
		cmocka_unit_test(enrolling_is_told_and_forgotten_by_undo),
		cmocka_unit_test(what_forbids_it_is_said),
		cmocka_unit_test(letting_go_begins_at_the_end),
		cmocka_unit_test(letting_go_asks_the_guard),
		cmocka_unit_test(the_agent_tells_what_bolt_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
