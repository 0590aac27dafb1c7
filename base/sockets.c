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
#include "base/sockets.h"
#include "base/text.h"

#define BACKLOG        256 /* clients that arrive while the core is between two accepts */
#define FIRST_FD       3   /* sd_listen_fds(3) */
#define UNIX_PREFIX    "unix:"
#define UNIX_PREFIX_N  (sizeof(UNIX_PREFIX) - 1)
#define SOCKET_MODE    0600 /* who wants others to come has a service manager make the socket */
#define SPEC_EXPLAINED "give ADDRESS:PORT with a numeric address, or unix:/PATH"

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	struct sockaddr_un local;
};

const char *socket_speaks(const struct listening *l)
{
	return l->ollama ? "ollama" : "openai";
}

/* --- places --- */

static int parse_local(struct socket_place *p, const char *path, struct err *e)
{
	p->local = true;
	if (path[0] != '/')
		return err_set(e, -EINVAL, "unix:%s is no absolute path", path);
	if (!text_copy(p->path, sizeof(p->path), path))
		return err_set(e, -EINVAL, "%s is too long for a socket; at most %zu bytes", path,
			       sizeof(p->path) - 1);
	return 0;
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
	if (!colon)
		return err_set(e, -EINVAL, "'%s' has no port; " SPEC_EXPLAINED, spec);
	if (text_parse_u64(colon + 1, &port) || port > UINT16_MAX)
		return err_set(e, -EINVAL, "'%s' is no port, which is 0 to 65535; " SPEC_EXPLAINED,
			       colon + 1);
	p->port = (uint16_t)port;
	if (n > 2 && spec[0] == '[' && spec[n - 1] == ']') {
		spec++;
		n -= 2;
	} else if (memchr(spec, ':', n)) {
		return err_set(e, -EINVAL, "an IPv6 address stands in brackets: [%.*s]:%u", (int)n,
			       spec, p->port);
	}
	/* What is cut short is no address any more: none is that long */
	snprintf(p->host, sizeof(p->host), "%.*s", (int)n, spec);
	if (n == 0 || strcmp(p->host, "localhost") == 0)
		text_copy(p->host, sizeof(p->host), "127.0.0.1");
	if (inet_pton(AF_INET, p->host, address) != 1 && inet_pton(AF_INET6, p->host, address) != 1)
		return err_set(e, -EINVAL, "'%s' is no address; " SPEC_EXPLAINED, p->host);
	return 0;
}

/* Fill where and local from the socket itself: the port is the one that it got. */
static int describe(struct listening *l, struct err *e)
{
	union address a = { .any.sa_family = AF_UNSPEC };
	socklen_t n = sizeof(a);
	char host[INET6_ADDRSTRLEN] = "";

	if (getsockname(l->fd, &a.any, &n) < 0)
		return err_set(e, -EINVAL, "descriptor %d: %s", l->fd, strerror(errno));
	switch (a.any.sa_family) {
	case AF_INET:
		l->local = ntohl(a.four.sin_addr.s_addr) >> 24 == 127;
		inet_ntop(AF_INET, &a.four.sin_addr, host, sizeof(host));
		snprintf(l->where, sizeof(l->where), "%s:%u", host, ntohs(a.four.sin_port));
		break;
	case AF_INET6:
		l->local = IN6_IS_ADDR_LOOPBACK(&a.six.sin6_addr);
		inet_ntop(AF_INET6, &a.six.sin6_addr, host, sizeof(host));
		snprintf(l->where, sizeof(l->where), "[%s]:%u", host, ntohs(a.six.sin6_port));
		break;
	case AF_UNIX:
		l->local = true;
		/* An abstract name begins with a NUL: it has no file */
		snprintf(l->where, sizeof(l->where), UNIX_PREFIX "%s%.*s",
			 a.local.sun_path[0] ? "" : "@", (int)sizeof(a.local.sun_path) - 1,
			 a.local.sun_path + !a.local.sun_path[0]);
		break;
	default:
		return err_set(e, -EINVAL, "descriptor %d is neither an IP nor a UNIX socket",
			       l->fd);
	}
	if (l->ollama && !l->local)
		return err_set(e, -EACCES,
			       "Ollama's API asks for no key and never listens beyond loopback, "
			       "not at %s",
			       l->where);
	return 0;
}

/* --- opening --- */

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

/* A socket that nobody listens at any more is in the way for ever: only then it is removed. One of another type is told so
 * without being connected: whoever listens would take us for a client, and some serve one alone. */
static void remove_stale(const struct sockaddr_un *a)
{
	struct stat st;
	own_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

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

static int open_listener(struct listening *l, const struct socket_place *p)
{
	int family = p->local ? AF_UNIX : strchr(p->host, ':') ? AF_INET6 : AF_INET;
	own_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || (p->local ? bind_local(fd, p) : bind_inet(fd, p)) < 0)
		return -errno;
	if (p->local)
		text_copy(l->made, sizeof(l->made), p->path);
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	l->fd = take_fd(&fd);
	return 0;
}

static void close_one(struct listening *l)
{
	if (l->made[0])
		unlink(l->made);
	own_close_fd(&l->fd);
}

/* Why nobody can listen where something is already: a socket that is listened at, or no socket at all. */
static int taken(const struct socket_place *p, const char *spec, struct err *e)
{
	struct stat st;
	bool other = p->local && lstat(p->path, &st) == 0 && !S_ISSOCK(st.st_mode);

	return err_set(
		e, -EACCES,
		other ? "%s is there already, and is no socket; choose another place to listen at"
		      : "%s is in use by another program; choose another place to listen at",
		spec);
}

int sockets_open(struct sockets *s, const char *spec, bool ollama, struct err *e)
{
	struct listening l = { .fd = -1, .ollama = ollama };
	struct socket_place p;
	int rc = socket_place_parse(&p, spec, e);

	if (rc)
		return rc;
	if (s->n == SOCKETS_MAX)
		return err_set(e, -EINVAL, "at most %d places to listen at", SOCKETS_MAX);
	rc = open_listener(&l, &p);
	if (rc == -EADDRINUSE)
		rc = taken(&p, spec, e);
	else if (rc)
		rc = err_set(e, -EACCES, "cannot listen at %s: %s", spec, strerror(-rc));
	else
		rc = describe(&l, e);
	if (rc) {
		close_one(&l);
		return rc;
	}
	s->list[s->n++] = l;
	return 0;
}

/* --- handed over --- */

static int take(struct sockets *s, int fd, const char *name, size_t n_name, struct err *e)
{
	struct listening l = { .fd = fd, .ollama = n_name == 6 && strncmp(name, "ollama", 6) == 0 };
	int listening = 0, rc;
	socklen_t n = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0 || !listening)
		return err_set(e, -EINVAL,
			       "descriptor %d, handed over by LISTEN_FDS, is no listening socket",
			       fd);
	rc = describe(&l, e);
	if (rc)
		return rc;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	s->list[s->n++] = l;
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
	if (text_parse_u64(fds, &count) || count > SOCKETS_MAX - s->n)
		return err_set(e, -EINVAL, "LISTEN_FDS is \"%.20s\", and no number up to %u", fds,
			       SOCKETS_MAX - s->n);
	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		size_t n = names ? strcspn(names, ":") : 0;

		rc = take(s, FIRST_FD + (int)i, names ? names : "", n, e);
		names = names && names[n] ? names + n + 1 : NULL;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return rc;
}

static bool any_ollama(const struct sockets *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->list[i].ollama)
			return true;
	return false;
}

int sockets_open_all(struct sockets *s, const char *const *places, uint32_t n, const char *ollama,
		     struct err *e)
{
	int rc = sockets_inherit(s, e);
	bool given = s->n > 0;

	for (uint32_t i = 0; rc == 0 && !given && i < n; i++)
		rc = sockets_open(s, places[i], false, e);
	if (rc == 0 && s->n == 0)
		rc = sockets_open(s, SOCKETS_DEFAULT, false, e);
	if (rc == 0 && ollama && !any_ollama(s))
		rc = sockets_open(s, ollama, true, e);
	if (rc)
		sockets_close(s);
	return rc;
}

void sockets_close(struct sockets *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		close_one(&s->list[i]);
	s->n = 0;
}
