/* SPDX-License-Identifier: MIT */
#include "core/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"

#define FIRST_FD 3 /* systemd's SD_LISTEN_FDS_START */
#define BACKLOG  128

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

/* Fill where and local from the socket itself. */
static int describe(struct listening *s, struct err *e)
{
	union address a = { .any.sa_family = AF_UNSPEC };
	socklen_t n = sizeof(a), one = sizeof(int);
	char text[INET6_ADDRSTRLEN];
	int listens = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &one) < 0 || !listens ||
	    getsockname(s->fd, &a.any, &n) < 0)
		return err_set(e, -EBADF, "descriptor %d is no listening socket", s->fd);
	switch (a.any.sa_family) {
	case AF_INET:
		s->local = ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
		inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof(text));
		snprintf(s->where, sizeof(s->where), "%s:%u", text, ntohs(a.v4.sin_port));
		break;
	case AF_INET6:
		s->local = IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
		inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof(text));
		snprintf(s->where, sizeof(s->where), "[%s]:%u", text, ntohs(a.v6.sin6_port));
		break;
	case AF_UNIX:
		s->local = true;
		snprintf(s->where, sizeof(s->where), "unix:%.107s", a.local.sun_path);
		break;
	default:
		return err_set(e, -EAFNOSUPPORT, "descriptor %d is a socket of another world",
			       s->fd);
	}
	if (s->ollama && !s->local)
		return err_set(
			e, -EACCES,
			"Ollama's API asks for no key and never listens beyond loopback, not "
			"on %s",
			s->where);
	return 0;
}

/* The i-th of the names with colons between. */
static bool is_named(const char *names, uint32_t i, const char *want)
{
	while (names && i-- > 0) {
		names = strchr(names, ':');
		names += names != NULL;
	}
	return names && strcspn(names, ":") == strlen(want) &&
	       strncmp(names, want, strlen(want)) == 0;
}

int sockets_inherit(struct listening out[SOCKETS_MAX], uint32_t *n, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t whose, count;
	int rc = 0;

	if (!pid || !fds || text_parse_u64(pid, &whose) || whose != (uint64_t)getpid())
		return 0;
	if (text_parse_u64(fds, &count) || count > SOCKETS_MAX - *n)
		return err_set(e, -EINVAL, "LISTEN_FDS is \"%.20s\"; at most %u sockets are taken",
			       fds, SOCKETS_MAX - *n);
	for (uint32_t i = 0; i < count && rc == 0; i++) {
		struct listening *s = &out[*n];

		*s = (struct listening) { .fd = FIRST_FD + (int)i,
					  .ollama = is_named(names, i, "ollama") };
		rc = describe(s, e);
		if (rc == 0 && fcntl(s->fd, F_SETFD, FD_CLOEXEC) == 0)
			(*n)++;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return rc;
}

/* A path whose server is gone may be taken over; one that answers may not. */
static int remove_stale(const union address *a)
{
	own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (lstat(a->local.sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode) || fd < 0 || connect(fd, &a->any, sizeof(a->local)) == 0 ||
	    errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(a->local.sun_path) ? -errno : 0;
}

static int bind_local(struct listening *s, const char *path, union address *a)
{
	mode_t mask;
	int rc;

	*a = (union address) { .local.sun_family = AF_UNIX };
	if (!*path || !text_copy(a->local.sun_path, sizeof(a->local.sun_path), path))
		return -ENAMETOOLONG;
	rc = remove_stale(a);
	if (rc)
		return rc;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	mask = umask(0177); /* nobody else, from the first moment */
	rc = bind(s->fd, &a->any, sizeof(a->local)) ? -errno : 0;
	umask(mask);
	if (rc == 0)
		text_copy(s->made, sizeof(s->made), path);
	return rc;
}

static int parse_address(const char *where, union address *a)
{
	char host[64];
	const char *colon = strrchr(where, ':');
	size_t n = colon ? (size_t)(colon - where) : 0;
	uint64_t port;

	if (!colon || n == 0 || n >= sizeof(host) || text_parse_u64(colon + 1, &port) ||
	    port > 65535)
		return -EINVAL;
	if (where[0] == '[' && where[n - 1] == ']') {
		memcpy(host, where + 1, n - 2);
		host[n - 2] = 0;
		*a = (union address) { .v6.sin6_family = AF_INET6 };
		a->v6.sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	memcpy(host, where, n);
	host[n] = 0;
	*a = (union address) { .v4.sin_family = AF_INET };
	a->v4.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
			 &a->v4.sin_addr) == 1
		       ? 0
		       : -EINVAL;
}

static int bind_address(struct listening *s, const union address *a)
{
	int on = 1;

	s->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(s->fd, &a->any, a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4))
		       ? -errno
		       : 0;
}

int sockets_open(struct listening out[SOCKETS_MAX], uint32_t *n, const char *where, bool ollama,
		 struct err *e)
{
	struct listening *s = &out[*n];
	union address a;
	int rc;

	if (*n == SOCKETS_MAX)
		return err_set(e, -E2BIG, "at most %d sockets are taken", SOCKETS_MAX);
	*s = (struct listening) { .fd = -1, .ollama = ollama };
	if (strncmp(where, "unix:", 5) == 0) {
		rc = bind_local(s, where + 5, &a);
	} else {
		rc = parse_address(where, &a);
		if (rc)
			return err_set(
				e, rc,
				"cannot listen on \"%s\"; give ADDRESS:PORT with a number for an "
				"address, or unix:PATH",
				where);
		rc = bind_address(s, &a);
	}
	if (rc == 0 && listen(s->fd, BACKLOG) < 0)
		rc = -errno;
	if (rc == 0)
		rc = describe(s, e);
	else
		err_set(e, rc, "cannot listen on %s: %s", where, strerror(-rc));
	if (rc)
		sockets_close(s, 1);
	else
		(*n)++;
	return rc;
}

void sockets_close(struct listening *sockets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (sockets[i].made[0])
			unlink(sockets[i].made);
		own_close_fd(&sockets[i].fd);
	}
}
