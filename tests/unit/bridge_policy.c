/* SPDX-License-Identifier: MIT */
/* Rules for a device's registers: what a file says, and what an access gets. */
#include <string.h>

#include "bar-forward/policy.h"
#include "tests/unit/harness.h"

static struct policy p;

static void read_rules(struct policy *to, const char *text)
{
	struct err e = { 0 };

	assert_int_equal(policy_parse(to, text, &e), 0);
}

static void a_file_says_who_may_do_what(void **state)
{
	(void)state;
	read_rules(
		&p,
		"# a card\n\nbar1 all map\nbar0 0x2000+0x1000 log\n  bar0\t0x88000-0x88fff deny # its mirror\n"
		"bar0 0x1800+0x100 deny 0\r\nbar0 0x9400+4 mask 0xff00\n");
	assert_int_equal(p.n, 5);
	assert_null(policy_find(&p, 0, 0, 4));
	assert_null(policy_find(&p, 2, 0x88000, 4));
	assert_null(policy_find(&p, 6, 0, 4));
	assert_int_equal(policy_find(&p, 0, 0x2ffc, 4)->act, POLICY_LOG);
	assert_null(policy_find(&p, 0, 0x3000, 4));
	assert_int_equal(policy_find(&p, 0, 0x88ffc, 4)->line, 5);
	assert_int_equal(policy_find(&p, 1, UINT64_MAX - 8, 8)->act, POLICY_MAP);
	assert_true(policy_has(&p, POLICY_DENY));
	assert_false(policy_has(&p, POLICY_TRAP));
}

static void an_access_across_rules_gets_the_strictest(void **state)
{
	(void)state;
	read_rules(&p, "bar0 0x0-0x3 log\nbar0 0x4-0x7 deny\nbar0 0x8-0xb mask 1\n");
	assert_int_equal(policy_find(&p, 0, 0, 8)->act, POLICY_DENY);
	assert_int_equal(policy_find(&p, 0, 0, 4)->act, POLICY_LOG);
	assert_int_equal(policy_find(&p, 0, 7, 2)->act, POLICY_DENY);
	assert_int_equal(policy_find(&p, 0, 8, 8)->act,
			 POLICY_MASK); /* its second half has no rule */
}

static void values(void **state)
{
	uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	read_rules(&p, "bar0 0x10+4 mask 0xff00ff\nbar0 0x20+4 deny\nbar0 0x24+4 deny 0x5a\n");
	policy_mask(policy_find(&p, 0, 0x10, 4), 0x10, bytes, 8);
	assert_memory_equal(bytes, ((uint8_t[]) { 1, 0, 3, 0, 5, 6, 7, 8 }),
			    8); /* behind the range all pass */
	policy_mask(policy_find(&p, 0, 0x12, 1), 0x12, bytes, 1);
	assert_int_equal(bytes[0], 1);
	policy_mask(policy_find(&p, 0, 0x13, 1), 0x13, bytes, 1);
	assert_int_equal(bytes[0], 0);
	policy_denied(policy_find(&p, 0, 0x20, 4), bytes, 4);
	assert_memory_equal(bytes, "\xff\xff\xff\xff", 4);
	policy_denied(policy_find(&p, 0, 0x24, 4), bytes, 4);
	assert_memory_equal(bytes, "\x5a\x5a\x5a\x5a", 4);
}

static void nonsense_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "\nbar6 all deny", "line 2: 'bar6' is no BAR; bar0 to bar5 are" },
		{ "bar0 all forbid",
		  "line 1: 'forbid' is no rule; map, trap, log, mask and deny are" },
		{ "bar0 0x10 deny",
		  "line 1: '0x10' is no range; give FIRST-LAST, FIRST+BYTES or all" },
		{ "bar0 4-x deny", "line 1: '4-x' are no two numbers" },
		{ "bar0 8-4 deny", "line 1: a range from 0x8 to 0x4" },
		{ "bar0 4+0 deny", "line 1: '4+0' is no range" },
		{ "bar0 0x1+0xffffffffffffffff deny",
		  "line 1: a range from 0x1 to 0xffffffffffffffff" },
		{ "bar0 0-1 deny 0x100",
		  "line 1: a denied read gives one byte again and again, not 0x100" },
		{ "bar0 0-1 mask", "line 1: a mask wants the bits that pass" },
		{ "bar0 0-1 log 4", "line 1: 'log' takes no value, not '4'" },
		{ "bar0 0-1 deny 0 0", "line 1: there is something behind the rule" },
		{ "bar0 0x10-0x1f map",
		  "line 1: only whole pages of 4096 bytes can be mapped, not 0x10 to 0x1f" },
		{ "bar0 8-9 log\nbar1 all deny\nbar0 0-8 deny",
		  "lines 1 and 3 overlap in bar0 at 0x8" },
		{ "bar0", "line 1: '' is no range; give FIRST-LAST, FIRST+BYTES or all" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = { 0 };

		assert_int_equal(policy_parse(&p, bad[i].text, &e), -EBADMSG);
		assert_string_equal(e.text, bad[i].says);
	}
}

static void rules_must_meet_the_device(void **state)
{
	const uint64_t sizes[POLICY_BARS] = { 0x1000, 0, 0x2000 };
	struct err e = { 0 };

	(void)state;
	read_rules(&p, "bar0 0xff0-0xfff deny\nbar2 all map\n");
	assert_int_equal(policy_fits(&p, sizes, &e), 0);
	read_rules(&p, "bar0 0xff0-0x1000 deny\n");
	assert_int_equal(policy_fits(&p, sizes, &e), -EINVAL);
	assert_string_equal(e.text, "line 1: bar0 ends at 0xfff");
	read_rules(&p, "bar1 all deny\n");
	assert_int_equal(policy_fits(&p, sizes, &e), -EINVAL);
	assert_string_equal(e.text, "line 1: this device has no bar1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_says_who_may_do_what),
		cmocka_unit_test(an_access_across_rules_gets_the_strictest),
		cmocka_unit_test(values),
		cmocka_unit_test(nonsense_is_named_with_its_line),
		cmocka_unit_test(rules_must_meet_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
