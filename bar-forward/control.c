/* SPDX-License-Identifier: MIT */
#include "bar-forward/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bar-forward/whichbridge.h"
#include "base/own.h"
#include "base/text.h"

#define SCHEMA    "berth.bridge.control/1"
#define ANSWER_MS 10000

static int address(struct sockaddr_un *a, const char *path, struct err *e)
{
	*a = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if (!text_copy(a->sun_path, sizeof(a->sun_path), path))
		return err_set(
			e, -ENAMETOOLONG,
			"%s is too long for a socket; set BERTH_RUNTIME_DIR to a shorter path",
			path);
	return 0;
}

/* --- the bridge --- */

int control_open(struct control *c, const char *page, struct err *e)
{
	struct sockaddr_un at;
	mode_t before;
	int rc;

	c->fd = -1;
	whichbridge_beside(c->path, page, ".ctl");
	rc = address(&at, c->path, e);
	if (rc)
		return rc;
	unlink(c->path); /* of a process of the same number that was killed */
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	before = umask(0177);
	rc = c->fd < 0 || bind(c->fd, (struct sockaddr *)&at, sizeof(at)) || listen(c->fd, 4)
		     ? -errno
		     : 0;
	umask(before);
	if (rc)
		own_close_fd(&c->fd);
	return rc ? err_set(e, rc, "cannot listen at %s: %s", c->path, strerror(-rc)) : 0;
}

void control_close(struct control *c)
{
	if (c->fd >= 0 && c->path[0])
		unlink(c->path);
	if (c->path[0])
		own_close_fd(&c->fd);
	c->path[0] = '\0';
}

static bool may_ask(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
	       (who.uid == geteuid() || who.uid == 0);
}

static void take_fds(struct msghdr *m, struct control_ask *a)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (a->n_fds < CONTROL_FDS_MAX)
				a->fds[a->n_fds++] = fd;
			else
				close(fd);
		}
	}
}

static int take_question(int fd, struct control_ask *a, struct err *e)
{
	union {
		char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
		struct cmsghdr aligned;
	} room;
	char bytes[CONTROL_BYTES_MAX];
	struct iovec v = { bytes, sizeof(bytes) };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = room.bytes,
			    .msg_controllen = sizeof(room.bytes) };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, CONTROL_MS) == 1 ? recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)
						 : -1;

	if (n <= 0)
		return err_set(e, -EPROTO, "nothing was asked");
	take_fds(&m, a);
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return err_set(e, -EMSGSIZE, "the question is too long");
	a->what = json_parse(bytes, (size_t)n, "the question", e);
	return a->what ? 0 : -EBADMSG;
}

static void answer(int fd, int rc, const struct err *e)
{
	json_t *o = json_answer(SCHEMA);
	char *text;

	json_put_bool(o, "done", rc == 0);
	if (rc) {
		json_put_int(o, "errno", -rc);
		json_put_text(o, "why", e->text);
	}
	text = json_dumps(o, JSON_COMPACT);
	if (text)
		send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	free(text);
	json_decref(o);
}

void control_serve(struct control *c, int (*act)(void *arg, struct control_ask *a, struct err *e),
		   void *arg)
{
	own_fd int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
	struct control_ask a = { 0 };
	struct err e = { 0 };
	int rc;

	if (fd < 0 || !may_ask(fd))
		return;
	rc = take_question(fd, &a, &e);
	if (!rc)
		rc = act(arg, &a, &e);
	answer(fd, rc, &e);
	for (uint32_t i = 0; i < a.n_fds; i++)
		own_close_fd(&a.fds[i]);
	json_decref(a.what);
}

/* --- who asks --- */

static int send_question(int fd, const json_t *what, int with, struct err *e)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} room = { 0 };
	own_free char *text = json_dumps(what, JSON_COMPACT);
	struct iovec v = { text, text ? strlen(text) : 0 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	if (with >= 0) {
		m.msg_control = room.bytes;
		m.msg_controllen = sizeof(room.bytes);
		room.aligned = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof(int)),
						  .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&room.aligned), &with, sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) < 0
		       ? err_set(e, -errno, "cannot ask the bridge: %s", strerror(errno))
		       : 0;
}

static int take_answer(int fd, struct err *e)
{
	char bytes[CONTROL_BYTES_MAX], why[512];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, ANSWER_MS) == 1 ? recv(fd, bytes, sizeof(bytes), 0) : -1;
	json_t *o;
	int rc = 0;

	if (n <= 0)
		return err_set(e, -EBUSY, "the bridge does not answer");
	o = json_parse(bytes, (size_t)n, "the bridge's answer", e);
	if (!o)
		return -EBADMSG;
	if (!json_is_true(json_object_get(o, "done"))) {
		json_int_t number = json_integer_value(json_object_get(o, "errno"));

		json_get_text(o, "why", why, sizeof(why));
		rc = err_set(e, number > 0 && number < 4096 ? -(int)number : -EIO,
			     "the bridge says: %s", why);
	}
	json_decref(o);
	return rc;
}

int control_ask(const char *page, const json_t *what, int with, struct err *e)
{
	own_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	char path[BRIDGE_PATH_MAX];
	int rc = address(&at, whichbridge_beside(path, page, ".ctl"), e);

	if (rc)
		return rc;
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return err_set(e, -errno, "cannot ask the bridge at %s: %s", path, strerror(errno));
	rc = send_question(fd, what, with, e);
	return rc ? rc : take_answer(fd, e);
}
