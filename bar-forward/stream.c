/* SPDX-License-Identifier: MIT */
#include "bar-forward/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

/* What nearly every message fits into: one peek finds it whole. */
#define USUAL 4096
/* The kernel's own limit for one send: whoever sends more at once is told apart from nobody. */
#define FDS_ROOM 253

union control {
	char bytes[CMSG_SPACE(FDS_ROOM * sizeof(int))];
	struct cmsghdr aligned;
};

int stream_open(struct stream *s, int fd, uint32_t timeout_ms, struct err *e)
{
	const struct timeval t = { .tv_sec = timeout_ms / 1000,
				   .tv_usec = timeout_ms % 1000 * 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return err_set(e, -errno, "cannot set the client's socket up: %s", strerror(errno));
	*s = (struct stream) {
		.fd = fd, .timeout_ms = timeout_ms, .bytes = malloc(USUAL), .room = USUAL
	};
	return s->bytes ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int stream_reserve(struct stream *s, size_t most)
{
	uint8_t *more = realloc(s->bytes, most > s->room ? most : s->room);

	if (!more)
		return -ENOMEM;
	s->bytes = more;
	s->most = most;
	return 0;
}

void stream_close(struct stream *s)
{
	free(s->bytes);
	*s = (struct stream) { .fd = -1 };
}

void stream_drop(struct incoming *in)
{
	for (uint32_t i = 0; i < in->n_fds; i++)
		if (in->fds[i] >= 0)
			close(in->fds[i]);
	in->n_fds = 0;
}

static void keep_fd(struct incoming *in, int fd, bool *many)
{
	if (in->n_fds < VU_FDS_MAX) {
		in->fds[in->n_fds++] = fd;
	} else {
		close(fd);
		*many = true;
	}
}

static void collect_fds(struct msghdr *m, struct incoming *in, bool *many)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const unsigned char *at = CMSG_DATA(c);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t left = c->cmsg_len - CMSG_LEN(0); left >= sizeof(fd);
		     left -= sizeof(fd)) {
			memcpy(&fd, at, sizeof(fd));
			at += sizeof(fd);
			keep_fd(in, fd, many);
		}
	}
	*many |= m->msg_flags & MSG_CTRUNC;
}

/* What is there now, up to s->room bytes, with the descriptors of its end. The count, or a negative errno. */
static long peek(struct stream *s, struct incoming *in, bool *many)
{
	union control control;
	struct iovec v = { .iov_base = s->bytes, .iov_len = s->room };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(s->fd, &m, MSG_PEEK | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	*many = false;
	collect_fds(&m, in, many);
	return n == 0 ? -EPIPE : n;
}

/* Bytes of the first message; 0: not even its header is here. */
static int size_of(const struct stream *s, long have, uint32_t *size, struct err *e)
{
	struct vu_header h;

	*size = 0;
	if (have < (long)sizeof(h))
		return 0;
	memcpy(&h, s->bytes, sizeof(h));
	*size = h.size;
	return vu_check_header(&h, e);
}

static int make_room(struct stream *s, size_t size)
{
	uint8_t *more;

	if (size <= s->room)
		return 0;
	if (s->most) { /* it is there already */
		if (size > s->most)
			return -EFBIG;
		s->room = size;
		return 0;
	}
	more = realloc(s->bytes, size);
	if (!more)
		return -ENOMEM;
	s->bytes = more;
	s->room = size;
	return 0;
}

/* A peek never sleeps for bytes that are missing, so one that came too early is done again a little later. */
static int wait_more(struct stream *s, int64_t until)
{
	struct pollfd p = { .fd = s->fd, .events = POLLRDHUP };
	int64_t left = until - clock_ms();

	if (left <= 0)
		return -ETIMEDOUT;
	/* POLLIN is true already; a client that hangs up ends the wait, and else a millisecond does. */
	return poll(&p, 1, 1) < 0 && errno != EINTR ? -errno : p.revents ? -EPIPE : 0;
}

static int failed(int rc, struct err *e)
{
	switch (rc) {
	case -EPIPE:
		return err_set(e, rc, "the client is gone");
	case -ETIMEDOUT:
		return err_set(e, rc, "the client sent half a message, and no more");
	case -EMSGSIZE:
		return err_set(e, rc, "the client sent more than %d descriptors with a message",
			       VU_FDS_MAX);
	default:
		return err_set(e, rc, "cannot read from the client: %s", strerror(-rc));
	}
}

/* The size of the message that what is kept begins with; 0: it has not all of one, or none that may be shown so. */
static uint32_t kept_size(const struct stream *s)
{
	struct vu_header h;
	struct err unsaid = { 0 };

	if (s->kept < sizeof(h))
		return 0;
	memcpy(&h, s->bytes + s->at, sizeof(h));
	return h.size <= s->kept && vu_check_header(&h, &unsaid) == 0 ? h.size : 0;
}

void stream_forget(struct stream *s)
{
	s->at = s->kept = 0;
}

int stream_peek(struct stream *s, struct incoming *in, struct err *e)
{
	int64_t until = -1;
	uint32_t size;
	bool many;
	long have;
	int rc;

	*in = (struct incoming) { .bytes = s->bytes + s->at, .size = kept_size(s) };
	if (in->size)
		return 0;
	stream_forget(s);
	for (;;) {
		*in = (struct incoming) { 0 };
		have = peek(s, in, &many);
		if (have < 0)
			return failed((int)have, e);
		rc = size_of(s, have, &size, e);
		if (rc || (size && have >= (long)size))
			break;
		if (many)
			break;
		stream_drop(in);
		rc = make_room(s, size);
		if (until < 0)
			until = clock_ms() + s->timeout_ms;
		if (!rc && (size_t)have < s->room)
			rc = wait_more(s, until);
		if (rc)
			return failed(rc, e);
	}
	if (!rc && s->ahead && !in->n_fds && !many)
		s->kept = (size_t)have;
	if (!rc && have > (long)size) { /* they came with a later message */
		stream_drop(in);
		many = false;
	}
	if (many && !rc)
		rc = failed(-EMSGSIZE, e);
	if (rc)
		stream_drop(in);
	in->bytes = s->bytes;
	in->size = size;
	return rc;
}

/* The bytes that are read are those that were seen, so they may go where these lie. */
int stream_take(struct stream *s, const struct incoming *in)
{
	for (size_t left = in->size; left;) {
		size_t most = s->room - s->at;
		ssize_t n = read(s->fd, s->bytes + s->at, left < most ? left : most);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EPIPE;
		left -= (size_t)n;
	}
	if (s->kept < in->size) {
		stream_forget(s);
	} else {
		s->at += in->size;
		s->kept -= in->size;
	}
	return 0;
}

static ssize_t send_with(int to, const uint8_t *bytes, size_t size, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec v = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(to, &m, MSG_NOSIGNAL);
}

int stream_send(struct stream *s, const uint8_t *bytes, size_t size, int fd)
{
	while (size) {
		ssize_t n = fd >= 0 ? send_with(s->fd, bytes, size, fd) : write(s->fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -EPIPE;
		fd = -1; /* it went with the first bytes */
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}
