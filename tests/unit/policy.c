/* SPDX-License-Identifier: MIT */
/* What a supervisor does when a core has ended: remedies, waits, limits, smaller plans. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "launch/policy.h"
#include "tests/unit/harness.h"

static struct policy_decision decide(struct policy *p, const char *class, int64_t now_ms)
{
	static struct ending end;

	text_copy(end.class, sizeof(end.class), class);
	return policy_next(p, &end, false, now_ms);
}

/* What had served is missed: the first time nobody waits, and after that as ever. */
static void served(void **state)
{
	struct ending end = { .class = "killed" };
	struct policy p = { 0 };

	(void)state;
	assert_int_equal(policy_next(&p, &end, true, 0).delay_ms, 0);
	assert_int_equal(policy_next(&p, &end, true, 10).delay_ms, 2000);
	assert_int_equal(policy_next(&p, &end, true, 20).delay_ms, 4000);
	assert_int_equal(policy_next(&p, &end, true, 2 * POLICY_WINDOW_MS).delay_ms, 0);
}

static void remedies(void **state)
{
	static const struct {
		const char *class;
		enum policy_step step;
	} rows[] = {
		{ "none", POLICY_END },
		{ "stopped", POLICY_END },
		{ "placement", POLICY_END },
		{ "plan", POLICY_END },
		{ "version", POLICY_END },
		{ "device", POLICY_REPLAN },
		{ "device lost", POLICY_REPLAN },
		{ "oom", POLICY_SMALLER },
		{ "illegal instruction", POLICY_PLAIN },
		{ "abort", POLICY_AGAIN },
		{ "killed", POLICY_AGAIN },
		{ "stuck", POLICY_AGAIN },
		{ "out of memory", POLICY_AGAIN },
		{ "what nobody has heard of", POLICY_AGAIN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct policy p = { 0 };
		struct policy_decision d = decide(&p, rows[i].class, 5);

		assert_int_equal(d.step, rows[i].step);
		assert_false(d.gave_up);
		/* only what may pass by itself has to wait for it */
		assert_int_equal(d.delay_ms, d.step == POLICY_AGAIN ? 1000 : 0);
	}
}

/* 1, 2, 4, 8, 16 s; the sixth within ten minutes is one too many. */
static void back_off(void **state)
{
	struct policy p = { 0 };
	int64_t now = 1000000;

	(void)state;
	for (int i = 0; i < POLICY_STARTS_MAX; i++) {
		struct policy_decision d = decide(&p, "abort", now);

		assert_int_equal(d.step, POLICY_AGAIN);
		assert_int_equal(d.delay_ms, 1000 << i);
		now += d.delay_ms + 100;
	}
	struct policy q = p;
	struct policy_decision d = decide(&q, "abort", now);

	assert_int_equal(d.step, POLICY_END);
	assert_true(d.gave_up);
	/* the first of them, at 1001000 ms, counts no longer */
	d = decide(&p, "abort", 1001000 + POLICY_WINDOW_MS);
	assert_int_equal(d.step, POLICY_AGAIN);
	assert_int_equal(d.delay_ms, 16000);
}

/* Crashes that are far apart never add up: a run may live for years. */
static void seldom(void **state)
{
	struct policy p = { 0 };

	(void)state;
	for (int64_t i = 0; i < 1000; i++) {
		struct policy_decision d = decide(&p, "abort", i * (POLICY_WINDOW_MS + 1000));

		assert_int_equal(d.step, POLICY_AGAIN);
		assert_int_equal(d.delay_ms, 1000);
	}
}

static void limits(void **state)
{
	struct policy p = { 0 };
	struct policy_decision d;

	(void)state;
	for (int i = 0; i < POLICY_SMALLER_MAX; i++)
		assert_int_equal(decide(&p, "oom", i * 2 * POLICY_WINDOW_MS).step, POLICY_SMALLER);
	d = decide(&p, "oom", 20 * (int64_t)POLICY_WINDOW_MS);
	assert_int_equal(d.step, POLICY_END);
	assert_true(d.gave_up);

	memset(&p, 0, sizeof(p));
	assert_int_equal(decide(&p, "illegal instruction", 0).step, POLICY_PLAIN);
	d = decide(&p, "illegal instruction", 10); /* plainer there is none */
	assert_int_equal(d.step, POLICY_END);
	assert_true(d.gave_up);

	/* devices that come and go for ever end, too */
	memset(&p, 0, sizeof(p));
	for (int i = 0; i < POLICY_STARTS_MAX; i++)
		assert_int_equal(decide(&p, "device lost", i).step, POLICY_REPLAN);
	assert_true(decide(&p, "device lost", 100).gave_up);
}

static void smaller(void **state)
{
	struct plan p = { .accept = ACCEPT_SPILL, .n_devices = 2 };
	struct wish w = { 0 };
	uint32_t tried = 0;
	char said[160];

	(void)state;
	strcpy(p.flags.type_k, "f16");
	strcpy(p.flags.type_v, "f16");
	p.flags.n_ctx = 8192;
	p.devices[0].buffers.weights_bytes = 4 << 20;
	p.devices[1].buffers.weights_bytes = 8 << 20;
	p.devices[1].buffers.overhead_bytes = 1 << 20;

	assert_true(policy_shrink(&w, &p, &tried, said, sizeof(said)));
	assert_string_equal(w.type_k, "q8_0");
	assert_string_equal(w.type_v, "q8_0");
	assert_int_equal(w.n_ctx, 0); /* one thing at a time */
	assert_non_null(strstr(said, "q8_0 instead of f16"));
	strcpy(p.flags.type_k, "q8_0");
	strcpy(p.flags.type_v, "q8_0");
	assert_true(policy_shrink(&w, &p, &tried, said, sizeof(said)));
	assert_int_equal(w.n_ctx, 4096);
	assert_non_null(strstr(said, "4096 tokens instead of 8192"));
	w.n_split = 2;
	assert_true(policy_shrink(&w, &p, &tried, said, sizeof(said)));
	assert_int_equal(w.margin_bytes.v, (1 << 20) + (2 << 20));
	assert_int_equal(w.n_split, 0);
	assert_false(policy_shrink(&w, &p, &tried, said, sizeof(said)));

	/* a draft goes before anything that is heard, and alone */
	tried = 0;
	w = (struct wish) { .n_draft = 8 };
	p.draft.n_max = 8;
	assert_true(policy_shrink(&w, &p, &tried, said, sizeof(said)));
	assert_int_equal(w.n_draft, 0);
	assert_int_equal(w.type_k[0], 0);
	assert_non_null(strstr(said, "no draft"));
	p.draft.n_max = 0;

	/* what does not apply is left out: a narrow cache, a context that is short already */
	tried = 0;
	p.flags.n_ctx = 600;
	memset(&w, 0, sizeof(w));
	assert_true(policy_shrink(&w, &p, &tried, said, sizeof(said)));
	assert_int_equal(w.n_ctx, 0);
	assert_true(w.margin_bytes.v > 0);
	/* layers leave the GPUs only where that was accepted */
	tried = 0;
	p.accept = ACCEPT_GPU;
	assert_false(policy_shrink(&w, &p, &tried, said, sizeof(said)));
	/* sums that do not fit are no smaller plan */
	tried = 0;
	p.accept = ACCEPT_SPILL;
	p.devices[0].buffers.overhead_bytes = UINT64_MAX;
	assert_false(policy_shrink(&w, &p, &tried, said, sizeof(said)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(served), cmocka_unit_test(remedies), cmocka_unit_test(back_off),
		cmocka_unit_test(seldom), cmocka_unit_test(limits),   cmocka_unit_test(smaller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
