/* SPDX-License-Identifier: MIT */
#include "core/guard.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

/*
 * The name in front of an optional port, without brackets and the dot of the root; false: this is no
 * host.
 */
static bool host_name(const char *host, char *name, size_t size)
{
	size_t n = strcspn(host, ":"), skip = 0;
	const char *port;

	if (host[0] == '[') {
		n = strcspn(host, "]");
		if (host[n] != ']')
			return false;
		skip = 1;
		port = host + n + 1;
	} else {
		port = host + n;
	}
	if (n <= skip || n - skip >= size)
		return false;
	if (*port && (*port != ':' || port[1 + strspn(port + 1, "0123456789")]))
		return false;
	memcpy(name, host + skip, n - skip);
	n -= skip;
	n -= !skip && n > 1 && name[n - 1] == '.';
	name[n] = 0;
	return true;
}

static bool is_loopback(const char *name)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (strcasecmp(name, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool guard_host(const char *host, const char *const *allowed, size_t n_allowed)
{
	char name[256];

	if (!host || !host_name(host, name, sizeof(name)))
		return false;
	for (size_t i = 0; i < n_allowed; i++) {
		if (strcasecmp(name, allowed[i]) == 0)
			return true;
	}
	return is_loopback(name);
}

bool guard_origin(const char *origin, const char *const *allowed, size_t n_allowed)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i]);

		if (strncasecmp(origin, schemes[i], n) == 0)
			return guard_host(origin + n, allowed, n_allowed);
	}
	return false;
}

bool guard_key(const char *authorization, const char *key)
{
	size_t n = strlen(key), m;
	volatile unsigned char differs;
	const char *given;

	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	given = authorization + 7;
	given += strspn(given, " ");
	m = strlen(given);
	/* As many steps as the client's text has, and none depends on what the key is */
	differs = m != n;
	for (size_t i = 0; i < m; i++)
		differs |= (unsigned char)given[i] ^ (unsigned char)key[i % n];
	return differs == 0;
}

int guard_read_key(const char *path, char key[GUARD_KEY_MAX + 1], struct err *e)
{
	char text[GUARD_KEY_MAX + 3] = "";
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	long n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "the key file %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "the key file %s is no regular file", path);
	if (st.st_mode & 077)
		return err_set(e, -EACCES,
			       "the key file %s can be read by others than its owner; chmod 600 it",
			       path);
	n = io_read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_set(e, (int)n, "the key file %s: %s", path, strerror((int)-n));
	text_trim(text);
	n = (long)strlen(text);
	for (long i = 0; i < n; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			n = 0;
	}
	if (n < GUARD_KEY_MIN || n > GUARD_KEY_MAX)
		return err_set(e, -EBADMSG, "the key file %s must hold %d to %d visible characters",
			       path, GUARD_KEY_MIN, GUARD_KEY_MAX);
	memcpy(key, text, (size_t)n + 1);
	return 0;
}
