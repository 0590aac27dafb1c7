/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/control.h"

int control_init(struct control *c, int fd, struct err *e)
{
	sigset_t set;

	*c = (struct control) { .fd = fd, .wake_fd = -1, .go = fd < 0 };
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signal_fd < 0)
		return err_set(e, -errno, "no descriptor for signals: %s", strerror(errno));
	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		return 0;
	c->fd = -1; /* nobody there to be told: the terminal is */
	return err_set(e, -EBADF, "--control-fd %d is not an open descriptor", fd);
}

void control_fini(struct control *c)
{
	if (c->signal_fd >= 0)
		close(c->signal_fd);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = c->signal_fd = -1;
}

void control_send(struct control *c, json_t *event)
{
	char *text = c->fd >= 0 ? json_dumps(event, JSON_COMPACT) : NULL;
	size_t n = text ? strlen(text) : 0, sent = 0;

	json_decref(event);
	if (text)
		text[n++] = '\n'; /* in place of the NUL: only n bytes are sent */
	while (sent < n) {
		ssize_t w = write(c->fd, text + sent, n - sent);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			break;
		sent += (size_t)w;
	}
	free(text);
}

static void take_byte(struct control *c, char byte)
{
	if (byte != '\n') {
		if (c->len < sizeof(c->line) - 1)
			c->line[c->len++] = byte;
		return;
	}
	c->line[c->len] = 0;
	c->len = 0;
	if (strcmp(c->line, "go") == 0)
		c->go = true;
	else if (strcmp(c->line, "stop") == 0)
		c->stop = true;
}

static void take_bytes(struct control *c)
{
	char buf[128];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		c->stop = true;
	for (ssize_t i = 0; i < n; i++)
		take_byte(c, buf[i]);
}

void control_poll(struct control *c, int timeout_ms)
{
	/* poll passes over negative descriptors */
	struct pollfd p[3] = { { c->signal_fd, POLLIN, 0 },
			       { c->fd, POLLIN, 0 },
			       { c->wake_fd, POLLIN, 0 } };
	struct signalfd_siginfo info;

	if (c->stop || poll(p, 3, timeout_ms) <= 0)
		return;
	if (p[0].revents && read(c->signal_fd, &info, sizeof(info)) > 0)
		c->stop = true;
	if (c->fd >= 0 && p[1].revents)
		take_bytes(c);
}
