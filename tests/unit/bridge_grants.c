/* SPDX-License-Identifier: MIT */
/* Which pages a guest gets, how BARs are shown smaller, and what is known of single devices. */
#include <stdio.h>
#include <string.h>

#include "bar-forward/shape.h"
#include "tests/unit/harness.h"

#define KiB UINT64_C(1024)
#define MiB (KiB * 1024)

static struct dev_facts facts;
static uint8_t config[CFG_SIZE];
static struct policy policy;
static struct shape shape;
static struct shaped got;
static struct err why;

static void put(uint32_t at, uint32_t bytes, uint32_t v)
{
	for (uint32_t i = 0; i < bytes; i++)
		config[at + i] = (uint8_t)(v >> 8 * i);
}

/* BAR 0: registers, 16 MiB; BAR 1: 256 MiB of memory, resizable; BAR 3: 64 KiB of memory with the tables of MSI-X, BAR 5: ports. */
static void card(uint16_t vendor, uint16_t device)
{
	static const uint64_t sizes[CFG_BARS] = { 16 * MiB, 256 * MiB, 0, 64 * KiB, 0, 128 };

	memset(&facts, 0, sizeof(facts));
	memset(config, 0, sizeof(config));
	memset(&policy, 0, sizeof(policy));
	memset(&shape, 0, sizeof(shape));
	for (uint32_t i = 0; i < CFG_BARS; i++)
		facts.region[i] = (struct dev_region) { .size = sizes[i],
							.read = sizes[i],
							.write = sizes[i],
							.map = sizes[i] && i != 5,
							.io = i == 5 };
	facts.region[DEV_CONFIG] = (struct dev_region) { .size = CFG_SIZE };
	facts.region[DEV_VGA] = (struct dev_region) { .size = 0xc0000, .map = true };
	snprintf(facts.name, sizeof(facts.name), "0000:01:00.0");
	put(0x00, 2, vendor);
	put(0x02, 2, device);
	put(0x06, 2, 0x10);
	put(0x08, 4, 0x030000a1);
	put(0x14, 4, 0xc);
	put(0x1c, 4, 0xc);
	put(0x24, 4, 1);
	put(0x34, 1, 0x40);
	put(0x40, 4, 0x00080011); /* MSI-X, 9 vectors */
	put(0x44, 4, 0x3);        /* table at 0 of BAR 3 */
	put(0x48, 4, 0x8003);     /* pending bits at 0x8000 */
	put(0x100, 4, 0x00010015);
	put(0x104, 4, 0x1f0);
	put(0x108, 4, 0x821);
}

static int make(const char *rules)
{
	why = (struct err) { 0 };
	if (policy_parse(&policy, rules, &why))
		fail_msg("%s", why.text);
	return shape_device(&got, &shape, &facts, config, &policy, &why);
}

/* "0+1000,2000+1000" in hexadecimal, of a BAR. */
static void assert_areas(uint32_t bar, const char *wanted)
{
	const struct grant *g = &got.grants.bar[bar];
	char text[4096] = "";

	for (uint32_t i = 0; i < g->n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llx+%llx",
			 i ? "," : "", (unsigned long long)g->areas[i].offset,
			 (unsigned long long)g->areas[i].size);
	assert_string_equal(text, wanted);
}

static void refused(const char *rules, int rc, const char *says)
{
	assert_int_equal(make(rules), rc);
	if (!strstr(why.text, says))
		fail_msg("'%s' does not say '%s'", why.text, says);
}

/* --- what is mapped --- */

static void memory_is_mapped_and_registers_are_not(void **state)
{
	(void)state;
	card(0x1234, 0x5678);
	assert_int_equal(make(""), 0);
	assert_areas(0, "");
	assert_areas(1, "0+10000000");
	assert_areas(3, "1000+7000,9000+7000"); /* without the two pages of MSI-X */
	assert_areas(5, "");
	assert_int_equal(grants_bytes(&got.grants, 3), 0xe000);
	shape.mode = GRANT_TRAP;
	assert_int_equal(make(""), 0);
	assert_false(grants_any(&got.grants));
	shape.mode = GRANT_MAP;
	assert_int_equal(make(""), 0);
	assert_areas(0, "0+1000000");
	assert_areas(3, "1000+7000,9000+7000");
}

static void rules_keep_pages(void **state)
{
	(void)state;
	card(0x1234, 0x5678);
	shape.mode = GRANT_MAP;
	assert_int_equal(make("bar0 0x1004+4 deny\nbar0 0x5ffc+8 log\nbar1 all trap\n"), 0);
	assert_areas(0, "0+1000,2000+3000,7000+ff9000"); /* a rule's pages, both of them */
	assert_areas(1, "");
	shape.mode = GRANT_AUTO;
	assert_int_equal(make("bar1 0x0+4 mask 1\n"), 0);
	assert_areas(1, "1000+ffff000");
}

static void rules_map(void **state)
{
	(void)state;
	card(0x1234, 0x5678);
	assert_int_equal(make("bar0 0x10000+0x2000 map\nbar0 0x12000+4 deny\n"), 0);
	assert_areas(0, "10000+2000");
	assert_areas(1, ""); /* who names pages gets those */
	assert_int_equal(make("bar3 all map\n"), 0);
	assert_areas(3, "1000+7000,9000+7000");
	refused("bar3 0x8000+0x1000 map\n", -EINVAL, "line 1: none of these pages can be mapped");
	refused("bar5 all map\n", -EINVAL, "bar5 cannot be mapped");
	shape.mode = GRANT_TRAP;
	refused("bar0 0x0+0x1000 map\n", -EINVAL, "--mode trap maps nothing");
	facts.region[0].map = false;
	shape.mode = GRANT_HYBRID;
	refused("bar0 0x0+0x1000 map\n", -EINVAL, "its device lets nobody");
}

static void what_the_device_lets(void **state)
{
	(void)state;
	card(0x1234, 0x5678);
	facts.region[1].n_areas = 2;
	facts.region[1].areas[0] = (struct vu_area) { 0x800, 0x2000 }; /* whole pages only */
	facts.region[1].areas[1] = (struct vu_area) { 0x100000, 0x10000000 };
	assert_int_equal(make(""), 0);
	assert_areas(1, "1000+1000,100000+ff00000");
	shape.bar[1] = 2 * MiB;
	assert_int_equal(make(""), 0);
	assert_areas(1, "1000+1000,100000+100000");
}

static void who_gets_a_page_gets_the_device(void **state)
{
	(void)state;
	card(0x1234, 0x5678);
	facts.hands_over = true;
	assert_int_equal(make("bar0 0x0+4 deny\n"), 0); /* so nothing is mapped unasked */
	assert_false(grants_any(&got.grants));
	shape.mode = GRANT_HYBRID;
	assert_int_equal(make("bar0 0x0+4 log\n"), 0);
	assert_areas(1, "0+10000000");
	refused("bar0 0x0+4 log\nbar0 0x10+4 deny\n", -EACCES, "line 2 has a rule 'deny'");
	refused("bar0 0x0+4 mask 1\n", -EACCES, "--mode trap, or the driver berth_vfio");
	shape.mode = GRANT_AUTO;
	assert_int_equal(make("bar1 all map\n"), 0); /* asked */
	assert_areas(1, "0+10000000");
	refused("bar1 all map\nbar0 0x0+4 deny\n", -EACCES, "rule 'deny'");
}

static void too_many_pieces(void **state)
{
	char rules[8192] = "";

	(void)state;
	card(0x1234, 0x5678);
	for (int i = 0; i < VU_AREAS_MAX; i++)
		snprintf(rules + strlen(rules), sizeof(rules) - strlen(rules), "bar1 0x%x+4 log\n",
			 (2 * i + 1) * 0x1000);
	refused(rules, -E2BIG, "more than 64 pieces");
	rules[0] = '\0';
	for (int i = 0; i <= VU_AREAS_MAX; i++)
		snprintf(rules + strlen(rules), sizeof(rules) - strlen(rules),
			 "bar1 0x%x+0x1000 map\n", 2 * i * 0x1000);
	refused(rules, -E2BIG, "more than 64 pieces");
}

static void differences(void **state)
{
	struct grants before;

	(void)state;
	card(0x1234, 0x5678);
	assert_int_equal(make("bar0 0x0+4 deny\n"), 0);
	before = got.grants;
	assert_int_equal(make("bar0 0x8+4 log\n"), 0);
	assert_int_equal(grants_differ(&before, &got.grants), -1);
	assert_int_equal(make("bar1 0x8+4 log\n"), 0);
	assert_int_equal(grants_differ(&before, &got.grants), 1);
}

/* --- sizes --- */

static void sizes_are_read(void **state)
{
	struct shape s = { 0 };

	(void)state;
	assert_int_equal(shape_bar(&s, "1=256M", &why), 0);
	assert_int_equal(s.bar[1], 256 * MiB);
	assert_int_equal(shape_bar(&s, "0=16", &why), 0);
	for (const char *const *bad =
		     (const char *const[]) { "", "1", "6=1M", "1=3M", "1=8", "1=", "1=0", "x=1M",
					     "11=1M", "1=-1", "1=99999999T", NULL };
	     *bad; bad++)
		if (shape_bar(&s, *bad, &why) != -EINVAL)
			fail_msg("'%s' is taken", *bad);
}

static void a_bar_is_shown_smaller(void **state)
{
	(void)state;
	card(0x1234, 0x5678);
	shape.bar[1] = 64 * MiB;
	assert_int_equal(make(""), 0);
	assert_int_equal(got.size[1], 64 * MiB);
	assert_int_equal(got.cfg.bar[1].size, 64 * MiB);
	assert_areas(1, "0+4000000");
	shape.bar[1] = 512 * MiB;
	refused("", -EINVAL, "it has 256.0 MiB; a BAR can be shown smaller, never larger");
	shape.bar[1] = 512 * KiB;
	refused("", -EINVAL, "resizable BAR");
	shape.bar[1] = 0;
	shape.bar[2] = MiB;
	refused("", -EINVAL, "has no bar2");
	shape.bar[2] = 0;
	shape.bar[3] = 32 * KiB;
	refused("", -EINVAL, "ends at 0x8008");
	shape.bar[3] = 0;
	shape.bar[5] = 64;
	refused("", -EINVAL, "I/O ports");
	shape.bar[5] = 128;
	assert_int_equal(make(""), 0);
}

static void msix_is_hidden_for_an_unplug(void **state)
{
	(void)state;
	card(0x1234, 0x5678);
	assert_int_equal(make(""), 0);
	assert_true(got.msix && !got.msix_hidden && !got.cfg.hide_msix);
	shape.unplugs = true; /* it has no MSI beside: without MSI-X it would have little */
	assert_int_equal(make(""), 0);
	assert_true(got.msix);
	put(0x41, 1, 0x50);
	put(0x50, 4, 0x00000005);
	assert_int_equal(make(""), 0);
	assert_true(!got.msix && got.msix_hidden && got.cfg.hide_msix);
	assert_areas(3, "1000+7000,9000+7000"); /* its tables stay ours */
	shape.msix = MSIX_SHOW;
	assert_int_equal(make(""), 0);
	assert_true(got.msix);
	shape.unplugs = false;
	shape.msix = MSIX_HIDE;
	assert_int_equal(make(""), 0);
	assert_false(got.msix);
}

/* --- quirks --- */

static void nvidia(void **state)
{
	(void)state;
	card(0x10de, 0x2684);
	shape.mode = GRANT_MAP;
	shape.order = true;
	assert_int_equal(make(""), 0);
	/* neither the old mirror's page nor the new one's */
	assert_areas(0, "0+1000,2000+86000,89000+f77000");
	assert_non_null(quirks_at(&got.quirks, QUIRK_MIRROR, 0, 0x88ffc, 4));
	assert_null(quirks_at(&got.quirks, QUIRK_MIRROR, 0, 0x89000, 4));
	assert_null(quirks_at(&got.quirks, QUIRK_MIRROR, 1, 0x88000, 4));
	assert_null(quirks_at(&got.quirks, QUIRK_MIRROR, 0, 0x92000, 4));
	assert_non_null(quirks_at(&got.quirks, QUIRK_PASS, 0, 0x88704, 1));
	assert_non_null(quirks_at(&got.quirks, QUIRK_WINDOW, 5, 0xc, 4));
	assert_int_equal(got.order->bar, 0);
	for (const uint16_t *id = (const uint16_t[]) { 0x2331, 0x2b85, 0x2901, 0 }; *id; id++) {
		card(0x10de, *id); /* Hopper, Blackwell */
		assert_int_equal(make(""), 0);
		assert_non_null(quirks_at(&got.quirks, QUIRK_MIRROR, 0, 0x92004, 4));
	}
	card(0x10de, 0x22ba); /* its sound */
	put(0x08, 4, 0x04030000);
	assert_int_equal(make(""), 0);
	assert_int_equal(got.quirks.n, 0);
}

static void windows_point(void **state)
{
	const struct quirk *q;
	uint32_t i = 0;

	(void)state;
	card(0x10de, 0x2684);
	assert_int_equal(make(""), 0);
	q = quirks_next(&got.quirks, QUIRK_WINDOW, &i);
	assert_int_equal(quirk_target(q, 0x88000), 0);
	assert_int_equal(quirk_target(q, 0x88ffc), 0xffc);
	assert_int_equal(quirk_target(q, 0x89000), -1);
	assert_int_equal(quirk_target(q, 0x87ffc), -1);
	q = quirks_next(&got.quirks, QUIRK_WINDOW, &i);
	assert_int_equal(quirk_target(q, 0x1810), 0x10);
	assert_null(quirks_next(&got.quirks, QUIRK_WINDOW, &i));
}

static void amd(void **state)
{
	(void)state;
	card(0x1002, 0x683d);
	facts.region[2].size = 256 * KiB; /* registers, as cards up to 2013 have them */
	facts.region[4] = (struct dev_region) { .size = 256, .io = true };
	assert_int_equal(make(""), 0);
	assert_non_null(quirks_at(&got.quirks, QUIRK_MIRROR, 2, 0x4000, 4));
	assert_non_null(quirks_at(&got.quirks, QUIRK_WINDOW, 4, 4, 4));
	shape.order = true; /* its register is in BAR 5, which is too small here */
	refused("", -EINVAL, "no register of 1002:683d is known");
	card(0x1002, 0x744c);
	facts.region[2].size = 2 * MiB; /* doorbells */
	facts.region[5] = (struct dev_region) { .size = MiB, .map = true };
	shape.order = true;
	assert_int_equal(make(""), 0);
	assert_null(quirks_at(&got.quirks, QUIRK_MIRROR, 2, 0x4000, 4));
	assert_int_equal(got.order->at, 0x378c);
	shape.bar[2] = 64 * KiB; /* it stays what it is, however little is shown */
	assert_int_equal(make(""), 0);
	assert_null(quirks_at(&got.quirks, QUIRK_MIRROR, 2, 0x4000, 4));
}

static void rows_that_open(void **state)
{
	const struct quirk *q;
	uint32_t i = 0;

	(void)state;
	card(0x1da3, 0x1000);
	put(0x08, 4, 0x12000001);
	assert_int_equal(make(""), 0);
	q = quirks_next(&got.quirks, QUIRK_OPEN, &i);
	assert_int_equal(q->at, 0xff0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_mapped_and_registers_are_not),
		cmocka_unit_test(rules_keep_pages),
		cmocka_unit_test(rules_map),
		cmocka_unit_test(what_the_device_lets),
		cmocka_unit_test(who_gets_a_page_gets_the_device),
		cmocka_unit_test(too_many_pieces),
		cmocka_unit_test(differences),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(a_bar_is_shown_smaller),
		cmocka_unit_test(msix_is_hidden_for_an_unplug),
		cmocka_unit_test(nvidia),
		cmocka_unit_test(windows_point),
		cmocka_unit_test(amd),
		cmocka_unit_test(rows_that_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
