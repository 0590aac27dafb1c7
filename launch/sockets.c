/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "launch/sockets.h"

#define BACKLOG        256 /* clients that arrive while the core is between two accepts */
#define FIRST_FD       3   /* sd_listen_fds(3) */
#define UNIX_PREFIX    "unix:"
#define UNIX_PREFIX_N  (sizeof(UNIX_PREFIX) - 1)
#define SOCKET_MODE    0660
#define SPEC_EXPLAINED "give ADDRESS:PORT with a numeric address, or unix:/PATH"

static int parse_local(struct socket_place *p, const char *path, struct err *e)
{
	p->local = p->loopback = true;
	if (path[0] != '/')
		return err_set(e, -EINVAL, "unix:%s is no absolute path", path);
	if (!text_copy(p->path, sizeof(p->path), path))
		return err_set(e, -EINVAL, "%s is too long for a socket; at most %zu bytes", path,
			       sizeof(p->path) - 1);
	return 0;
}

static bool is_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

int socket_place_parse(struct socket_place *p, const char *spec, struct err *e)
{
	const char *colon = strrchr(spec, ':');
	unsigned char address[sizeof(struct in6_addr)];
	size_t n = colon ? (size_t)(colon - spec) : 0;
	uint64_t port;

	memset(p, 0, sizeof(*p));
	if (strncmp(spec, UNIX_PREFIX, UNIX_PREFIX_N) == 0)
		return parse_local(p, spec + UNIX_PREFIX_N, e);
	if (!colon || text_parse_u64(colon + 1, &port) || port > UINT16_MAX)
		return err_set(e, -EINVAL, "'%s' has no port; " SPEC_EXPLAINED, spec);
	p->port = (uint16_t)port;
	if (n > 2 && spec[0] == '[' && spec[n - 1] == ']') {
		spec++;
		n -= 2;
	} else if (memchr(spec, ':', n)) {
		return err_set(e, -EINVAL, "an IPv6 address stands in brackets: [%.*s]:%u", (int)n,
			       spec, p->port);
	}
	snprintf(p->host, sizeof(p->host), "%.*s", (int)n, n ? spec : "");
	if (n == 0 || strcmp(p->host, "localhost") == 0)
		text_copy(p->host, sizeof(p->host), "127.0.0.1");
	if (inet_pton(AF_INET, p->host, address) != 1 && inet_pton(AF_INET6, p->host, address) != 1)
		return err_set(e, -EINVAL, "'%s' is no address; " SPEC_EXPLAINED, p->host);
	p->loopback = is_loopback(p->host);
	return 0;
}

/* The address as it is bound, port and all. */
static void describe(struct listener *l)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
		struct sockaddr_un local;
	} a = { 0 };
	socklen_t n = sizeof(a);
	char host[INET6_ADDRSTRLEN] = "";

	text_copy(l->address, sizeof(l->address), "a socket that was handed over");
	if (getsockname(l->fd, &a.any, &n) < 0)
		return;
	if (a.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a.four.sin_addr, host, sizeof(host));
		snprintf(l->address, sizeof(l->address), "%s:%u", host, ntohs(a.four.sin_port));
	} else if (a.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a.six.sin6_addr, host, sizeof(host));
		snprintf(l->address, sizeof(l->address), "[%s]:%u", host, ntohs(a.six.sin6_port));
	} else if (a.any.sa_family == AF_UNIX && a.local.sun_path[0]) {
		snprintf(l->address, sizeof(l->address), UNIX_PREFIX "%.*s",
			 (int)sizeof(a.local.sun_path) - 1, a.local.sun_path);
	}
}

static int bind_inet(int fd, const struct socket_place *p)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(p->port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
	int yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (inet_pton(AF_INET, p->host, &four.sin_addr) == 1)
		return bind(fd, (struct sockaddr *)&four, sizeof(four));
	inet_pton(AF_INET6, p->host, &six.sin6_addr);
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	return bind(fd, (struct sockaddr *)&six, sizeof(six));
}

/* A socket that nobody listens at any more is in the way for ever: only then it is removed. */
static void remove_stale(const struct sockaddr_un *a)
{
	struct stat st;
	own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED)
		unlink(a->sun_path);
}

static int bind_local(int fd, const struct socket_place *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t before;
	int rc;

	text_copy(a.sun_path, sizeof(a.sun_path), p->path);
	remove_stale(&a);
	before = umask(~SOCKET_MODE & 0777); /* from the first moment on */
	rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(before);
	return rc;
}

static int open_listener(struct listener *l, const struct socket_place *p)
{
	int family = p->local ? AF_UNIX : strchr(p->host, ':') ? AF_INET6 : AF_INET;
	own_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || (p->local ? bind_local(fd, p) : bind_inet(fd, p)) < 0)
		return -errno;
	l->ours = p->local;
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	l->fd = take_fd(&fd);
	describe(l);
	return 0;
}

int sockets_add(struct sockets *s, const char *name, const char *spec, struct err *e)
{
	struct listener *l = &s->list[s->n];
	struct socket_place p;
	int rc = socket_place_parse(&p, spec, e);

	if (rc)
		return rc;
	if (s->n == SOCKETS_MAX)
		return err_set(e, -EINVAL, "at most %d places to listen at", SOCKETS_MAX);
	*l = (struct listener) { .fd = -1 };
	text_copy(l->name, sizeof(l->name), name);
	rc = open_listener(l, &p);
	if (rc == -EADDRINUSE)
		return err_set(e, -EACCES,
			       "%s is in use by another program; choose another with --listen",
			       spec);
	if (rc)
		return err_set(e, -EACCES, "cannot listen at %s: %s", spec, strerror(-rc));
	s->n++;
	return 0;
}

static int take_inherited(struct sockets *s, int fd, const char *name, size_t n_name, struct err *e)
{
	struct listener *l = &s->list[s->n];
	int listening = 0;
	socklen_t n = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0 || !listening)
		return err_set(e, -EINVAL,
			       "descriptor %d, handed over by LISTEN_FDS, is no listening socket",
			       fd);
	*l = (struct listener) { .fd = fd };
	snprintf(l->name, sizeof(l->name), "%s",
		 n_name == 6 && strncmp(name, "ollama", 6) == 0 ? "ollama" : "openai");
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	describe(l);
	s->n++;
	return 0;
}

int sockets_inherit(struct sockets *s, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"),
		   *names = getenv("LISTEN_FDNAMES");
	uint64_t who, count = 0;
	int rc = 0;

	if (!pid || !fds || text_parse_u64(pid, &who) || who != (uint64_t)getpid())
		return 0;
	if (text_parse_u64(fds, &count) || count > SOCKETS_MAX)
		return err_set(e, -EINVAL, "LISTEN_FDS=%s is not a number up to %d", fds,
			       SOCKETS_MAX);
	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		size_t n = names ? strcspn(names, ":") : 0;

		rc = take_inherited(s, FIRST_FD + (int)i, names ? names : "", n, e);
		names = names && names[n] ? names + n + 1 : NULL;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return rc ? rc : (int)count;
}

void sockets_close(struct sockets *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct listener *l = &s->list[i];

		if (l->ours)
			unlink(l->address + UNIX_PREFIX_N);
		own_close_fd(&l->fd);
	}
	s->n = 0;
}
