/* SPDX-License-Identifier: MIT */
#include "core/conns.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

#define WATCH_MS   200
#define PRESSED_MS 2000 /* for who has not asked, when connections run out */

struct conn {
	struct conn *next, **slot;
	struct conns *all;
	int fd;
	int64_t since_ms;   /* it owes us a request since then; -1: it owes none */
	struct call *waits; /* with the engine, or its answer on the way */
};

struct conns {
	uint32_t max, client_s;
	atomic_bool stopping;
	pthread_t watcher;
	bool has_watcher;
	pthread_mutex_t lock; /* of all below, and of what the watcher looks at in them */
	struct conn *first;
	uint32_t n, n_waiting;
};

/* The client has closed its side: nobody reads the answer. */
static bool has_left(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void watch_once(struct conns *s, int64_t now)
{
	int64_t limit = (int64_t)s->client_s * 1000;

	pthread_mutex_lock(&s->lock);
	if (s->n >= s->max / 4 * 3 && limit > PRESSED_MS)
		limit = PRESSED_MS;
	for (struct conn *c = s->first; c; c = c->next) {
		if (c->waits && has_left(c->fd))
			call_cancel(c->waits);
		/* The library sees its end and frees it */
		if (!c->waits && c->since_ms >= 0 && now - c->since_ms > limit)
			shutdown(c->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&s->lock);
}

static void *watch(void *arg)
{
	struct conns *s = arg;

	while (!atomic_load(&s->stopping)) {
		watch_once(s, clock_ms());
		poll(NULL, 0, WATCH_MS);
	}
	return NULL;
}

int conns_open(struct conns **out, uint32_t max, uint32_t client_s)
{
	struct conns *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->max = max;
	s->client_s = client_s;
	atomic_init(&s->stopping, false);
	pthread_mutex_init(&s->lock, NULL);
	rc = pthread_create(&s->watcher, NULL, watch, s);
	s->has_watcher = rc == 0;
	if (rc)
		conns_close(s);
	else
		*out = s;
	return -rc;
}

void conns_close(struct conns *s)
{
	if (!s)
		return;
	if (s->has_watcher) {
		atomic_store(&s->stopping, true);
		pthread_join(s->watcher, NULL);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct conn *conn_add(struct conns *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct conn) { .all = s, .fd = fd, .since_ms = clock_ms() };
	pthread_mutex_lock(&s->lock);
	c->next = s->first;
	c->slot = &s->first;
	if (c->next)
		c->next->slot = &c->next;
	s->first = c;
	s->n++;
	pthread_mutex_unlock(&s->lock);
	return c;
}

void conn_remove(struct conn *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->all->lock);
	*c->slot = c->next;
	if (c->next)
		c->next->slot = c->slot;
	c->all->n--;
	pthread_mutex_unlock(&c->all->lock);
	free(c);
}

static void set(struct conn *c, int64_t since_ms, struct call *waits)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->all->lock);
	c->all->n_waiting += (waits != NULL);
	c->all->n_waiting -= (c->waits != NULL);
	c->since_ms = since_ms;
	c->waits = waits;
	pthread_mutex_unlock(&c->all->lock);
}

void conn_owes(struct conn *c)
{
	set(c, clock_ms(), NULL);
}

void conn_served(struct conn *c)
{
	if (c && !c->waits)
		set(c, -1, NULL);
}

void conn_waits(struct conn *c, struct call *call)
{
	set(c, -1, call);
}

bool conns_full(struct conns *s)
{
	pthread_mutex_lock(&s->lock);
	bool full = s->n > s->max;

	pthread_mutex_unlock(&s->lock);
	return full;
}

uint32_t conns_end_calls(struct conns *s, bool drop)
{
	uint32_t n;

	pthread_mutex_lock(&s->lock);
	for (struct conn *c = s->first; c; c = c->next) {
		if (c->waits && drop)
			call_drop(c->waits);
		else if (c->waits)
			call_cancel(c->waits);
	}
	n = s->n_waiting;
	pthread_mutex_unlock(&s->lock);
	return n;
}
