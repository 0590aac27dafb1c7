/* SPDX-License-Identifier: MIT */
/* Serving's pure parts: who gets which sequence and how much of a batch, text that may go out, odds. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grammar.h"
#include "core/probs.h"
#include "core/slots.h"
#include "core/textout.h"
#include "tests/unit/harness.h"

static void choose(void **state)
{
	int32_t prompt[64], other[64], longer[100];
	struct slot_choice c;

	(void)state;
	for (int i = 0; i < 100; i++) {
		longer[i] = i;
		if (i < 64) {
			prompt[i] = i;
			other[i] = -i - 1;
		}
	}
	/* nobody idle */
	struct slot_view v[3] = { { true, prompt, 64, 0 },
				  { true, other, 64, 1 },
				  { true, 0, 0, 2 } };

	assert_false(slots_choose(v, 3, prompt, 64, &c));
	/* nothing in common: the one unused for longest */
	v[1].busy = v[2].busy = false;
	v[0].n = 0;
	assert_true(slots_choose(v, 3, prompt, 64, &c));
	assert_int_equal(c.slot, 1);
	assert_int_equal(c.n, 0);
	/* a busy one shares; the last token is always computed */
	v[0].n = 64;
	assert_true(slots_choose(v, 3, prompt, 64, &c));
	assert_int_equal(c.slot, 1);
	assert_int_equal(c.from, 0);
	assert_int_equal(c.n, 63);
	/* few tokens in common are not worth a copy */
	assert_true(slots_choose(v, 3, prompt, SLOT_SHARE_MIN, &c));
	assert_int_equal(c.n, 0);
	/* in place */
	v[0].busy = false;
	v[0].used_ns = 9;
	assert_true(slots_choose(v, 3, prompt, 64, &c));
	assert_int_equal(c.slot, 0);
	assert_int_equal(c.from, 0);
	/* but a long text is kept, and its beginning copied */
	v[0] = (struct slot_view) { false, longer, 100, 9 };
	assert_true(slots_choose(v, 3, prompt, 20, &c));
	assert_int_equal(c.slot, 1);
	assert_int_equal(c.from, 0);
	assert_int_equal(c.n, 19);
}

/* Whatever is needed: nobody gets more, the batch is used up, and who needs one token has it. */
static void divided(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		uint32_t got[9], n = 1 + (uint32_t)rand() % 9, sum = 0, all = 0, ones = 0;
		uint32_t budget = 1 + (uint32_t)rand() % 600;
		struct slot_need need[9];

		for (uint32_t i = 0; i < n; i++) {
			need[i].n = rand() % 3 ? (uint32_t)rand() % 3 : (uint32_t)rand() % 1000;
			need[i].since_ns = (uint64_t)rand() % 10;
			all += need[i].n;
			ones += need[i].n == 1;
		}
		slots_divide(need, n, budget, got);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(got[i] <= need[i].n);
			if (need[i].n == 1 && ones <= budget)
				assert_int_equal(got[i], 1);
			sum += got[i];
		}
		assert_int_equal(sum, all < budget ? all : budget);
	}
}

static void whole(void **state)
{
	/* the long one came first; short ones after it do not keep it waiting */
	const struct slot_need need[] = { { 5, 9 }, { 5, 8 }, { 0, 0 }, { 12, 7 }, { 3, 10 } };
	uint32_t got[5];

	(void)state;
	slots_divide_whole(need, 5, 12, got);
	assert_memory_equal(got, ((uint32_t[]) { 0, 0, 0, 12, 0 }), sizeof(got));
	slots_divide_whole(need, 5, 20, got);
	assert_memory_equal(got, ((uint32_t[]) { 5, 0, 0, 12, 3 }), sizeof(got));
	/* it never fits: others go on */
	slots_divide_whole(need, 5, 10, got);
	assert_memory_equal(got, ((uint32_t[]) { 5, 5, 0, 0, 0 }), sizeof(got));
	slots_divide_whole(need, 0, 10, got);
}

static void in_order(void **state)
{
	/* generating; the oldest and longest; two alike, of which the second came first */
	struct slot_need need[] = { { 1, 5 }, { 900, 1 }, { 200, 4 }, { 200, 3 } };
	uint32_t got[4];

	(void)state;
	slots_divide(need, 4, 401, got);
	assert_int_equal(got[0], 1);
	assert_int_equal(got[1], 100);
	assert_int_equal(got[3], 200);
	assert_int_equal(got[2], 100);
	/* who has a part of it behind it is the next to end */
	need[2].n = 100;
	slots_divide(need, 4, 101, got);
	assert_int_equal(got[1], 25);
	assert_int_equal(got[2], 75);
	assert_int_equal(got[3], 0);
	/* nobody generates, and one is alone */
	need[0].n = need[2].n = need[3].n = 0;
	slots_divide(need, 4, 512, got);
	assert_int_equal(got[1], 512);
}

static void patience(void **state)
{
	(void)state;
	assert_int_equal(slots_patience(0, SLOT_WAIT_NS, 512, 512), 512); /* nobody knows yet */
	assert_int_equal(slots_patience(100000, SLOT_WAIT_NS, 512, 512),
			 512); /* 10,000 tokens a second */
	assert_int_equal(slots_patience(2500000, SLOT_WAIT_NS, 512, 512), 100); /* 400 */
	assert_int_equal(slots_patience(50000000, SLOT_WAIT_NS, 512, 512),
			 32); /* 20: but the prompt must end */
	assert_int_equal(slots_patience(50000000, SLOT_WAIT_NS, 512, 16), 16);
	assert_int_equal(slots_patience(UINT64_MAX, SLOT_WAIT_NS, 512, 512), 32);
	/* whole passes of the engine where there is more than one */
	assert_int_equal(slots_patience(3000000, SLOT_STOP_NS, 512, 2048), 512);  /* of 666 */
	assert_int_equal(slots_patience(1000000, SLOT_STOP_NS, 512, 2048), 1536); /* of 2000 */
	assert_int_equal(slots_patience(0, SLOT_STOP_NS, 512, 2000), 1536);
}

/* Feed text in pieces of `step` bytes; out gets what came. */
static int through(const char *text, size_t step, char *const *stops, size_t n_stops, char *out)
{
	struct textout t;
	size_t n = strlen(text), k = 0;
	int stopped;

	textout_init(&t, stops, n_stops);
	for (size_t i = 0; i < n && t.stopped_by < 0; i += step) {
		assert_int_equal(textout_feed(&t, text + i, n - i < step ? n - i : step), 0);
		/* never half a character */
		if (t.n_ready < t.n_held)
			assert_true(((unsigned char)t.held[t.n_ready] & 0xc0) != 0x80);
		memcpy(out + k, t.held, t.n_ready);
		k += t.n_ready;
		textout_taken(&t);
	}
	textout_end(&t);
	memcpy(out + k, t.held ? t.held : "", t.n_ready);
	out[k + t.n_ready] = 0;
	stopped = t.stopped_by;
	textout_fini(&t);
	return stopped;
}

static void stops(void **state)
{
	static char *const none[] = { NULL };
	static char *const two[] = { (char *)"</s>", (char *)"\nUser:" };
	static char *const nested[] = { (char *)"ab", (char *)"abc", (char *)"bcd" };
	static const char all[] = "gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\xa2 </x> \nUse it</";
	char out[256];

	(void)state;
	for (size_t step = 1; step < 12; step++) {
		assert_int_equal(through(all, step, none, 0, out), -1);
		assert_string_equal(out, all);
		assert_int_equal(through(all, step, two, 2, out), -1);
		assert_string_equal(out, all);
		assert_int_equal(through("hi\n\nUser: more</s>", step, two, 2, out), 1);
		assert_string_equal(out, "hi\n");
		assert_int_equal(through("</s>", step, two, 2, out), 0);
		assert_string_equal(out, "");
	}
	/* what begins first counts, of two there the longer, as far as it came */
	assert_int_equal(through("xabcd", 5, nested, 3, out), 1);
	assert_string_equal(out, "x");
	assert_int_equal(through("xabcd", 1, nested, 3, out), 0);
	assert_string_equal(out, "x");
	/* no UTF-8 passes as it is */
	assert_int_equal(through("\xff\xc3(", 1, two, 2, out), -1);
	assert_string_equal(out, "\xff\xc3(");
}

static void odds(void **state)
{
	const float logits[] = { 0, logf(2), logf(4), logf(1) };
	struct request_token t;
	float v[] = { 3, 4 }, zero[] = { 0, 0 };

	(void)state;
	probs_tell(logits, 4, 1, 3, &t);
	assert_int_equal(t.id, 1);
	assert_true(fabsf(t.logprob - logf(2.0f / 8)) < 1e-5f);
	assert_int_equal(t.n_top, 3);
	assert_int_equal(t.top[0].id, 2);
	assert_int_equal(t.top[1].id, 1);
	assert_int_equal(t.top[2].id, 0);
	assert_true(fabsf(t.top[0].logprob - logf(0.5f)) < 1e-5f);
	free(t.top);
	probs_tell(logits, 4, 0, 0, &t);
	assert_null(t.top);
	probs_normalise(v, 2);
	assert_true(fabsf(v[0] - 0.6f) < 1e-6f && fabsf(v[1] - 0.8f) < 1e-6f);
	probs_normalise(zero, 2);
	assert_true(zero[0] == 0);
}

/* Against looking at all of them, for logits with many that are equal and some that are none. */
static void likeliest(void **state)
{
	static const float few[] = { -1, 0, 0.5f, 2, NAN, -INFINITY };
	static float logits[3000];
	static struct probs_one best[2 * PROBS_BEST_MAX];

	(void)state;
	srand(2);
	for (int round = 0; round < 400; round++) {
		uint32_t n = 1 + (uint32_t)rand() % 3000, k = 1 + (uint32_t)rand() % PROBS_BEST_MAX;
		uint32_t got, can = 0;

		for (uint32_t i = 0; i < n; i++) {
			logits[i] = round % 2 ? few[rand() % 6] : (float)rand() / 1000;
			can += logits[i] > -INFINITY;
		}
		got = probs_best(logits, n, k, best);
		assert_int_equal(got, can < k ? can : k);
		for (uint32_t j = 0; j < got; j++) {
			uint32_t before = 0;

			for (uint32_t i = 0; i < n; i++)
				before += logits[i] > best[j].logit ||
					  (logits[i] == best[j].logit && (int32_t)i < best[j].id);
			assert_int_equal(before, j);
			assert_true(logits[best[j].id] == best[j].logit);
		}
	}
}

/* `unit` so many times between two ends. */
static int repeated(const char *before, const char *unit, int n, const char *after, struct err *e)
{
	char *text = calloc(1, strlen(before) + strlen(unit) * (size_t)n + strlen(after) + 1);
	char *at = text;
	int rc;

	at = stpcpy(at, before);
	for (int i = 0; i < n; i++)
		at = stpcpy(at, unit);
	stpcpy(at, after);
	rc = grammar_check(text, e);
	free(text);
	return rc;
}

/* Each rule is of the next one twice. */
static int doubled(const char *between, int n, struct err *e)
{
	char text[4096], *at = text;

	at = stpcpy(at, "root ::= r0\n");
	for (int i = 0; i < n; i++)
		at += sprintf(at, "r%d ::= r%d%sr%d\n", i, i + 1, between, i + 1);
	sprintf(at, "r%d ::= \"a\"\n", n);
	return grammar_check(text, e);
}

static void grammars(void **state)
{
	static const char *const fine[] = {
		"root ::= \"yes\" | \"no\"",
		"root ::= v # (((\nv ::= \"(\" v \")\" | [^()\\]] | list\nlist ::= \"[\" (v (\",\" v)*)? \"]\"",
		"root ::= .{0,2000}",
		"root ::= ([a-z]{1,20} \" \"){1,100} !<[7]> <end>",
		"root ::= \"unended",
		"root ::= [unended",
		"))) ((( root ::= ) {5} * (",
		"root ::= a{99999999999999999999}\na ::= \"\"",
		"root ::= \"a\\",
		"",
	};
	static const char *const own[] = {
		"root ::= root \"a\"",
		"root ::= \"a\"? root",
		"root ::= (\"\" | b) c\nb ::= \"b\"\nc ::= [^] root",
		"root ::= a\nb ::= \"b\"\nb ::= a\na ::= b",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		assert_int_equal(grammar_check(fine[i], &e), 0);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		assert_int_equal(grammar_check(own[i], &e), -EINVAL);
		assert_non_null(strstr(e.text, "begins with itself"));
	}
	assert_int_equal(repeated("root ::= ", "(", 64, "", &e), 0);
	assert_int_equal(repeated("root ::= ", "(", 65, "", &e), -EINVAL);
	assert_non_null(strstr(e.text, "64 deep"));
	assert_int_equal(repeated("root ::= ", "x", 70000, "", &e), -EINVAL);
	assert_non_null(strstr(e.text, "bytes"));
	assert_int_equal(repeated("root ::= ", "(x)", 4001, "", &e), -EINVAL);
	assert_non_null(strstr(e.text, "rules and groups"));
	assert_int_equal(repeated("root ::= \"", "x", 600, "\"{2000}", &e), -EINVAL);
	assert_non_null(strstr(e.text, "too much text"));
	assert_int_equal(doubled(" | ", 10, &e), 0);
	assert_int_equal(doubled(" | ", 40, &e), -EINVAL);
	assert_non_null(strstr(e.text, "too many ways"));
	assert_int_equal(doubled("? ", 40, &e), -EINVAL);
	assert_int_equal(doubled(" ", 40, &e), 0);
	assert_int_equal(repeated("root ::= ((.?){0,2000}", "", 0, "){0,2000}", &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choose),   cmocka_unit_test(divided),   cmocka_unit_test(whole),
		cmocka_unit_test(in_order), cmocka_unit_test(patience),  cmocka_unit_test(stops),
		cmocka_unit_test(odds),     cmocka_unit_test(likeliest), cmocka_unit_test(grammars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
