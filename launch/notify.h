/* SPDX-License-Identifier: MIT */
/* Telling a service manager how the run does: the protocol of sd_notify(3), which is one datagram. */
#ifndef BERTH_LAUNCH_NOTIFY_H
#define BERTH_LAUNCH_NOTIFY_H

#include <sys/un.h>

struct notify {
	struct sockaddr_un to; /* an empty path: nobody asked */
	unsigned int size;
};

/* From NOTIFY_SOCKET, which is then forgotten: a core has nothing to tell there. */
void notify_init(struct notify *n);

/* "READY=1", "STATUS=loading"; lines. */
void notify_send(const struct notify *n, const char *text);

#endif
