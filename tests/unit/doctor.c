/* SPDX-License-Identifier: MIT */
/* The doctor's pure parts: kernel versions, the log's lines, the BAR tree, advice that excludes. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/bartree.h"
#include "tests/unit/harness.h"

/* --- kernel versions --- */

static void parses_versions(void **state)
{
	static const struct {
		const char *text;
		uint32_t major, minor, patch, rc;
	} rows[] = {
		{ "6.8.0-45-generic", 6, 8, 0, 0 },
		{ "6.12.41+deb13-amd64", 6, 12, 41, 0 },
		{ "7.0-rc5", 7, 0, 0, 5 },
		{ "7.0.0-rc5-next-20260301", 7, 0, 0, 5 },
		{ "6.17.0-0.rc3.260828git1.x86_64", 6, 17, 0, 3 },
		{ "6.19.10-2-cachyos", 6, 19, 10, 0 },
		{ "6.6.87.2-microsoft-standard-WSL2", 6, 6, 87, 0 },
		{ "5.14.0-570.el9.x86_64", 5, 14, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kver v = kver_parse(rows[i].text);

		assert_true(v.known);
		assert_int_equal(v.major, rows[i].major);
		assert_int_equal(v.minor, rows[i].minor);
		assert_int_equal(v.patch, rows[i].patch);
		assert_int_equal(v.rc, rows[i].rc);
	}
	assert_false(kver_parse("").known);
	assert_false(kver_parse("linux").known);
	assert_false(kver_parse("6").known);
	assert_false(kver_parse("99999999.1").known);
}

static void orders_versions(void **state)
{
	static const char *const rising[] = { "6.8.7",   "6.8.8", "6.10",  "7.0-rc1",
					      "7.0-rc5", "7.0",   "7.0.1", "7.1" };

	(void)state;
	for (size_t i = 0; i + 1 < COUNT(rising); i++) {
		struct kver a = kver_parse(rising[i]), b = kver_parse(rising[i + 1]);

		assert_true(kver_compare(a, b) < 0);
		assert_true(kver_compare(b, a) > 0);
		assert_int_equal(kver_compare(a, a), 0);
	}
	assert_false(kver_at_least((struct kver) { 0 }, "1.0"));
}

static void rules_know_backports(void **state)
{
	const struct kver_rule r = { .from = "6.18", .before = "7.1", .also_fixed = "6.18.20" };

	(void)state;
	assert_false(kver_rule_holds(&r, kver_parse("6.17.9")));
	assert_true(kver_rule_holds(&r, kver_parse("6.18.19")));
	assert_false(kver_rule_holds(&r, kver_parse("6.18.20-1-lts")));
	assert_true(kver_rule_holds(&r, kver_parse("6.19.1")));
	assert_true(kver_rule_holds(&r, kver_parse("7.1-rc2")));
	assert_false(kver_rule_holds(&r, kver_parse("7.1")));
	assert_false(kver_rule_holds(&r, (struct kver) { 0 }));
}

/* --- the kernel log --- */

static bool all(const char *text)
{
	(void)text;
	return true;
}

/* One line in, its text out; "" when it is not kept. */
static void expect_line(const char *line, const char *text, bool timed, uint64_t usec)
{
	struct kmsg k = { 0 };

	assert_int_equal(kmsg_parse(&k, line, strlen(line), all), 0);
	assert_int_equal(k.n, *text ? 1 : 0);
	if (*text) {
		assert_string_equal(k.lines[0].text, text);
		assert_int_equal(k.lines[0].timed, timed);
		if (timed)
			assert_int_equal(k.lines[0].usec, usec);
	}
	kmsg_free(&k);
}

static void reads_every_form(void **state)
{
	(void)state;
	expect_line("[   12.345678] pci x", "pci x", true, 12345678);
	expect_line("[   12.345678][    T1] pci x", "pci x", true, 12345678);
	expect_line("[   12.5] pci x", "pci x", true, 12500000);
	expect_line("6,1234,5678901,-;pci x", "pci x", true, 5678901);
	expect_line("6,1234,5678901,-,caller=T1;pci x", "pci x", true, 5678901);
	expect_line(" SUBSYSTEM=pci", "", false, 0);
	expect_line("<6>[    1.000000] pci x", "pci x", true, 1000000);
	expect_line("kern  :warn  : [    1.000000] pci x", "pci x", true, 1000000);
	expect_line("Sep 01 00:00:10 host kernel: pci x", "pci x", true, 10000000);
	expect_line("2026-09-01T00:00:10+0200 host kernel: pci x", "pci x", true, 10000000);
	expect_line("Sep 01 00:00:10 host boltd[7]: pci x", "boltd[7]: pci x", true, 10000000);
	expect_line("[    1.000000] host kernel: pci x", "pci x", true, 1000000);
	expect_line("pci x", "pci x", false, 0);
	expect_line("", "", false, 0);
}

static void keeps_the_last_boot(void **state)
{
	static const char log[] = "[    0.0] Linux version 6.1\n[    1.0] a\n"
				  "[    0.0] Linux version 6.2\n[    1.0] b\n";
	struct kmsg k = { 0 };

	(void)state;
	assert_int_equal(kmsg_parse(&k, log, sizeof(log) - 1, all), 0);
	assert_int_equal(k.n, 2);
	assert_string_equal(k.lines[1].text, "b");
	assert_int_equal(kmsg_find(&k, 0, "b"), 1);
	assert_int_equal(kmsg_find(&k, 0, "a"), -1);
	kmsg_free(&k);
}

static void counts_over_midnight(void **state)
{
	static const char log[] = "Sep 01 23:59:59 h kernel: a\nSep 02 00:00:01 h kernel: b\n";
	struct kmsg k = { 0 };

	(void)state;
	assert_int_equal(kmsg_parse(&k, log, sizeof(log) - 1, all), 0);
	assert_int_equal(k.n, 2);
	assert_int_equal(k.lines[1].usec - k.lines[0].usec, 2000000);
	kmsg_free(&k);
}

static void scrubs_names(void **state)
{
	char text[] =
		"uuid 01234567-89ab-CDEF-0123-456789abcdef mac aa:bb:cc:dd:ee:ff at 0000:03:00.0";

	(void)state;
	kmsg_scrub(text);
	assert_string_equal(text, "uuid 00000000-0000-0000-0000-000000000000 mac "
				  "00:00:00:00:00:00 at 0000:03:00.0");
}

/* Programs and builders that tell whose machine it is; what everybody runs stays. */
static void scrubs_people(void **state)
{
	static const char *const rows[][2] = {
		{ "NVRM: Xid (PCI:0000:01:00): 31, pid=42, name=alices-tool, Ch 8",
		  "NVRM: Xid (PCI:0000:01:00): 31, pid=42, name=xxxxxxxxxxx, Ch 8" },
		{ "NVRM: Xid (PCI:0000:01:00): 31, pid=42, name=python3, Ch 8", NULL },
		{ "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, x", NULL },
		{ "amdgpu: Process information: process Xorg pid 7 thread secret:cs0 pid 9",
		  "amdgpu: Process information: process Xorg pid 7 thread xxxxxxxxxx pid 9" },
		{ "amdgpu:  Process secret pid 7 thread", "amdgpu:  Process xxxxxx pid 7 thread" },
		{ "GPU HANG: ecode 12:1:85dffffb, in secret [42]",
		  "GPU HANG: ecode 12:1:85dffffb, in xxxxxx [42]" },
		{ "Open Kernel Module  550.78  Release Build  (root@alices-box)",
		  "Open Kernel Module  550.78  Release Build  (xxxx@xxxxxxxxxx)" },
		{ "process a thread b process c pid 1 thread",
		  "process xxxxxxxxxxxxxxxxxxxx pid 1 thread" },
		{ "pci@1c00: device name=x, in y, mail a@b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[160];

		snprintf(text, sizeof(text), "%s", rows[i][0]);
		kmsg_scrub(text);
		assert_string_equal(text, rows[i][1] ? rows[i][1] : rows[i][0]);
	}
	assert_true(evidence_log_wanted("amdgpu 0000:03:00.0: ready"));
	assert_false(evidence_log_wanted("Command line: root=/dev/mapper/alice-root amdgpu.dc=1"));
	assert_false(evidence_log_wanted(
		"Kernel command line: root=/dev/mapper/alice-root amdgpu.dc=1"));
}

static void finds_addresses(void **state)
{
	char pci[24];

	(void)state;
	assert_true(kline_pci("pcieport 0000:04:02.0: x", pci));
	assert_string_equal(pci, "0000:04:02.0");
	assert_true(kline_pci("NVRM: Xid (PCI:0000:0A:00): 79", pci));
	assert_string_equal(pci, "0000:0a:00.0");
	assert_true(kline_pci("NVRM: GPU 00000000:05:00.0: x", pci));
	assert_string_equal(pci, "0000:05:00.0");
	assert_true(kline_pci("pci 10000:e1:00.0: x", pci));
	assert_string_equal(pci, "10000:e1:00.0");
	assert_false(kline_pci("mem 0x90000000-0x901fffff at 12:34:56.7", pci));
	assert_false(kline_pci("0000:04", pci));
}

/* --- the BAR tree --- */

static const struct bar_case tunnel = { .small = true,
					.tunnelled = true,
					.seen_early = TRI_YES,
					.host_reset = TRI_YES,
					.nested = TRI_YES };

static enum bar_advice with(struct bar_case c)
{
	return bartree_decide(&c);
}

static void tree_begins_with_what_it_must_know(void **state)
{
	struct bar_case c = tunnel;

	(void)state;
	c.small = false;
	assert_int_equal(with(c), BAR_FINE);
	c = tunnel;
	c.tunnelled = false;
	assert_int_equal(with(c), BAR_FIRMWARE);
	c = tunnel;
	c.seen_early = TRI_UNKNOWN;
	assert_int_equal(with(c), BAR_LOOK_FIRST);
	c.nested = TRI_NO;
	assert_int_equal(with(c), BAR_NOT_NESTED);
}

static void tree_keeps_firmwares_tunnel(void **state)
{
	struct bar_case c = tunnel;

	(void)state;
	assert_int_equal(with(c), BAR_FIRMWARE_TUNNEL);
	c.host_reset = TRI_NO;
	c.realloc_off = true;
	assert_int_equal(with(c), BAR_KEPT_TUNNEL);
	c = tunnel;
	c.realloc_on = true;
	assert_int_equal(with(c), BAR_REALLOC_COLD);
	c.host_reset = TRI_NO;
	assert_int_equal(with(c), BAR_ONLY_REALLOC);
	/* From 7.2 on a port that does not come up needs the reset: nothing can be kept. */
	c = tunnel;
	c.port_up_failed = true;
	c.kernel = kver_parse("7.2.1");
	assert_false(bartree_answer(with(c))->advice & ADVICE_HOST_RESET_OFF);
	c.kernel = kver_parse("7.1.1");
	assert_int_equal(with(c), BAR_FIRMWARE_TUNNEL);
}

static void tree_helps_a_hot_add(void **state)
{
	struct bar_case c = tunnel;

	(void)state;
	c.seen_early = TRI_NO;
	c.kernel = kver_parse("6.18.3");
	assert_int_equal(with(c), BAR_HOT_ADD_KERNEL);
	c.kernel = kver_parse("7.3");
	assert_int_equal(with(c), BAR_HOT_ADD_RESIZE);
	c.unassigned = true;
	assert_int_equal(with(c), BAR_HOT_ADD);
	c.windows_set = true;
	assert_int_equal(with(c), BAR_HOT_ADD_RESIZE);
	c.realloc_on = true;
	c.host_reset = TRI_NO;
	assert_int_equal(with(c), BAR_ONLY_REALLOC);
}

/* Every case there can be: an answer, never one that excludes itself, and never host_reset=0 with realloc. */
static void tree_never_contradicts_itself(void **state)
{
	static const char *const kernels[] = { "6.8.9", "7.1.2", "7.2.5", "7.3", "" };

	(void)state;
	for (unsigned bits = 0; bits < 1u << 13; bits++)
		for (size_t k = 0; k < COUNT(kernels); k++) {
			const struct bar_case c = {
				.unassigned = bits & 1,
				.small = bits & 2,
				.tunnelled = bits & 4,
				.realloc_on = bits & 8,
				.realloc_off = bits & 16,
				.windows_set = bits & 32,
				.port_up_failed = bits & 64,
				.seen_early = (enum tri)((bits >> 7 & 3) % 3),
				.host_reset = (enum tri)((bits >> 9 & 3) % 3),
				.nested = (enum tri)((bits >> 11 & 3) % 3),
				.kernel = kver_parse(kernels[k]),
			};
			enum bar_advice a = bartree_decide(&c);

			assert_in_range(a, BAR_FINE, BAR_ADVICE_COUNT - 1);
			const struct bar_answer *says = bartree_answer(a);

			assert_non_null(says->name);
			assert_false(advice_excludes(says->advice, says->advice));
			if (a != BAR_FINE)
				assert_true(says->remedy[0]);
			if ((says->advice & ADVICE_HOST_RESET_OFF) &&
			    says->kind != REMEDY_POWER_CYCLE)
				assert_false(c.realloc_on);
		}
}

static void reads_windows(void **state)
{
	static const char bridge[] =
		"0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n"
		"0x3000 0x3fff 0x101\n0x80000000 0x800fffff 0x200\n0x7000000000 0x70ffffffff 0x102201\n"
		"0x0 0x0 0x0";
	struct window plain, prefetch;

	(void)state;
	bridge_windows(bridge, &plain, &prefetch);
	assert_int_equal(plain.start, 0x80000000);
	assert_int_equal(plain.size, 0x100000);
	assert_int_equal(prefetch.start, 0x7000000000);
	assert_int_equal(prefetch.size, UINT64_C(0x100000000));
	/* A function's seven lines are none of a bridge's. */
	bridge_windows("0x1 0x2 0x200\n0x1 0x2 0x200\n0x1 0x2 0x200\n0x1 0x2 0x200\n0x1 0x2 0x200\n"
		       "0x1 0x2 0x200\n0x1 0x2 0x200",
		       &plain, &prefetch);
	assert_int_equal(plain.size, 0);
	bridge_windows(NULL, &plain, &prefetch);
	assert_int_equal(prefetch.size, 0);
}

/* --- advice --- */

static void contradictions_are_withdrawn(void **state)
{
	static const struct doctor_check one = { .id = "one" }, two = { .id = "two" };
	own_free struct findings *f = calloc(1, sizeof(*f));
	const struct finding *a, *b;

	(void)state;
	f->n = 2;
	f->list[0] = (struct finding) { .check = &one, .advice = ADVICE_IOMMU_OFF };
	f->list[1] = (struct finding) { .check = &two, .advice = ADVICE_IOMMU_ON };
	assert_true(findings_contradict(f, &a, &b));
	findings_reconcile(f);
	assert_false(findings_contradict(f, &a, &b));
	assert_int_equal(f->list[0].advice, 0);
	assert_int_equal(f->list[1].advice, ADVICE_IOMMU_ON);
	assert_non_null(strstr(f->list[0].remedy, "two"));
	/* Two cards may go two ways. */
	f->list[0] = (struct finding) { .check = &one,
					.device = "0000:01:00.0",
					.advice = ADVICE_FOR_HOST };
	f->list[1] = (struct finding) { .check = &two,
					.device = "0000:02:00.0",
					.advice = ADVICE_FOR_GUEST };
	assert_false(findings_contradict(f, &a, &b));
	strcpy(f->list[1].device, f->list[0].device);
	assert_true(findings_contradict(f, &a, &b));
}

/* A command can be undone, ids are words and stand once, what is not made says why. */
static void rows_are_whole(void **state)
{
	(void)state;
	for (const struct subject *s = subjects; s->name; s++)
		for (const struct doctor_check *c = s->checks; c->id; c++) {
			assert_true(c->number > 0 && c->symptom[0] && c->source[0]);
			assert_int_equal(strspn(c->id, "abcdefghijklmnopqrstuvwxyz0123456789-"),
					 strlen(c->id));
			assert_false(advice_excludes(c->advice, c->advice));
			if (c->absent) {
				assert_false(c->test || c->log[0]);
				continue;
			}
			assert_true(c->test || c->log[0]);
			assert_true(c->looks_at[0]);
			if (c->kind == REMEDY_COMMAND)
				assert_true(c->undo[0]);
			for (const struct subject *t = subjects; t->name; t++)
				for (const struct doctor_check *d = t->checks; d->id; d++)
					assert_true(c == d || strcmp(c->id, d->id) != 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_versions),
		cmocka_unit_test(orders_versions),
		cmocka_unit_test(rules_know_backports),
		cmocka_unit_test(reads_every_form),
		cmocka_unit_test(keeps_the_last_boot),
		cmocka_unit_test(counts_over_midnight),
		cmocka_unit_test(scrubs_names),
		cmocka_unit_test(scrubs_people),
		cmocka_unit_test(finds_addresses),
		cmocka_unit_test(tree_begins_with_what_it_must_know),
		cmocka_unit_test(tree_keeps_firmwares_tunnel),
		cmocka_unit_test(tree_helps_a_hot_add),
		cmocka_unit_test(tree_never_contradicts_itself),
		cmocka_unit_test(reads_windows),
		cmocka_unit_test(contradictions_are_withdrawn),
		cmocka_unit_test(rows_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
