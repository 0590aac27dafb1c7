/* SPDX-License-Identifier: MIT */
/* Whole reads and writes through a pipe that gives and takes little at a time; the digest's vectors. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/own.h"
#include "tests/unit/harness.h"

#define MUCH (1 << 20) /* more than a pipe holds: the writer must go on after short writes */

struct end {
	int fd, rc;
	const char *bytes;
};

static void *write_much(void *arg)
{
	struct end *w = arg;

	w->rc = io_write(w->fd, w->bytes, MUCH);
	close(w->fd);
	return NULL;
}

static void all_of_it_arrives(void **state)
{
	own_free char *from = malloc(MUCH);
	own_free char *to = malloc(MUCH + 1);
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_non_null(from);
	assert_non_null(to);
	for (size_t i = 0; i < MUCH; i++)
		from[i] = (char)(i * 31 >> 3);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct end w = { .fd = ends[1], .bytes = from };

	assert_int_equal(pthread_create(&thread, NULL, write_much, &w), 0);
	/* One more than there is: the end of the file ends the read. */
	assert_int_equal(io_read(ends[0], to, MUCH + 1), MUCH);
	pthread_join(thread, NULL);
	close(ends[0]);
	assert_int_equal(w.rc, 0);
	assert_memory_equal(from, to, MUCH);
}

static void errors_come_back(void **state)
{
	char byte = 0;

	(void)state;
	assert_int_equal(io_read(-1, &byte, 1), -EBADF);
	assert_int_equal(io_write(-1, &byte, 1), -EBADF);
	own_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(full >= 0);
	assert_int_equal(io_write(full, &byte, 1), -ENOSPC);
}

static void a_wait_has_an_end(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(io_await(ends[0], clock_ms()), -ETIMEDOUT);
	assert_int_equal(io_await(ends[0], clock_ms() + 20), -ETIMEDOUT);
	assert_int_equal(io_write(ends[1], "x", 1), 0);
	assert_int_equal(io_await(ends[0], clock_ms() + 60000), 0);
	char byte;

	assert_int_equal(io_read(ends[0], &byte, 1), 1);
	close(ends[1]);
	assert_int_equal(io_await(ends[0], clock_ms() + 60000), 0); /* its end can be read */
	close(ends[0]);
}

/* FIPS 180-4's examples: one block, and the empty message. */
static void digests(void **state)
{
	char hex[65];

	(void)state;
	hash_sha256("abc", 3, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha256("", 0, hex);
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_arrives),
		cmocka_unit_test(errors_come_back),
		cmocka_unit_test(a_wait_has_an_end),
		cmocka_unit_test(digests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
