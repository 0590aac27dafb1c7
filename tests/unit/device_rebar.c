/* SPDX-License-Identifier: MIT */
/* How a BAR gets another size, and what stands in the way. */
#include "tests/unit/slot_stage.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bar_grows),
		cmocka_unit_test(empty_ports_make_room),
		cmocka_unit_test(the_card_itself_is_in_the_way),
		cmocka_unit_test(another_device_pins_the_window),
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(it_is_so_already),
		cmocka_unit_test(no_room_puts_everything_back),
		cmocka_unit_test(windows_that_contradict_take_the_size_back),
		cmocka_unit_test(a_driver_that_stays_away_takes_the_size_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
