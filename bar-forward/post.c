/* SPDX-License-Identifier: MIT */
#include "bar-forward/post.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	char bytes[CMSG_SPACE(POST_FDS * sizeof(int))];
	struct cmsghdr aligned;
};

int post_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

int post_send(int to, const void *record, size_t size, const int *fds, uint32_t n_fds, int now)
{
	union control control = { 0 };
	struct iovec v = { .iov_base = (void *)(uintptr_t)record, .iov_len = size };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > POST_FDS)
		return -E2BIG;
	if (n_fds) {
		struct cmsghdr *c = &control.aligned;

		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(to, &m, MSG_NOSIGNAL | (now ? MSG_DONTWAIT : 0));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

static void keep(struct msghdr *m, int *fds, uint32_t *n_fds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const unsigned char *at = CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t left = c->cmsg_len - CMSG_LEN(0); left >= sizeof(int);
		     left -= sizeof(int), at += sizeof(int))
			memcpy(&fds[(*n_fds)++], at, sizeof(int));
	}
}

/*
 * One that ended without having read all that was sent to it is told once, as a reset, before what it had sent: its last
 * words come behind that.
 */
long post_take(int from, void *record, size_t size, int *fds, uint32_t *n_fds, int now)
{
	union control control;
	struct iovec v = { .iov_base = record, .iov_len = size };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	uint32_t got = 0;
	ssize_t n;

	if (fds) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	do
		n = recvmsg(from, &m, MSG_CMSG_CLOEXEC | (now ? MSG_DONTWAIT : 0));
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	if (fds)
		keep(&m, fds, &got);
	if (n_fds)
		*n_fds = got;
	if (n > 0 && (m.msg_flags & MSG_TRUNC)) {
		for (uint32_t i = 0; i < got; i++)
			close(fds[i]);
		if (n_fds)
			*n_fds = 0;
		return -EMSGSIZE;
	}
	memset((char *)record + n, 0, size - (size_t)n);
	return n;
}
