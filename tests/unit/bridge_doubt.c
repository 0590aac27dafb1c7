/* SPDX-License-Identifier: MIT */
/* What is concluded from a dead worker's note, and from what it had read and written. */
#include <unistd.h>

#include "bar-forward/doubt.h"
#include "tests/unit/harness.h"

static struct share_note note;
static struct counted counted;
static struct evidence evidence;

static void begin(enum share_phase phase)
{
	note = (struct share_note) { .access = { .before = 1000, .width = 4 },
				     .reply = { .before = 500, .length = 32 },
				     .take = { .before = 900, .length = 48 } };
	atomic_store(&note.phase, phase);
	counted = (struct counted) { .read = 1000, .written = 500 };
	evidence = (struct evidence) { .counted = &counted };
}

static void is(enum doubt_kind kind, uint64_t bytes)
{
	struct doubt d = doubt_of(&note, &evidence);

	assert_int_equal(d.kind, kind);
	assert_int_equal(d.bytes, bytes);
}

static void an_access_by_its_bytes(void **state)
{
	(void)state;
	begin(SHARE_ACCESS);
	is(DOUBT_NOT, 0);
	counted.read += 4;
	is(DOUBT_RAN, 0);
	counted.read -= 2; /* half of it */
	is(DOUBT_UNKNOWN, 0);
	counted.read = 0; /* less than before */
	is(DOUBT_UNKNOWN, 0);
	begin(SHARE_ACCESS);
	note.access.write = 1;
	note.access.before = 500;
	counted.read += 4; /* no concern of a write */
	is(DOUBT_NOT, 0);
	counted.written += 4;
	is(DOUBT_RAN, 0);
	evidence.counted = NULL;
	is(DOUBT_UNKNOWN, 0);
	assert_false(doubt_of(&note, &evidence).answered);
}

static void an_access_by_the_device(void **state)
{
	(void)state;
	begin(SHARE_ACCESS);
	evidence.by_device = true;
	evidence.counted = NULL;
	is(DOUBT_NOT, 0);
	evidence.ran = true;
	is(DOUBT_RAN, 0);
}

/* Of several writes in one message those that are accounted for are not asked about again. */
static void one_of_several(void **state)
{
	(void)state;
	begin(SHARE_ACCESS);
	counted.read += 4;
	note.access.turn = note.multi_done = 3;
	is(DOUBT_RAN, 0);
	note.multi_done = 4;
	is(DOUBT_NOTHING, 0);
}

static void whose_access_it_was(void **state)
{
	(void)state;
	begin(SHARE_ACCESS);
	counted.read += 4;
	note.access.asked = 1; /* the holder's, who has got it */
	is(DOUBT_NOTHING, 0);
	evidence.asked = true; /* who waits for it */
	is(DOUBT_RAN, 0);
	note.access.asked = 0;
	is(DOUBT_NOTHING, 0);
}

static void an_answer(void **state)
{
	(void)state;
	begin(SHARE_ANSWER);
	is(DOUBT_ANSWER, 0);
	counted.written += 31;
	is(DOUBT_ANSWER, 31);
	counted.written += 1;
	is(DOUBT_ANSWER, 32);
	counted.written += 1;
	is(DOUBT_UNKNOWN, 0);
	assert_true(doubt_of(&note, &evidence).answered);
	evidence.counted = NULL;
	is(DOUBT_UNKNOWN, 0);
}

static void a_message(void **state)
{
	(void)state;
	begin(SHARE_TAKE);
	counted.read = 900;
	is(DOUBT_TAKE, 0);
	counted.read = 948;
	is(DOUBT_TAKE, 48);
	counted.read = 949;
	is(DOUBT_UNKNOWN, 0);
}

static void nothing(void **state)
{
	(void)state;
	begin(SHARE_IDLE);
	evidence.counted = NULL;
	is(DOUBT_NOTHING, 0);
	begin((enum share_phase)77); /* whatever it wrote there */
	is(DOUBT_NOTHING, 0);
}

static void counts_are_read(void **state)
{
	struct counted c = { 0 };
	uint64_t mine;
	int fd = counted_open(0);

	(void)state;
	assert_true(counted_parse("rchar: 12\nwchar: 34\nsyscr: 5\n", &c));
	assert_int_equal(c.read, 12);
	assert_int_equal(c.written, 34);
	assert_false(counted_parse("xrchar: 12\n", &c));
	assert_false(counted_parse("rchar: 12\nwchar: x\n", &c));
	assert_false(counted_parse("", &c));
	assert_false(counted_read(-1, &c, &mine));
	if (fd < 0)
		return; /* a kernel without them */
	assert_true(counted_read(fd, &c, &mine));
	uint64_t before = c.read + mine;

	assert_true(counted_read(fd, &c, &mine));
	assert_int_equal(c.read, before);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_access_by_its_bytes),
		cmocka_unit_test(an_access_by_the_device),
		cmocka_unit_test(one_of_several),
		cmocka_unit_test(whose_access_it_was),
		cmocka_unit_test(an_answer),
		cmocka_unit_test(a_message),
		cmocka_unit_test(nothing),
		cmocka_unit_test(counts_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
