/* SPDX-License-Identifier: MIT */
#include "core/relay.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"

/* One end of a connection; its twin is the other. */
struct side {
	int fd; /* -1: closed */
	struct link *link;
	uint32_t asked; /* of epoll */
	bool ended;     /* it sends no more */
	bool shut;      /* we send it no more */
	size_t at, n;   /* bytes that came from it and wait for its twin: held[at .. at+n) */
	char held[RELAY_BUFFER];
};

struct link {
	bool used;
	struct side sides[2];
};

struct relay {
	int epoll;
	struct sockaddr_un to;
	uint32_t n_listeners, n_links;
	int listeners[RELAY_LISTENERS_MAX];
	bool full; /* nothing is accepted meanwhile */
	struct link links[RELAY_MAX];
};

static void watch_listeners(struct relay *r, bool on)
{
	r->full = !on;
	for (uint32_t i = 0; i < r->n_listeners; i++) {
		struct epoll_event ev = { .events = on ? EPOLLIN : 0,
					  .data.ptr = &r->listeners[i] };

		epoll_ctl(r->epoll, EPOLL_CTL_MOD, r->listeners[i], &ev);
	}
}

static struct side *twin(struct side *s)
{
	return &s->link->sides[s == &s->link->sides[0]];
}

static void drop(struct relay *r, struct link *l)
{
	own_close_fd(&l->sides[0].fd); /* epoll forgets them */
	own_close_fd(&l->sides[1].fd);
	l->used = false;
	r->n_links--;
	if (r->full)
		watch_listeners(r, true);
}

/* Read only where there is room, ask for room only where something waits. */
static void ask(struct relay *r, struct side *s)
{
	uint32_t want = (!s->ended && s->n == 0 ? EPOLLIN : 0) | (twin(s)->n ? EPOLLOUT : 0);
	struct epoll_event ev = { .events = want, .data.ptr = s };

	if (want == s->asked)
		return;
	s->asked = want;
	epoll_ctl(r->epoll, EPOLL_CTL_MOD, s->fd, &ev);
}

/* What came from s goes to its twin. false: the connection is broken. */
static bool push(struct side *s)
{
	struct side *to = twin(s);

	while (s->n) {
		ssize_t n = send(to->fd, s->held + s->at, s->n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		s->at += (size_t)n;
		s->n -= (size_t)n;
	}
	if (s->ended && !to->shut) {
		to->shut = true;
		shutdown(to->fd, SHUT_WR);
	}
	return true;
}

static bool pull(struct side *s)
{
	ssize_t n = recv(s->fd, s->held, sizeof(s->held), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	s->ended = n == 0;
	s->at = 0;
	s->n = (size_t)n;
	return push(s);
}

static void on_side(struct relay *r, struct side *s, uint32_t events)
{
	struct link *l = s->link;
	bool good = !(events & EPOLLERR);

	/* A peer that is gone altogether wants no answer any more: the server must hear of it. */
	if ((events & EPOLLHUP) && s == &l->sides[0])
		good = false;
	if (good && (events & (EPOLLIN | EPOLLHUP)) && !s->ended && s->n == 0)
		good = pull(s);
	if (good && (events & EPOLLOUT))
		good = push(twin(s));
	if (!good || (l->sides[0].ended && l->sides[1].ended && !l->sides[0].n && !l->sides[1].n) ||
	    (l->sides[1].ended && !l->sides[1].n)) {
		drop(r, l);
		return;
	}
	ask(r, &l->sides[0]);
	ask(r, &l->sides[1]);
}

static int connect_server(const struct relay *r)
{
	own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&r->to, sizeof(r->to)) < 0)
		return -1;
	return take_fd(&fd);
}

static void add_link(struct relay *r, int client, int server)
{
	struct link *l = r->links;

	while (l->used)
		l++;
	l->used = true;
	r->n_links++;
	for (int i = 0; i < 2; i++) {
		struct side *s = &l->sides[i];
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

		s->fd = i ? server : client;
		s->link = l;
		s->asked = EPOLLIN;
		s->ended = s->shut = false;
		s->at = s->n = 0;
		epoll_ctl(r->epoll, EPOLL_CTL_ADD, s->fd, &ev);
	}
	if (r->n_links == RELAY_MAX)
		watch_listeners(r, false);
}

static void on_listener(struct relay *r, int listener)
{
	own_fd int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	own_fd int server = client >= 0 ? connect_server(r) : -1;

	if (client >= 0 && server >= 0)
		add_link(r, take_fd(&client), take_fd(&server));
}

int relay_open(struct relay **r, const char *path, struct err *e)
{
	struct relay *m = calloc(1, sizeof(*m));

	*r = NULL;
	if (!m)
		return err_set(e, -ENOMEM, "no memory");
	for (int i = 0; i < RELAY_MAX; i++)
		m->links[i].sides[0].fd = m->links[i].sides[1].fd = -1;
	m->to.sun_family = AF_UNIX;
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll < 0 || !text_copy(m->to.sun_path, sizeof(m->to.sun_path), path)) {
		int rc = m->epoll < 0 ? -errno : -ENAMETOOLONG;

		own_close_fd(&m->epoll);
		free(m);
		return err_set(e, rc, "the way to %s: %s", path, strerror(-rc));
	}
	*r = m;
	return 0;
}

int relay_listen(struct relay *r, int fd, struct err *e)
{
	if (r->n_listeners == RELAY_LISTENERS_MAX)
		return err_set(e, -EMFILE, "too many sockets");
	int *slot = &r->listeners[r->n_listeners];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = slot };

	*slot = fd;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
	    epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_set(e, -errno, "a socket that was handed over: %s", strerror(errno));
	r->n_listeners++;
	return 0;
}

int relay_fd(const struct relay *r)
{
	return r->epoll;
}

void relay_step(struct relay *r)
{
	/* One at a time: handling one may close what a later event of the same batch is about */
	for (int i = 0; i < 64; i++) {
		struct epoll_event ev;

		if (epoll_wait(r->epoll, &ev, 1, 0) <= 0)
			return;
		int *listener = ev.data.ptr;

		if (listener >= r->listeners && listener < r->listeners + RELAY_LISTENERS_MAX)
			on_listener(r, *listener);
		else
			on_side(r, ev.data.ptr, ev.events);
	}
}

void relay_close(struct relay *r)
{
	if (!r)
		return;
	for (int i = 0; i < RELAY_MAX; i++) {
		own_close_fd(&r->links[i].sides[0].fd);
		own_close_fd(&r->links[i].sides[1].fd);
	}
	close(r->epoll);
	free(r);
}
