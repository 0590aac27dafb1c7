/* SPDX-License-Identifier: MIT */
/* A client's socket as messages: glued, cut, with descriptors, and by clients that mean harm. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bar-forward/stream.h"
#include "tests/unit/harness.h"

struct pair {
	int ours, theirs;
	struct stream s;
};

static int open_pair(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->ours = fds[0];
	p->theirs = fds[1];
	assert_int_equal(stream_open(&p->s, p->ours, 100, NULL), 0);
	p->s.ahead = true;
	*state = p;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *p = *state;

	stream_close(&p->s);
	close(p->ours);
	if (p->theirs >= 0)
		close(p->theirs);
	free(p);
	return 0;
}

/* A message of `size` bytes whose id is `id`, sent with n descriptors of /dev/null; the first `bytes` bytes of it. */
static void send_some(const struct pair *p, uint16_t id, uint32_t size, uint32_t bytes, uint32_t n)
{
	union {
		char bytes[CMSG_SPACE(32 * sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	uint8_t *message = calloc(1, size < 16 ? 16 : size);
	struct vu_header h = { .id = id, .command = VU_DEVICE_RESET, .size = size };
	struct iovec v = { .iov_base = message, .iov_len = bytes };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	memcpy(message, &h, sizeof(h));
	if (n) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (uint32_t i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &null, sizeof(null));
	}
	assert_int_equal(sendmsg(p->theirs, &m, 0), bytes);
	close(null);
	free(message);
}

static void next(struct pair *p, uint16_t id, uint32_t size, uint32_t n_fds)
{
	struct incoming in;
	struct vu_header h;

	assert_int_equal(stream_peek(&p->s, &in, NULL), 0);
	memcpy(&h, in.bytes, sizeof(h));
	assert_int_equal(h.id, id);
	assert_int_equal(in.size, size);
	assert_int_equal(in.n_fds, n_fds);
	for (uint32_t i = 0; i < n_fds; i++)
		assert_true(fcntl(in.fds[i], F_GETFD) & FD_CLOEXEC);
	stream_drop(&in);
	assert_int_equal(stream_take(&p->s, &in), 0);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void messages_come_one_by_one_however_they_were_sent(void **state)
{
	struct pair *p = *state;
	int before = count_fds();

	send_some(p, 1, 16, 16, 0);
	send_some(p, 2, 48, 48, 1);
	send_some(p, 3, 20, 20, 0);
	send_some(p, 4, 16, 16, VU_FDS_MAX);
	send_some(p, 5, 16, 16, 0);
	next(p, 1, 16, 0); /* the second's descriptor is seen with it, and is not its */
	next(p, 2, 48, 1);
	next(p, 3, 20, 0);
	next(p, 4, 16, VU_FDS_MAX);
	next(p, 5, 16, 0);
	assert_int_equal(count_fds(), before);
}

/* Many are seen at once, each is taken alone: who comes after one that died in between finds the rest. */
static void what_was_seen_is_shown_again_and_taken_alone(void **state)
{
	struct pair *p = *state;
	uint8_t bytes[16];

	for (uint16_t i = 0; i < 6; i++)
		send_some(p, i, 16, 16, 0);
	send_some(p, 6, 40, 24, 0); /* not whole */
	assert_int_equal(p->s.kept, 0);
	next(p, 0, 16, 0);
	assert_int_equal(p->s.kept, 5 * 16 + 24);
	next(p, 1, 16, 0);
	assert_int_equal(recv(p->ours, bytes, sizeof(bytes), 0),
			 sizeof(bytes)); /* somebody else's */
	stream_forget(&p->s);
	next(p, 3, 16, 0);
	next(p, 4, 16, 0);
	next(p, 5, 16, 0);
	assert_int_equal(p->s.kept, 24);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(send(p->theirs, bytes, 16, 0), 16);
	next(p, 6, 40, 0);
}

static void what_is_peeked_stays(void **state)
{
	struct pair *p = *state;
	struct incoming in;

	send_some(p, 9, 32, 32, 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stream_peek(&p->s, &in, NULL), 0);
		assert_int_equal(in.n_fds, 2);
		stream_drop(&in);
	}
	next(p, 9, 32, 2);
}

static void *send_the_rest(void *arg)
{
	const struct pair *p = arg;
	static const char rest[150000];

	assert_int_equal(send(p->theirs, rest, sizeof(rest) - 8, 0), sizeof(rest) - 8);
	return NULL;
}

static void long_messages_come_in_pieces(void **state)
{
	struct pair *p = *state;
	pthread_t t;

	p->s.timeout_ms = 60000;
	send_some(p, 1, 150000, 8, 0);
	pthread_create(&t, NULL, send_the_rest, p);
	next(p, 1, 150000, 0);
	pthread_join(t, NULL);
}

static void what_was_not_reserved_is_left_alone(void **state)
{
	struct pair *p = *state;
	struct incoming in;

	assert_int_equal(stream_reserve(&p->s, 20000), 0);
	send_some(p, 1, 20000, 20000, 0);
	next(p, 1, 20000, 0);
	send_some(p, 2, 20001, 20001, 1);
	assert_int_equal(stream_peek(&p->s, &in, NULL), -EFBIG);
	assert_int_equal(in.n_fds, 0);
}

static void half_a_message_ends_it(void **state)
{
	struct pair *p = *state;
	struct incoming in;
	struct err e = { 0 };

	send_some(p, 1, 64, 40, 1);
	assert_int_equal(stream_peek(&p->s, &in, &e), -ETIMEDOUT);
	assert_string_equal(e.text, "the client sent half a message, and no more");
	close(p->theirs);
	p->theirs = -1;
	assert_int_equal(stream_peek(&p->s, &in, &e), -EPIPE);
}

static void nonsense_ends_it(void **state)
{
	struct pair *p = *state;
	struct incoming in;
	int before = count_fds();

	send_some(p, 1, 15, 15, 0);
	assert_int_equal(send(p->theirs, "", 1, 0), 1);
	assert_int_equal(stream_peek(&p->s, &in, NULL), -EPROTO);
	assert_int_equal(count_fds(), before);
}

static void too_many_descriptors_end_it(void **state)
{
	struct pair *p = *state;
	struct incoming in;
	int before = count_fds();

	send_some(p, 1, 16, 16, VU_FDS_MAX + 1);
	assert_int_equal(stream_peek(&p->s, &in, NULL), -EMSGSIZE);
	assert_int_equal(count_fds(), before);
}

static void a_client_that_goes_is_seen(void **state)
{
	struct pair *p = *state;
	struct incoming in;

	close(p->theirs);
	p->theirs = -1;
	assert_int_equal(stream_peek(&p->s, &in, NULL), -EPIPE);
	assert_int_equal(stream_send(&p->s, (const uint8_t *)"abc", 3, -1), -EPIPE);
}

static void a_client_that_does_not_read_is_left(void **state)
{
	struct pair *p = *state;
	static const uint8_t reply[65536];
	int rc = 0;

	for (int i = 0; !rc && i < 100; i++)
		rc = stream_send(&p->s, reply, sizeof(reply), -1);
	assert_int_equal(rc, -ETIMEDOUT);
}

static void a_descriptor_goes_with_a_reply(void **state)
{
	struct pair *p = *state;
	struct stream theirs;
	struct incoming in;
	struct vu_header h = { .id = 3, .size = 16, .flags = VU_TYPE_REPLY };

	assert_int_equal(stream_open(&theirs, p->theirs, 1000, NULL), 0);
	assert_int_equal(stream_send(&p->s, (const uint8_t *)&h, sizeof(h), p->ours), 0);
	assert_int_equal(stream_send(&p->s, (const uint8_t *)&h, sizeof(h), -1), 0);
	assert_int_equal(stream_peek(&theirs, &in, NULL), 0);
	assert_int_equal(in.n_fds, 1);
	stream_drop(&in);
	stream_close(&theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define ONE(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)
		ONE(messages_come_one_by_one_however_they_were_sent),
		ONE(what_was_seen_is_shown_again_and_taken_alone),
		ONE(what_is_peeked_stays),
		ONE(long_messages_come_in_pieces),
		ONE(what_was_not_reserved_is_left_alone),
		ONE(half_a_message_ends_it),
		ONE(nonsense_ends_it),
		ONE(too_many_descriptors_end_it),
		ONE(a_client_that_goes_is_seen),
		ONE(a_client_that_does_not_read_is_left),
		ONE(a_descriptor_goes_with_a_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
