/* SPDX-License-Identifier: MIT */
/* What uevents mean: whose they are, what they are called, and that foreign ones mean nothing. */
#include <stdio.h>
#include <string.h>

#include "probe/watch.h"
#include "tests/unit/harness.h"

static struct report known;
static struct watch_event w;

static int setup(void **state)
{
	(void)state;
	memset(&known, 0, sizeof(known));
	known.n_gpus = 1;
	text_copy(known.gpus[0].pci, sizeof(known.gpus[0].pci), "0000:03:00.0");
	known.gpus[0].name = fact_text_of("Card", SRC_PCI);
	known.gpus[0].driver = fact_text_of("amdgpu", SRC_SYSFS);
	known.usb4.n_routers = 1;
	text_copy(known.usb4.routers[0].name, sizeof(known.usb4.routers[0].name), "0-1");
	known.usb4.routers[0].device_name = fact_text_of("Dock", SRC_SYSFS);
	return 0;
}

static bool decide(const char *action, const char *subsystem, const char *sysname, struct uevent u)
{
	snprintf(u.action, sizeof(u.action), "%s", action);
	snprintf(u.subsystem, sizeof(u.subsystem), "%s", subsystem);
	snprintf(u.sysname, sizeof(u.sysname), "%s", sysname);
	return watch_decide(&u, &known, &w);
}

static struct uevent event(uint32_t class)
{
	return (struct uevent) { .class = class, .authorized = -1 };
}

static void test_pci(void **state)
{
	(void)state;
	assert_true(decide("add", "pci", "0000:05:00.0", event(0x030200)));
	assert_int_equal(w.kind, WATCH_APPEAR);
	assert_string_equal(w.pci, "0000:05:00.0");
	assert_string_equal(w.name, "");
	/* What is gone has no class file any more; the event or the last look tells. */
	assert_true(decide("remove", "pci", "0000:03:00.0", event(UINT32_MAX)));
	assert_int_equal(w.kind, WATCH_VANISH);
	assert_string_equal(w.name, "Card");
	assert_true(decide("unbind", "pci", "0000:03:00.0", event(0x030000)));
	assert_string_equal(w.driver, "amdgpu");
	assert_true(decide("add", "pci", "10000:05:00.0", event(0x120000)));
}

static void test_foreign(void **state)
{
	(void)state;
	assert_false(decide("add", "pci", "0000:05:00.0", event(0x020000)));
	assert_false(decide("add", "pci", "0000:05:00.0", event(UINT32_MAX)));
	assert_false(decide("add", "pci", "../../etc", event(0x030000)));
	assert_false(decide("offline", "pci", "0000:03:00.0", event(0x030000)));
	assert_false(decide("add", "usb", "0000:03:00.0", event(0x030000)));
	assert_false(decide("", "", "", event(0)));
}

static void test_drm(void **state)
{
	(void)state;
	struct uevent u = event(UINT32_MAX);

	snprintf(u.devpath, sizeof(u.devpath),
		 "/devices/pci0000:00/0000:00:01.0/0000:03:00.0/drm/card0");
	assert_false(decide("add", "drm", "card0", u));
	assert_false(decide("change", "drm", "card0", u));
	u.hotplug = true;
	assert_true(decide("change", "drm", "card0", u));
	assert_string_equal(w.pci, "0000:03:00.0");
	assert_string_equal(w.what, "a display came or went");
	memset(u.wedged, 'x', sizeof(u.wedged) - 1);
	assert_true(decide("change", "drm", "card0", u));
	snprintf(u.devpath, sizeof(u.devpath), "/devices/virtual/drm/card9");
	assert_false(decide("change", "drm", "card9", u));
}

static void test_routers(void **state)
{
	(void)state;
	struct uevent u = event(UINT32_MAX);

	assert_true(decide("add", "thunderbolt", "0-1", u));
	assert_int_equal(w.kind, WATCH_APPEAR);
	assert_string_equal(w.router, "0-1");
	assert_string_equal(w.name, "Dock");
	assert_string_equal(w.pci, "");
	u.authorized = 2; /* by key */
	assert_true(decide("change", "thunderbolt", "0-1", u));
	assert_int_equal(w.kind, WATCH_AUTHORISE);
	u.authorized = 0;
	assert_true(decide("change", "thunderbolt", "1-70b", u));
	assert_int_equal(w.kind, WATCH_DEAUTHORISE);
	assert_false(decide("add", "thunderbolt", "domain0", u));
	assert_false(decide("add", "thunderbolt", "0-1.1", u));
	assert_false(decide("add", "thunderbolt", "0-", u));
	assert_false(decide("bind", "thunderbolt", "0-1", u));
}

static void test_words(void **state)
{
	(void)state;
	struct watch_event ev = { .kind = WATCH_UNBIND, .pci = "0000:03:00.0", .driver = "amdgpu" };
	char buf[200];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	watch_text(&t, &ev, "NOW");
	assert_string_equal(buf, "NOW  0000:03:00.0  was unbound from amdgpu");
	for (int k = WATCH_APPEAR; k < WATCH_COUNT; k++)
		assert_non_null(watch_kind_name((enum watch_kind)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pci, setup),
		cmocka_unit_test_setup(test_foreign, setup),
		cmocka_unit_test_setup(test_drm, setup),
		cmocka_unit_test_setup(test_routers, setup),
		cmocka_unit_test_setup(test_words, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
