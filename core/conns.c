/* SPDX-License-Identifier: MIT */
#include "core/conns.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "core/peer.h"

#define WATCH_MS   200
#define PRESSED_MS 2000 /* for who has not asked, when connections run out */
#define LEFT_MS    500  /* for what a client sent before it closed its side */
#define SHARE      4    /* a stranger has at most this part of all connections... */
#define TOLD       8    /* ...and so many more, to be told so */

struct conn {
	struct conn *next, **slot;
	struct conns *all;
	int fd;
	struct peer peer;
	bool crowds;        /* one of too many of its peer's */
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

/* How long it may owe. Who has closed his side says no more: what he said has been read by then. */
static int64_t time_of(const struct conn *c, int64_t limit)
{
	return has_left(c->fd) && limit > LEFT_MS ? LEFT_MS : limit;
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
		if (!c->waits && c->since_ms >= 0 && now - c->since_ms > time_of(c, limit))
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

/* How many connections the peer of a new one has already. The owner's are not counted. */
static uint32_t count_peers(const struct conns *s, const struct peer *p)
{
	uint32_t n = 0;

	if (peer_is_owner(p))
		return 0;
	for (const struct conn *c = s->first; c; c = c->next)
		n += peer_is_same(&c->peer, p);
	return n;
}

struct conn *conn_add(struct conns *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	uint32_t share = s->max / SHARE ? s->max / SHARE : 1, has;

	if (!c)
		return NULL;
	*c = (struct conn) { .all = s, .fd = fd, .since_ms = clock_ms(), .peer = peer_of(fd) };
	pthread_mutex_lock(&s->lock);
	has = count_peers(s, &c->peer);
	c->crowds = has >= share;
	if (has >= share + TOLD)
		shutdown(fd, SHUT_RDWR);
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

bool conn_crowds(const struct conn *c)
{
	return c && c->crowds;
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
