/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/own.h"
#include "launch/notify.h"

void notify_init(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	memset(n, 0, sizeof(*n));
	if (len > 1 && len < sizeof(n->to.sun_path) && (path[0] == '/' || path[0] == '@')) {
		n->to.sun_family = AF_UNIX;
		memcpy(n->to.sun_path, path, len);
		if (path[0] == '@') /* an abstract name */
			n->to.sun_path[0] = 0;
		n->size = (unsigned int)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	unsetenv("NOTIFY_SOCKET");
}

void notify_send(const struct notify *n, const char *text)
{
	if (n->size == 0)
		return;
	own_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0)
		sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->to,
		       n->size);
}
