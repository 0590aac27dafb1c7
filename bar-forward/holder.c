/* SPDX-License-Identifier: MIT */
#include "bar-forward/holder_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bar-forward/post.h"
#include "bar-forward/sandbox.h"
#include "base/own.h"
#include "base/text.h"

#define HELLO_NS  UINT64_C(5000000000) /* from connecting to VERSION */
#define TICK_MS   1000
#define SOON_MS   100 /* while the page is behind */
#define START_MS  60000
#define RECORD_MS 60000 /* its blocks are allocated */

enum { LISTENING, CLIENT, DEVICE, CREW, POLLED = CREW + CREW_POLLED };

static void say(void *arg, enum session_said how, const char *sentence)
{
	const struct holder *v = arg;

	if (how == SESSION_WARNING)
		log_warn(v->log, "%s", sentence);
	else if (how == SESSION_NOTE)
		log_note(v->log, "%s", sentence);
	else
		log_detail(v->log, "%s", sentence);
}

/* A worker that comes up, while one waits for another to die, is not given what is closed. */
static void forget(void *arg)
{
	struct holder *v = arg;

	v->crew.d = NULL;
}

struct session_opts holder_session(struct holder *v, const struct policy *p)
{
	return (struct session_opts) { .ops = v->o->ops,
				       .policy = p,
				       .shape = &v->o->shape,
				       .count = v->page->now,
				       .trace = v->start->trace,
				       .relay = v->o->relay,
				       .now = telem_now_ns,
				       .say = say,
				       .reset = holder_reset,
				       .look = holder_look,
				       .lost = forget,
				       .arg = v };
}

void holder_tell(struct holder *v, bool must)
{
	v->page->now->worker_pid = v->crew.work.pid;
	if (!v->alone) {
		v->page->now->counts.worker_restarts += v->crew.restarts - v->restarts;
		v->page->now->counts.restart_gap_ns = v->crew.gap_ns;
	}
	v->restarts = v->crew.restarts;
	v->late = serve_page_tell(v->page, must);
}

/* --- the device --- */

static int enter_sandbox(struct holder *v, struct err *e)
{
	const struct as_user *u = v->start->user;
	int rc = user_become(u);

	if (rc)
		return err_set(e, rc, "cannot become user %s: %s", u->name, strerror(-rc));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rc = sandbox_enter(SANDBOX_HOLDER, e);
	if (!rc)
		log_detail(v->log, "process %d holds the device", (int)getpid());
	return rc;
}

/* The device of the last client was lost. What answers now is another, as far as anybody knows. */
int holder_open_again(struct holder *v, struct err *e)
{
	int rc;

	if (v->d)
		return 0;
	rc = holder_fetch(v, e);
	if (rc)
		return err_at(e, rc, "the device is lost");
	v->told_lost = false;
	v->page->now->generation++;
	v->page->now->state = TELEM_BRIDGE_WAITING;
	crew_tell(&v->crew, LINE_BACK, 0, NULL);
	trace_event(v->start->trace, TRACE_DEVICE, telem_now_ns(), v->page->now->generation);
	v->page->now->trouble[0] = '\0';
	log_note(v->log, "%s is there again, as generation %u", v->o->what,
		 (unsigned)v->page->now->generation);
	return 0;
}

void holder_lose_idle(struct holder *v)
{
	v->o->ops->close(v->d);
	v->d = NULL;
	crew_tell(&v->crew, LINE_LOST, 0, NULL);
	trace_event(v->start->trace, TRACE_LOST, telem_now_ns(), 0);
	v->page->now->state = TELEM_BRIDGE_LOST;
	text_copy(v->page->now->trouble, sizeof(v->page->now->trouble), "it was taken away");
	log_warn(v->log, "the device is lost: it was taken away while there was no client");
	holder_tell(v, true);
}
/* --- the loop --- */

static void tick(struct holder *v)
{
	if (v->client >= 0) {
		session_tick(&v->session);
		if (v->session.step == SESSION_NEW &&
		    telem_now_ns() - v->page->now->connected_ns > HELLO_NS) {
			log_note(v->log,
				 "the client is let go: it does not say which version it speaks");
			holder_end_client(v, "it was silent");
		}
	} else if (v->d && holder_look(v, v->d)) {
		holder_lose_idle(v);
	}
}

/* Until the next tick, or until an access that is being made has lasted too long. */
static int how_long(const struct holder *v)
{
	uint64_t since = v->alone ? 0 : atomic_load(&v->start->share->note.since_ns);
	uint64_t age = since ? telem_now_ns() - since : 0;
	int ms = v->late ? SOON_MS : TICK_MS;

	if (since && age < CREW_ACCESS_NS && (int)((CREW_ACCESS_NS - age) / 1000000) + 1 < ms)
		ms = (int)((CREW_ACCESS_NS - age) / 1000000) + 1;
	return ms;
}

static int device_fd(struct holder *v)
{
	uint32_t floor = v->alone ? FLOOR_FREE : atomic_load(&v->start->share->note.floor);

	if (v->client >= 0)
		return floor == FLOOR_FREE ? session_poll_fd(&v->session) : -1;
	return -1;
}

static int loop(struct holder *v, struct err *e)
{
	int64_t ticked = 0;

	while (!v->ending) {
		bool self = v->alone || (v->client >= 0 && !v->session.d);
		int device = device_fd(v);
		struct pollfd p[POLLED] = {
			[LISTENING] = { .fd = v->start->listening, .events = POLLIN },
			[CLIENT] = { .fd = self ? v->client : -1, .events = POLLIN },
			[DEVICE] = { .fd = device, .events = POLLIN },
		};

		crew_polled(&v->crew, p + CREW);
		if (poll(p, POLLED, how_long(v)) < 0 && errno != EINTR)
			return err_set(e, -errno, "cannot wait for clients: %s", strerror(errno));
		crew_read(&v->crew);
		if (v->crew.news.policy >= 0)
			holder_reread_policy(v);
		if (v->crew.news.trace)
			holder_change_trace(v);
		holder_act(v);
		if (p[CLIENT].revents && v->client >= 0)
			holder_serve_message(v);
		if (p[DEVICE].revents && v->client >= 0)
			holder_serve_device(v);
		if (p[LISTENING].revents && !v->ending && !holder_is_leaving(v))
			holder_take_client(v,
					   accept4(v->start->listening, NULL, NULL, SOCK_CLOEXEC));
		int64_t now = (int64_t)(telem_now_ns() / 1000000);

		if (now - ticked >= TICK_MS) {
			tick(v);
			ticked = now;
		}
		holder_act(v);
		holder_leave_fetcher(v);
		holder_tell_lost(v);
		holder_tell(v, false);
		v->ending |= v->crew.news.end;
	}
	return 0;
}

/* --- the beginning and the end --- */

static int open_trace(struct holder *v, struct err *e)
{
	struct crew_made m;
	int rc = 0;

	if (!v->o->record)
		return 0;
	rc = crew_order(&v->crew, LINE_RECORD, RECORD_MS, &m, e);
	if (!rc)
		rc = trace_join(v->start->trace, m.n ? m.fds[0] : -1, e);
	if (!rc)
		trace_event(v->start->trace, TRACE_DEVICE, telem_now_ns(), 1);
	return rc;
}

static int begin(struct holder *v, struct err *e)
{
	int rc = enter_sandbox(v, e);

	rc = rc ? rc : holder_fetch(v, e);
	rc = rc ? rc : open_trace(v, e);
	rc = rc || v->alone ? rc : crew_await(&v->crew, START_MS, e);
	if (rc)
		return rc;
	v->page->now->state = TELEM_BRIDGE_WAITING;
	if (!v->alone)
		v->page->now->counts.worker_restarts = v->page->now->counts.restart_gap_ns = 0;
	holder_tell(v, true);
	log_note(v->log, "%s waits for a client at %s", v->o->what, v->o->socket);
	return 0;
}

static void end(struct holder *v, int rc, const struct err *e)
{
	struct line l = { .kind = LINE_ENDED, .rc = rc };

	holder_end_client(v, "the bridge ends");
	if (v->d)
		v->o->ops->close(v->d);
	if (!rc && v->o->once && v->lost_once) {
		l.rc = -ENXIO;
		text_copy(l.text, sizeof(l.text), "the device was lost while its client was there");
	} else {
		text_copy(l.text, sizeof(l.text), e->text);
	}
	own_close_fd(&v->fetcher);
	crew_close(&v->crew);
	post_send(v->start->line, &l, sizeof(l), NULL, 0, 0);
}

void holder_run(const struct holder_start *s)
{
	own_free struct holder *v = calloc(1, sizeof(*v));
	struct err e = { 0 };
	int rc;

	if (!v)
		return;
	v->start = s;
	v->o = s->o;
	v->log = s->log;
	v->page = s->page;
	v->client = v->fetcher = -1;
	crew_open(&v->crew, s->line, s->share_fd, s->share);
	v->crew.ops = s->o->ops;
	v->crew.trace = s->trace;
	v->crew.say = say;
	v->crew.arg = v;
	rc = begin(v, &e);
	if (!rc)
		rc = loop(v, &e);
	else if (v->crew.news.end)
		rc = 0;
	end(v, rc, &e);
}
