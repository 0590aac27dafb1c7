/* SPDX-License-Identifier: MIT */
#include "core/peer.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"

#define ESTABLISHED 1 /* TCP_ESTABLISHED: of one that is closing the kernel tells nobody's uid */
#define ANSWER_US   200000

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static bool is_loopback(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static void put_end(const union address *a, __be32 address[4], __be16 *port)
{
	if (a->any.sa_family == AF_INET) {
		address[0] = a->v4.sin_addr.s_addr;
		*port = a->v4.sin_port;
	} else {
		memcpy(address, &a->v6.sin6_addr, sizeof(a->v6.sin6_addr));
		*port = a->v6.sin6_port;
	}
}

/* sock_diag(7): about the socket whose own end is `theirs`. The answer's length, or -1. */
static ssize_t ask_kernel(const union address *theirs, const union address *ours, char *buf,
			  size_t size)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} q = { .h = { .nlmsg_len = sizeof(q),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST },
		.r = { .sdiag_family = (__u8)theirs->any.sa_family,
		       .sdiag_protocol = IPPROTO_TCP,
		       .idiag_states = UINT32_MAX,
		       .id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } };
	const struct timeval wait = { .tv_usec = ANSWER_US };
	own_fd int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	put_end(theirs, q.r.id.idiag_src, &q.r.id.idiag_sport);
	put_end(ours, q.r.id.idiag_dst, &q.r.id.idiag_dport);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    send(fd, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		return -1;
	return recv(fd, buf, size, 0);
}

static struct peer local_user(const union address *theirs, const union address *ours)
{
	_Alignas(struct nlmsghdr) char buf[1024];
	ssize_t n = ask_kernel(theirs, ours, buf, sizeof(buf));
	struct inet_diag_msg m;
	struct nlmsghdr h;

	/* Where the kernel cannot be asked, nobody is told apart */
	if (n < (ssize_t)NLMSG_HDRLEN)
		return (struct peer) { PEER_USER, geteuid() };
	if (n < (ssize_t)(NLMSG_HDRLEN + sizeof(m)))
		return (struct peer) { PEER_UNKNOWN, 0 };
	memcpy(&h, buf, sizeof(h));
	memcpy(&m, buf + NLMSG_HDRLEN, sizeof(m));
	if (h.nlmsg_type != SOCK_DIAG_BY_FAMILY || m.idiag_state != ESTABLISHED)
		return (struct peer) { PEER_UNKNOWN, 0 };
	return (struct peer) { PEER_USER, m.idiag_uid };
}

struct peer peer_of(int fd)
{
	union address theirs = { .any.sa_family = AF_UNSPEC }, ours = theirs;
	socklen_t n = sizeof(theirs), k = sizeof(ours), m = sizeof(struct ucred);
	struct ucred user;
	uint64_t half;

	if (getsockname(fd, &ours.any, &k) < 0)
		return (struct peer) { PEER_UNKNOWN, 0 };
	if (ours.any.sa_family == AF_UNIX) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &m) < 0)
			return (struct peer) { PEER_UNKNOWN, 0 };
		return (struct peer) { PEER_USER, user.uid };
	}
	if (getpeername(fd, &theirs.any, &n) < 0 ||
	    (theirs.any.sa_family != AF_INET && theirs.any.sa_family != AF_INET6))
		return (struct peer) { PEER_UNKNOWN, 0 };
	if (is_loopback(&theirs))
		return local_user(&theirs, &ours);
	if (theirs.any.sa_family == AF_INET)
		return (struct peer) { PEER_V4, theirs.v4.sin_addr.s_addr };
	if (IN6_IS_ADDR_V4MAPPED(&theirs.v6.sin6_addr)) {
		uint32_t v4;

		memcpy(&v4, &theirs.v6.sin6_addr.s6_addr[12], sizeof(v4));
		return (struct peer) { PEER_V4, v4 };
	}
	memcpy(&half, &theirs.v6.sin6_addr, sizeof(half));
	return (struct peer) { PEER_V6, half };
}

bool peer_is_same(const struct peer *a, const struct peer *b)
{
	return a->kind == b->kind && a->id == b->id;
}

bool peer_is_owner(const struct peer *p)
{
	return p->kind == PEER_USER && (p->id == 0 || p->id == geteuid());
}
