/* SPDX-License-Identifier: MIT */
/* Which GPU of one report is which of another, and which facts of it count as changed. */
#include <string.h>

#include "probe/diff.h"
#include "probe/probe_priv.h"
#include "tests/unit/harness.h"

static struct report a, b;
static struct diff d;

static struct gpu *add(struct report *r, const char *pci, uint32_t device, const char *uuid)
{
	struct gpu *g = &r->gpus[r->n_gpus++];

	*g = (struct gpu) { .vendor = 0x10de, .device = device };
	text_copy(g->pci, sizeof(g->pci), pci);
	if (uuid)
		g->uuid = fact_text_of(uuid, SRC_NVML);
	return g;
}

static int setup(void **state)
{
	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	diff_fini(&d);
	return 0;
}

static void test_nothing(void **state)
{
	(void)state;
	add(&a, "0000:01:00.0", 1, NULL);
	add(&b, "0000:01:00.0", 1, NULL);
	diff_reports(&d, &a, &b, false);
	assert_false(d.any);
}

static void test_uuid_is_the_thing(void **state)
{
	(void)state;
	/* Two equal cards changed places: only the UUIDs tell. */
	add(&a, "0000:01:00.0", 1, "GPU-aaaa");
	add(&a, "0000:02:00.0", 1, "GPU-bbbb");
	add(&b, "0000:01:00.0", 1, "GPU-bbbb");
	add(&b, "0000:02:00.0", 1, "GPU-aaaa");
	diff_reports(&d, &a, &b, false);
	assert_int_equal(d.n_moved, 2);
	assert_int_equal(d.moved[0].from, 0);
	assert_int_equal(d.moved[0].to, 1);
	assert_int_equal(d.n_appeared + d.n_vanished, 0);
}

static void test_scrubbed_uuids_are_none(void **state)
{
	(void)state;
	add(&a, "0000:01:00.0", 1, "GPU-00000000-0000-0000-0000-000000000000");
	add(&b, "0000:01:00.0", 2, "GPU-00000000-0000-0000-0000-000000000000");
	diff_reports(&d, &a, &b, false);
	assert_int_equal(d.n_moved, 0);
	assert_int_equal(d.n_vanished, 1);
	assert_int_equal(d.n_appeared, 1);

	/* A capture against this machine: the made-up UUID is no change. */
	diff_fini(&d);
	b.gpus[0].device = 1;
	b.gpus[0].uuid = fact_text_of("GPU-aaaa", SRC_NVML);
	diff_reports(&d, &a, &b, false);
	assert_false(d.any);
}

static void test_place_before_kind(void **state)
{
	(void)state;
	/* One of two equal cards is gone: the one that stayed did not move. */
	add(&a, "0000:01:00.0", 1, NULL);
	add(&a, "0000:02:00.0", 1, NULL);
	add(&b, "0000:02:00.0", 1, NULL);
	diff_reports(&d, &a, &b, false);
	assert_int_equal(d.n_moved, 0);
	assert_int_equal(d.n_vanished, 1);
	assert_int_equal(d.vanished[0], 0);
}

static void test_not_looking_is_no_change(void **state)
{
	(void)state;
	struct gpu *ga = add(&a, "0000:01:00.0", 1, NULL), *gb = add(&b, "0000:01:00.0", 1, NULL);

	ga->vram_total = fact_of(8 << 20, SRC_NVML);
	gb->vram_total = fact_unknown(WHY_ASLEEP);
	diff_reports(&d, &a, &b, false);
	assert_false(d.any);
	diff_fini(&d);
	diff_reports(&d, &a, &b, true);
	assert_true(d.any);
	diff_fini(&d);
	gb->vram_total = fact_of(4 << 20, SRC_NVML);
	diff_reports(&d, &a, &b, false);
	assert_int_equal(json_array_size(d.changed), 1);
}

static void test_bars_by_number(void **state)
{
	(void)state;
	struct gpu *ga = add(&a, "0000:01:00.0", 1, NULL), *gb = add(&b, "0000:01:00.0", 1, NULL);

	ga->bars[0].size_bytes = gb->bars[2].size_bytes = 1 << 28;
	ga->bars[2].size_bytes = 1 << 25;
	diff_reports(&d, &a, &b, false);

	json_t *changes = json_object_get(json_array_get(d.changed, 0), "changes"), *c;
	char buf[2][80] = { "", "" };
	size_t i;

	json_array_foreach(changes, i, c)
	{
		const char *key = json_string_value(json_object_get(c, "key"));
		struct text t;

		if (strcmp(key, "bars.0.size_bytes") && strcmp(key, "bars.2.size_bytes"))
			continue;
		text_init(&t, buf[key[5] == '2'], sizeof(buf[0]));
		diff_change_text(&t, c);
	}
	assert_string_equal(buf[0], "bars.0.size_bytes: 256.0 MiB -> none");
	assert_string_equal(buf[1], "bars.2.size_bytes: 32.0 MiB -> 256.0 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uuid_is_the_thing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scrubbed_uuids_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_place_before_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_looking_is_no_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bars_by_number, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
