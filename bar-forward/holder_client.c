/* SPDX-License-Identifier: MIT */
/* The one client, from connecting to hanging up. */
#include "bar-forward/holder_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"

#define MESSAGE_MS 2000 /* for a message that has begun, and for a reply to be read */

/* --- clients --- */

static int32_t pid_of(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 ? who.pid : 0;
}

/* What a worker has to know of the device as this guest sees it. */
static void tell_share(struct holder *v)
{
	const struct shaped *s = &v->session.shaped;
	struct share *to = v->start->share;
	const struct quirk *q;

	holder_publish_policy(v);
	memcpy(to->region, s->size, sizeof(to->region));
	to->n_left = 0;
	for (uint32_t i = 0; i < s->quirks.n && to->n_left < SHARE_LEFT; i++) {
		q = s->quirks.row[i];
		if (q->kind == QUIRK_MIRROR || q->kind == QUIRK_WINDOW)
			to->left[to->n_left++] = (struct share_range) {
				q->bar, false, q->at, q->kind == QUIRK_WINDOW ? 4 : q->bytes
			};
	}
	/* A write that waits for another read first: those are few. */
	for (uint32_t i = 0; s->order && i < CFG_BARS && to->n_left < SHARE_LEFT; i++)
		to->left[to->n_left++] = (struct share_range) { i, true, 0, UINT64_MAX / 2 };
}

static int by_worker(void *arg, struct device *d, const struct session_access *a)
{
	struct holder *v = arg;
	bool known = v->crew.known.is;
	int rc;

	(void)d;
	rc = crew_access(&v->crew, a);
	if (known && !v->crew.known.is) /* whoever died may have recorded it */
		v->session.seen.flags |= TRACE_AGAIN;
	return rc;
}

static int open_session(struct holder *v, int fd, struct err *e)
{
	struct session_opts o = holder_session(v, &v->policy);
	int rc = v->alone ? 0 : crew_begin(&v->crew, fd, v->d, e);

	if (!v->alone) {
		o.access = by_worker;
		o.multi_done = &v->start->share->note.multi_done;
	}
	if (!rc)
		rc = session_open(&v->session, &o, v->d, e);
	if (!rc)
		v->d = NULL; /* the session's */
	else if (!v->alone)
		crew_end(&v->crew);
	return rc;
}

static int begin_session(struct holder *v, int fd, struct err *e)
{
	int rc = holder_open_again(v, e);

	if (!rc)
		rc = stream_open(&v->stream, fd, MESSAGE_MS, e);
	if (rc)
		return rc;
	v->stream.ahead = v->alone;
	rc = open_session(v, fd, e);
	if (rc)
		stream_close(&v->stream);
	else if (!v->alone)
		tell_share(v);
	return rc;
}

void holder_take_client(struct holder *v, int taken)
{
	own_fd int fd = taken;
	struct err e = { 0 };
	int32_t pid;
	int rc;

	if (fd < 0)
		return;
	pid = pid_of(fd);
	if (v->client >= 0) {
		log_note(v->log, "process %d is refused: process %d has the device", (int)pid,
			 (int)v->page->now->client_pid);
		return;
	}
	rc = begin_session(v, fd, &e);
	if (rc == -ENODEV && v->d) {
		/* Gone before anybody had looked: perhaps it is back already. */
		holder_lose_idle(v);
		rc = begin_session(v, fd, &e);
	}
	if (rc) {
		log_warn(v->log, "process %d is refused: %s", (int)pid, e.text);
		return;
	}
	v->client = take_fd(&fd);
	trace_event(v->start->trace, TRACE_CLIENT, telem_now_ns(), (uint64_t)pid);
	v->page->now->state = TELEM_BRIDGE_RUNNING;
	v->page->now->client_pid = pid;
	v->page->now->connected_ns = telem_now_ns();
	v->page->now->counts.clients++;
	log_detail(v->log, "process %d is the client", (int)pid);
	holder_tell(v, true);
}

void holder_end_client(struct holder *v, const char *why)
{
	struct telem_bridge *b = v->page->now;

	if (v->client < 0)
		return;
	log_detail(v->log, "%s", why);
	/* Whoever is at work comes to rest: there is nothing more to be read. */
	shutdown(v->client, SHUT_RDWR);
	if (!v->alone) {
		crew_rest(&v->crew);
		crew_clear(&v->crew);
	}
	v->d = session_close(&v->session);
	crew_end(&v->crew);
	trace_event(v->start->trace, TRACE_GONE, telem_now_ns(), 0);
	stream_close(&v->stream);
	own_close_fd(&v->client);
	v->lost_once = !v->d;
	if (!v->d && !v->told_lost) /* it was lost as the client went */
		crew_tell(&v->crew, LINE_LOST, 0, NULL);
	b->state = v->d ? TELEM_BRIDGE_WAITING : TELEM_BRIDGE_LOST;
	b->client_pid = 0;
	b->connected_ns = 0;
	v->ending |= v->o->once;
	holder_tell(v, true);
}

/* --- messages: looked at, done, answered, and only then taken --- */

static void send_answer(struct holder *v, const struct answer *a)
{
	own_fd int fd = a->fd;
	int rc = a->size ? stream_send(&v->stream, a->bytes, a->size, fd) : 0;

	session_answered(&v->session);
	if (rc)
		holder_end_client(v, rc == -ETIMEDOUT ? "the client does not read its replies"
						      : "the client is gone");
}

/* An answer that comes later may meet a client that does not wait for it any more, and would take it for another one. */
bool holder_is_late(const struct holder *v)
{
	uint64_t since = v->alone ? 0 : atomic_load(&v->start->share->note.since_ns);

	return since && telem_now_ns() - since > CREW_LATE_NS;
}

void holder_serve_message(struct holder *v)
{
	struct incoming in;
	struct answer a;
	struct err e = { 0 };
	int rc = stream_peek(&v->stream, &in, &e);

	if (rc == -EINTR)
		return;
	if (rc) {
		if (rc != -EPIPE)
			log_note(v->log, "the client is let go: %s", e.text);
		v->page->now->counts.refused += rc != -EPIPE;
		holder_end_client(v, e.text);
		return;
	}
	rc = session_message(&v->session, &in, &a, &e);
	stream_drop(&in);
	if (a.size && holder_is_late(v)) {
		own_close_fd(&a.fd);
		log_warn(v->log, "the client is let go: its answer would come too late");
		holder_end_client(v, "an answer was late");
		return;
	}
	send_answer(v, &a);
	if (v->client >= 0 && (stream_take(&v->stream, &in) || rc))
		holder_end_client(v, rc ? e.text : "the client is gone");
	if (v->client >= 0 && !v->alone)
		crew_clear(&v->crew);
}

/* What the device has for the client. Not while a worker's answer is on its way: try again. */
void holder_serve_device(struct holder *v)
{
	struct share_note *n = &v->start->share->note;
	uint32_t is = FLOOR_FREE;
	struct answer a;

	if (!v->alone && !atomic_compare_exchange_strong(&n->floor, &is, FLOOR_HOLDER))
		return;
	session_attend(&v->session, &a);
	send_answer(v, &a);
	if (!v->alone)
		atomic_store(&n->floor, FLOOR_FREE);
}
