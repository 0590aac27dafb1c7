/* SPDX-License-Identifier: MIT */
/* A child that is asked: whole records, its end, its crash, its silence, and that none is left behind. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "tests/unit/harness.h"

#define LONG 60000 /* a loaded machine is no hang */

static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* More than a pipe holds at once, so both sides need several turns. */
static void send_much(int to, void *arg)
{
	static char big[300000];

	memset(big, *(char *)arg, sizeof(big));
	child_send(to, big, sizeof(big));
	child_send(to, arg, 1);
}

static void whole_records(void **state)
{
	(void)state;
	static char big[300000];
	struct child c;
	char letter = 'x';

	assert_int_equal(child_open(&c, send_much, &letter), 0);
	assert_int_equal(child_receive(&c, big, sizeof(big), LONG), 1);
	assert_int_equal(big[0], 'x');
	assert_int_equal(big[sizeof(big) - 1], 'x');
	letter = 0;
	assert_int_equal(child_receive(&c, &letter, 1, LONG), 1);
	assert_int_equal(letter, 'x');
	/* Nothing more: it has ended. */
	assert_int_equal(child_receive(&c, &letter, 1, LONG), 0);
	child_close(&c);
	assert_no_child();
}

static void half_and_crash(int to, void *arg)
{
	child_send(to, arg, 4);
	abort();
}

static void crashes(void **state)
{
	(void)state;
	struct child c;
	char eight[8] = "1234567";

	assert_int_equal(child_open(&c, half_and_crash, eight), 0);
	assert_int_equal(child_receive(&c, eight, sizeof(eight), LONG), 0);
	child_close(&c);
	assert_no_child();
}

/* A half record and then nothing is a hang as well. */
static void half_and_hang(int to, void *arg)
{
	child_send(to, arg, 4);
	for (;;)
		pause();
}

static void hangs(void **state)
{
	(void)state;
	struct child c;
	char eight[8] = "1234567";

	assert_int_equal(child_open(&c, half_and_hang, eight), 0);
	assert_int_equal(child_receive(&c, eight, sizeof(eight), 100), -ETIMEDOUT);
	child_close(&c);
	assert_no_child();
}

/* What a library prints is no answer, and nothing waits for our terminal. */
static void prints(int to, void *arg)
{
	char c;

	(void)arg;
	if (write(STDOUT_FILENO, "not ok\n", 7) == 7 && read(STDIN_FILENO, &c, 1) == 0)
		child_send(to, "k", 1);
}

static void is_quiet(void **state)
{
	(void)state;
	struct child c;
	char k = 0;

	assert_int_equal(child_open(&c, prints, NULL), 0);
	assert_int_equal(child_receive(&c, &k, 1, LONG), 1);
	child_close(&c);
	assert_no_child();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_records),
		cmocka_unit_test(crashes),
		cmocka_unit_test(hangs),
		cmocka_unit_test(is_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
