/* SPDX-License-Identifier: MIT */
/* Two boots beside each other: what is a poll is no difference, and each difference that was made is found, alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bar-forward/trace.h"
#include "bar-forward/tracealign.h"
#include "tests/unit/harness.h"

static char folder[] = "/tmp/berth-diff-XXXXXX";
static char path[2][64];
static struct trace t[2];
static struct align_counts counts;
static struct step first;

static void begin(uint64_t slots)
{
	struct err e = { 0 };

	for (int i = 0; i < 2; i++)
		if (trace_create(&t[i], path[i],
				 TRACE_HEAD_BYTES + slots * sizeof(struct trace_slot),
				 &(struct trace_about) { 0 }, &e))
			fail_msg("%s", e.text);
}

static void access_of(int side, enum trace_kind kind, uint64_t offset, uint64_t value)
{
	trace_put(&t[side], &(struct trace_slot) { .kind = (uint8_t)kind,
						   .width = 4,
						   .ns = 1,
						   .offset = offset,
						   .value = value });
}

static void both(enum trace_kind kind, uint64_t offset, uint64_t value)
{
	access_of(0, kind, offset, value);
	access_of(1, kind, offset, value);
}

static int told(void *arg, enum align_kind kind, const struct step *a, const struct step *b)
{
	bool *seen = arg;

	if (kind == ALIGN_SAME)
		assert_true(step_is_same(a, b));
	else if (!*seen)
		first = a ? *a : *b;
	*seen |= kind != ALIGN_SAME;
	return 0;
}

static void differ(uint64_t value, uint64_t only_a, uint64_t only_b)
{
	struct steps *s[2];
	bool seen = false;

	counts = (struct align_counts) { 0 };
	for (int i = 0; i < 2; i++) {
		trace_close(&t[i]);
		s[i] = calloc(1, sizeof(*s[i]));
		assert_int_equal(trace_reader_open(&s[i]->reader, path[i], NULL), 0);
	}
	assert_int_equal(align(s[0], s[1], told, &seen, &counts, NULL), 0);
	for (int i = 0; i < 2; i++) {
		trace_reader_close(s[i]->reader);
		free(s[i]);
	}
	assert_int_equal(counts.n[ALIGN_VALUE], value);
	assert_int_equal(counts.n[ALIGN_ONLY_A], only_a);
	assert_int_equal(counts.n[ALIGN_ONLY_B], only_b);
}

static void test_polls_are_no_difference(void **state)
{
	(void)state;
	begin(1000);
	both(TRACE_WRITE, 0x10, 1);
	for (int i = 0; i < 100; i++)
		access_of(0, TRACE_READ, 0x14, 0);
	both(TRACE_READ, 0x14, 1); /* at once in the other boot */
	both(TRACE_WRITE, 0x10, 2);
	for (int i = 0; i < 7; i++) { /* two in turns, and how often */
		access_of(0, TRACE_READ, 0x20, 5);
		access_of(0, TRACE_READ, 0x24, 6);
	}
	for (int i = 0; i < 30; i++) {
		access_of(1, TRACE_READ, 0x20, 5);
		access_of(1, TRACE_READ, 0x24, 6);
	}
	both(TRACE_READ, 0x20, 7);
	both(TRACE_WRITE, 0x10, 3);
	differ(0, 0, 0);
	assert_true(counts.n[ALIGN_SAME] >= 6);
}

static void test_writes_are_not_polls(void **state)
{
	(void)state;
	begin(100);
	both(TRACE_WRITE, 0x10, 1);
	both(TRACE_WRITE, 0x10, 1);
	access_of(1, TRACE_WRITE, 0x10, 1);
	differ(0, 0, 1);
	assert_int_equal(first.offset, 0x10);
}

static void test_a_queue_is_no_poll(void **state)
{
	static const uint64_t other[] = { 1, 2, 9, 4 };

	(void)state;
	begin(100);
	for (uint64_t i = 0; i < 4; i++) {
		access_of(0, TRACE_READ, 0x30, i + 1);
		access_of(1, TRACE_READ, 0x30, other[i]);
	}
	differ(1, 0, 0);
}

static void test_empty_ones(void **state)
{
	(void)state;
	begin(100);
	differ(0, 0, 0);
	begin(100);
	access_of(0, TRACE_READ, 1, 1);
	access_of(0, TRACE_WRITE, 2, 2);
	differ(0, 2, 0);
}

/* What each side has of its own: so many of each kind are made, far enough from each other, and exactly these are found. */
static void test_made_differences_are_found(void **state)
{
	uint64_t made[ALIGN_KINDS] = { 0 };

	(void)state;
	srand(4711);
	begin(400000);
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t offset = 4 * (i % 50); /* no register twice in a row */

		if (i % 50 == 25) {
			int kind = 1 + rand() % 3;

			made[kind]++;
			if (kind == ALIGN_VALUE) {
				access_of(0, TRACE_WRITE, 0x1000, 1);
				access_of(1, TRACE_WRITE, 0x1000, 2);
			} else {
				access_of(kind == ALIGN_ONLY_B, TRACE_WRITE, 0x2000, i);
			}
		} else if (rand() % 2) {
			both(TRACE_WRITE, offset, i);
		} else {
			both(TRACE_READ, 0x4000 + offset, i);
			for (int n = rand() % 3; n > 0; n--)
				access_of(rand() % 2, TRACE_READ, 0x4000 + offset, i);
		}
	}
	differ(made[ALIGN_VALUE], made[ALIGN_ONLY_A], made[ALIGN_ONLY_B]);
	assert_true(made[ALIGN_VALUE] + made[ALIGN_ONLY_A] + made[ALIGN_ONLY_B] == 2000);
}

/* A part that one boot has more, longer than all that else differs; and two boots that have nothing in common. */
static void test_long_parts(void **state)
{
	(void)state;
	begin(100000);
	for (uint64_t i = 0; i < 100; i++)
		both(TRACE_WRITE, 0x10, i);
	for (uint64_t i = 0; i < 900; i++)
		access_of(1, TRACE_WRITE, 0x100 + 4 * i, i);
	for (uint64_t i = 0; i < 100; i++)
		both(TRACE_WRITE, 0x10, 1000 + i);
	differ(0, 0, 900);
	assert_int_equal(counts.n[ALIGN_SAME], 200);
	begin(100000);
	for (uint64_t i = 0; i < 5000; i++) {
		access_of(0, TRACE_WRITE, 0x10000 + 4 * i, i);
		access_of(1, TRACE_WRITE, 0x80000 + 4 * i, i);
	}
	differ(0, 5000, 5000);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	for (int i = 0; i < 2; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%d", folder, i);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path[0]);
	unlink(path[1]);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_polls_are_no_difference),
		cmocka_unit_test(test_writes_are_not_polls),
		cmocka_unit_test(test_a_queue_is_no_poll),
		cmocka_unit_test(test_empty_ones),
		cmocka_unit_test(test_made_differences_are_found),
		cmocka_unit_test(test_long_parts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
