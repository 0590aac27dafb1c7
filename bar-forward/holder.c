/* SPDX-License-Identifier: MIT */
#include "bar-forward/holder.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bar-forward/crew.h"
#include "bar-forward/post.h"
#include "bar-forward/sandbox.h"
#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define MESSAGE_MS 2000 /* for a message that has begun, and for a reply to be read */
#define HELLO_NS   UINT64_C(5000000000) /* from connecting to VERSION */
#define TICK_MS    1000
#define SOON_MS    100 /* while the page is behind */
#define START_MS   10000
#define LOOK_NS    UINT64_C(100000000) /* between looks at a device that reads all-ones */

enum { LISTENING, CLIENT, DEVICE, CREW, POLLED = CREW + CREW_POLLED };

struct holder {
	const struct holder_start *start;
	const struct serve_opts *o;
	const struct log *log;
	struct serve_page *page;
	struct policy policy;
	struct device *d; /* NULL: it is the session's, or gone */
	struct crew crew;
	bool alone;             /* the device cannot be given to a worker */
	int client;             /* -1: none is there */
	struct stream stream;   /* of the client */
	struct session session; /* its, too */
	uint64_t looked_ns;
	uint64_t restarts;                  /* of workers, that are told already */
	int returned;                       /* a client for the next holder; -1 */
	bool ending, lost, lost_once, late; /* late: the page is behind */
	bool told_lost;
};

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

static struct session_opts session_opts(struct holder *v, const struct policy *p)
{
	return (struct session_opts) { .ops = v->o->ops,
				       .policy = p,
				       .shape = &v->o->shape,
				       .count = &v->page->now,
				       .trace = v->start->trace,
				       .relay = v->o->relay,
				       .now = telem_now_ns,
				       .say = say,
				       .arg = v };
}

static void tell(struct holder *v, bool must)
{
	v->page->now.worker_pid = v->crew.work.pid;
	if (!v->alone) {
		v->page->now.counts.worker_restarts += v->crew.restarts - v->restarts;
		v->page->now.counts.restart_gap_ns = v->crew.gap_ns;
	}
	v->restarts = v->crew.restarts;
	v->late = serve_page_tell(v->page, must);
}

/* --- the policy --- */

/* Whether the device can be given to a guest with these rules, or goes on with the one that has it. */
static int check_rules(struct holder *v, const struct policy *p, struct err *e)
{
	const struct session_opts o = session_opts(v, p);

	return v->d ? session_check(&o, v->d, e) : session_rules(&v->session, p, e);
}

static int fit_policy(struct holder *v, struct policy *p, struct err *e)
{
	const struct dev_facts *f = v->d ? v->o->ops->facts(v->d) : &v->session.facts;
	uint64_t sizes[POLICY_BARS];
	int rc;

	for (uint32_t i = 0; i < POLICY_BARS; i++)
		sizes[i] = f->region[i].size;
	rc = policy_fits(p, sizes, e);
	return rc ? rc : check_rules(v, p, e);
}

/* Workers see it with their next message. */
static void publish_policy(struct holder *v)
{
	struct share *s = v->start->share;
	uint32_t other = (atomic_load(&s->policy_at) + 1) & 1;

	s->policy[other] = v->policy;
	atomic_store(&s->policy_at, other);
}

static int first_policy(struct holder *v, struct err *e)
{
	int rc = 0;

	if (!v->o->policy) {
		rc = check_rules(v, &v->policy, e);
	} else {
		rc = policy_read(&v->policy, v->o->policy, e);
		if (!rc && (rc = fit_policy(v, &v->policy, e)))
			rc = err_at(e, rc, "%s", v->o->policy);
	}
	publish_policy(v);
	return rc;
}

static int read_policy_fd(struct policy *p, int fd, struct err *e)
{
	own_free char *text = malloc(POLICY_FILE_MAX + 1);
	long n = text ? io_read(fd, text, POLICY_FILE_MAX + 1) : -ENOMEM;

	if (n < 0)
		return err_set(e, (int)n, "cannot be read: %s", strerror((int)-n));
	if (n > POLICY_FILE_MAX)
		return err_set(e, -EBADMSG, "it has more than %d bytes", POLICY_FILE_MAX);
	text[n] = '\0';
	return policy_parse(p, text, e);
}

/* A guest at work keeps the rules it has, unless the new ones are sound. */
static void reread_policy(struct holder *v)
{
	own_free struct policy *fresh = calloc(1, sizeof(*fresh));
	own_fd int fd = take_fd(&v->crew.news.policy);
	struct err e = { 0 };
	int rc;

	if (!fresh || (!v->d && v->client < 0))
		return;
	rc = read_policy_fd(fresh, fd, &e);
	if (!rc)
		rc = fit_policy(v, fresh, &e);
	if (rc) {
		log_warn(v->log, "%s: %s; the rules from before stay in force", v->o->policy,
			 e.text);
		return;
	}
	v->policy = *fresh;
	publish_policy(v);
	log_note(v->log, "%s: %u rules are in force", v->o->policy, (unsigned)fresh->n);
}

/* --- the recorder --- */

static void change_trace(struct holder *v)
{
	struct trace fresh = { 0 }, *t = v->start->trace;
	struct err e = { 0 };

	v->crew.news.trace = false;
	if (v->crew.news.trace_fd >= 0 && trace_join(&fresh, take_fd(&v->crew.news.trace_fd), &e)) {
		log_warn(v->log, "nothing is recorded: %s", e.text);
		return;
	}
	trace_close(t);
	*t = fresh;
	crew_renew(&v->crew);
	trace_event(t, TRACE_DEVICE, telem_now_ns(), v->page->now.generation);
	if (v->client >= 0 && t->head) {
		trace_event(t, TRACE_CLIENT, telem_now_ns(), (uint64_t)v->page->now.client_pid);
		session_record_state(&v->session);
	}
}

/* --- the device --- */

/* All that has a path, and then nothing more that has one. */
static int open_device(struct holder *v, struct err *e)
{
	int fds[DEV_FDS_MAX];
	int rc = v->o->ops->open(&v->d, v->o->what, v->o->beside, e);

	if (!rc)
		rc = first_policy(v, e);
	if (rc)
		return rc;
	v->alone = !v->o->ops->share || v->o->ops->share(v->d, fds) == 0;
	if (v->alone)
		crew_close(&v->crew);
	text_copy(v->page->now.backend, sizeof(v->page->now.backend),
		  v->o->ops->facts(v->d)->backend);
	return 0;
}

static int enter_sandbox(struct holder *v, struct err *e)
{
	int rc = sandbox_enter(SANDBOX_HOLDER, e);

	if (!rc)
		log_detail(v->log, "process %d holds the device", (int)getpid());
	return rc;
}

/* The device of the last client was lost. What answers now is another, as far as anybody knows. */
static int open_again(struct holder *v, struct err *e)
{
	int rc;

	if (v->d)
		return 0;
	rc = open_device(v, e);
	if (rc)
		return err_at(e, rc, "the device is lost");
	rc = enter_sandbox(v, e);
	v->page->now.generation++;
	crew_tell(&v->crew, LINE_BACK, 0, NULL);
	trace_event(v->start->trace, TRACE_DEVICE, telem_now_ns(), v->page->now.generation);
	v->page->now.trouble[0] = '\0';
	log_note(v->log, "%s is there again, as generation %u", v->o->what,
		 (unsigned)v->page->now.generation);
	return rc;
}

static void lose_idle(struct holder *v)
{
	v->o->ops->close(v->d);
	v->d = NULL;
	v->ending = v->lost = true; /* the next holder opens it again */
	crew_tell(&v->crew, LINE_LOST, 0, NULL);
	trace_event(v->start->trace, TRACE_LOST, telem_now_ns(), 0);
	v->page->now.state = TELEM_BRIDGE_LOST;
	text_copy(v->page->now.trouble, sizeof(v->page->now.trouble), "it was taken away");
	log_warn(v->log, "the device is lost: it was taken away while there was no client");
	tell(v, true);
}

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

static int open_session(struct holder *v, int fd, struct err *e)
{
	struct session_opts o = session_opts(v, &v->policy);
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
	int rc = open_again(v, e);

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

static void take_client(struct holder *v, int taken)
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
			 (int)v->page->now.client_pid);
		return;
	}
	rc = begin_session(v, fd, &e);
	if (rc == -ENODEV && v->d) {
		/* Gone before anybody had looked: perhaps it is back already. */
		lose_idle(v);
		if (taken != v->start->client) {
			v->returned = take_fd(&fd);
			return;
		}
	}
	if (rc) {
		log_warn(v->log, "process %d is refused: %s", (int)pid, e.text);
		return;
	}
	v->client = take_fd(&fd);
	trace_event(v->start->trace, TRACE_CLIENT, telem_now_ns(), (uint64_t)pid);
	v->page->now.state = TELEM_BRIDGE_RUNNING;
	v->page->now.client_pid = pid;
	v->page->now.connected_ns = telem_now_ns();
	v->page->now.counts.clients++;
	log_detail(v->log, "process %d is the client", (int)pid);
	tell(v, true);
}

static void end_client(struct holder *v, const char *why)
{
	struct telem_bridge *b = &v->page->now;

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
	v->lost |= !v->d;
	b->state = v->d ? TELEM_BRIDGE_WAITING : TELEM_BRIDGE_LOST;
	b->client_pid = 0;
	b->connected_ns = 0;
	v->ending |= v->o->once || v->lost;
	tell(v, true);
}

/* --- messages: looked at, done, answered, and only then taken --- */

static void send_answer(struct holder *v, const struct answer *a)
{
	own_fd int fd = a->fd;
	int rc = a->size ? stream_send(&v->stream, a->bytes, a->size, fd) : 0;

	if (rc)
		end_client(v, rc == -ETIMEDOUT ? "the client does not read its replies"
					       : "the client is gone");
}

/* An answer that comes later may meet a client that does not wait for it any more, and would take it for another one. */
static bool is_late(const struct holder *v)
{
	uint64_t since = v->alone ? 0 : atomic_load(&v->start->share->note.since_ns);

	return since && telem_now_ns() - since > CREW_LATE_NS;
}

static void serve_message(struct holder *v)
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
		v->page->now.counts.refused += rc != -EPIPE;
		end_client(v, e.text);
		return;
	}
	rc = session_message(&v->session, &in, &a, &e);
	stream_drop(&in);
	if (a.size && is_late(v)) {
		own_close_fd(&a.fd);
		log_warn(v->log, "the client is let go: its answer would come too late");
		end_client(v, "an answer was late");
		return;
	}
	send_answer(v, &a);
	if (v->client >= 0 && (stream_take(&v->stream, &in) || rc))
		end_client(v, rc ? e.text : "the client is gone");
	if (v->client >= 0 && !v->alone)
		crew_clear(&v->crew);
}

/* What the device has for the client. Not while a worker's answer is on its way: try again. */
static void serve_device(struct holder *v)
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

/* --- workers --- */

/* What was sent of an answer, or taken of a message, by one that died: the rest. */
static void finish(struct holder *v, const struct doubt *doubt)
{
	const struct share_note *n = &v->start->share->note;
	struct incoming in = { .size = 0 };
	struct err e = { 0 };
	int rc = 0;

	if (doubt->kind == DOUBT_ANSWER) {
		if (n->reply.length > SHARE_REPLY || (!doubt->bytes && is_late(v)))
			rc = -ETIMEDOUT;
		else
			rc = stream_send(&v->stream, v->start->share->reply + doubt->bytes,
					 n->reply.length - doubt->bytes, -1);
		if (!rc)
			rc = stream_peek(&v->stream, &in, &e);
		stream_drop(&in);
	} else {
		/* Its head may be gone, but how long it was is noted. */
		in.size = n->take.length <= VU_MESSAGE_MAX
				  ? (uint32_t)(n->take.length - doubt->bytes)
				  : 0;
	}
	if (!rc)
		rc = stream_take(&v->stream, &in);
	if (rc)
		end_client(v, "the client is gone");
	else
		crew_clear(&v->crew);
}

/* The one at work is dead. What it was at is finished, and whoever comes next goes on behind it. */
static void recover(struct holder *v)
{
	struct doubt doubt;

	v->crew.d = v->session.d;
	doubt = crew_judge(&v->crew, false);
	log_detail(v->log, "worker %d died of signal %d (%s), another takes over",
		   (int)v->crew.death.pid, (int)v->crew.death.status,
		   doubt.kind == DOUBT_NOTHING   ? "nothing was in doubt"
		   : doubt.kind == DOUBT_NOT     ? "its last access did not happen"
		   : doubt.kind == DOUBT_RAN     ? "its last access happened"
		   : doubt.kind == DOUBT_UNKNOWN ? "what it did last is not known"
						 : "its last answer is finished");
	switch (doubt.kind) {
	case DOUBT_ANSWER:
	case DOUBT_TAKE:
		finish(v, &doubt);
		break;
	case DOUBT_RAN:
		serve_message(v);
		break;
	case DOUBT_UNKNOWN:
		session_lose(&v->session, "a worker died, and what it did last is not known");
		if (!doubt.answered)
			serve_message(v);
		else
			end_client(v, "whether it was answered is not known");
		break;
	default:
		break;
	}
}

/* An access has lasted too long: whoever makes it is killed, and the device counts as gone unless it answered after all. */
static void give_up(struct holder *v)
{
	bool dead = crew_stop(&v->crew);

	if (v->crew.news.died)
		recover(v);
	if (v->client < 0 ||
	    (dead && !crew_failed(&v->crew) && !atomic_load(&v->start->share->note.since_ns)))
		return; /* it came to an end */
	session_lose(&v->session, crew_failed(&v->crew) ? "its workers die" : "does not answer");
	if (atomic_load(&v->start->share->note.since_ns))
		serve_message(v);
}

static bool is_hanging(const struct holder *v)
{
	uint64_t since = atomic_load(&v->start->share->note.since_ns);

	if (v->alone || v->client < 0 || !v->session.d)
		return false;
	return crew_failed(&v->crew) ||
	       (!v->crew.resting && since && telem_now_ns() - since > CREW_ACCESS_NS);
}

static void look(struct holder *v)
{
	uint64_t now = telem_now_ns();

	if (now - v->looked_ns < LOOK_NS)
		return;
	v->looked_ns = now;
	session_look(&v->session);
}

static void act(struct holder *v)
{
	struct crew_news *n = &v->crew.news;

	if (n->died && v->client >= 0)
		recover(v);
	if (is_hanging(v))
		give_up(v);
	if (n->broken && v->client >= 0)
		end_client(v, n->broken_rc == -ETIMEDOUT ? "the client does not read its replies"
							 : "the client is gone");
	if (n->lost && v->client >= 0)
		session_lose(&v->session, "does not answer");
	if (n->ones && v->client >= 0)
		look(v);
	/* The device is gone: workers that have it go, too, and what they were at is answered here. */
	if (v->client >= 0 && !v->session.d && v->crew.work.pid) {
		if (!v->crew.resting && crew_stop(&v->crew) && v->crew.news.died)
			recover(v);
		if (v->client >= 0)
			crew_retire(&v->crew);
	}
	if ((n->asked || n->lost) && v->client >= 0)
		serve_message(v);
	n->asked = n->lost = n->ones = n->broken = false;
	if (v->client >= 0 && v->session.step != SESSION_NEW && v->session.d)
		crew_second(&v->crew);
	if (v->client >= 0 && v->session.d)
		crew_go(&v->crew);
}

/* The opener has the guest asked to let go of it. */
static void tell_lost(struct holder *v)
{
	const struct line l = { .kind = LINE_LOST, .next = 1, .rc = v->session.shaped.msix };

	if (v->told_lost || v->client < 0 || v->session.d)
		return;
	v->told_lost = true;
	post_send(v->start->line, &l, sizeof(l), NULL, 0, 0);
}

/* One that has hung up is let go before the next is looked at; what it had sent before is done first. */
static bool is_leaving(struct holder *v)
{
	struct pollfd p = { .fd = v->client, .events = POLLRDHUP };
	char byte;

	if (v->client < 0 || poll(&p, 1, 0) < 1 || !(p.revents & (POLLHUP | POLLRDHUP)))
		return false;
	if (recv(v->client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return true;
	end_client(v, "the client is gone");
	return v->ending;
}

/* --- the loop --- */

static void tick(struct holder *v)
{
	if (v->client >= 0) {
		session_tick(&v->session);
		if (v->session.step == SESSION_NEW &&
		    telem_now_ns() - v->page->now.connected_ns > HELLO_NS) {
			log_note(v->log,
				 "the client is let go: it does not say which version it speaks");
			end_client(v, "it was silent");
		}
	} else if (v->d && v->o->ops->present(v->d)) {
		lose_idle(v);
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
			reread_policy(v);
		if (v->crew.news.trace)
			change_trace(v);
		act(v);
		if (p[CLIENT].revents && v->client >= 0)
			serve_message(v);
		if (p[DEVICE].revents && v->client >= 0)
			serve_device(v);
		if (p[LISTENING].revents && !v->ending && !is_leaving(v))
			take_client(v, accept4(v->start->listening, NULL, NULL, SOCK_CLOEXEC));
		int64_t now = (int64_t)(telem_now_ns() / 1000000);

		if (now - ticked >= TICK_MS) {
			tick(v);
			ticked = now;
		}
		act(v);
		tell_lost(v);
		tell(v, false);
		v->ending |= v->crew.news.end;
	}
	return 0;
}

/* --- the beginning and the end --- */

static int open_trace(struct holder *v, struct err *e)
{
	const struct trace_about about = { .device = v->o->what,
					   .backend = v->o->ops->name,
					   .socket = v->o->socket,
					   .guest = v->o->guest,
					   .now_ns = telem_now_ns() };
	int rc = 0;

	if (v->o->record)
		rc = trace_create(v->start->trace, v->o->record, v->o->record_bytes, &about, e);
	if (!rc)
		trace_event(v->start->trace, TRACE_DEVICE, about.now_ns, 1);
	return rc;
}

static void tell_ready(struct holder *v)
{
	const struct line l = { .kind = LINE_READY };
	bool traced = v->start->trace->head;

	post_send(v->start->line, &l, sizeof(l), &v->start->trace->fd, traced, 0);
}

static int begin(struct holder *v, struct err *e)
{
	int rc = 0;

	if (v->start->first) {
		rc = open_device(v, e);
		rc = rc ? rc : open_trace(v, e);
		rc = rc || v->alone ? rc : crew_await(&v->crew, START_MS, e);
		rc = rc ? rc : enter_sandbox(v, e);
	}
	if (rc)
		return rc;
	if (v->start->first) {
		v->page->now.state = TELEM_BRIDGE_WAITING;
		if (!v->alone)
			v->page->now.counts.worker_restarts = v->page->now.counts.restart_gap_ns =
				0;
	}
	v->page->trace = v->start->trace;
	tell(v, true);
	if (v->start->first)
		log_note(v->log, "%s waits for a client at %s", v->o->what, v->o->socket);
	tell_ready(v);
	take_client(v, v->start->client);
	return 0;
}

static void end(struct holder *v, int rc, const struct err *e)
{
	struct line l = { .kind = LINE_ENDED, .rc = rc, .next = v->lost && !v->o->once };

	end_client(v, "the bridge ends");
	if (v->d)
		v->o->ops->close(v->d);
	if (!rc && v->o->once && v->lost_once) {
		l.rc = -ENXIO;
		text_copy(l.text, sizeof(l.text), "the device was lost while its client was there");
	} else {
		text_copy(l.text, sizeof(l.text), e->text);
	}
	l.next &= !v->crew.news.end;
	crew_close(&v->crew);
	post_send(v->start->line, &l, sizeof(l), &v->returned, v->returned >= 0, 0);
	own_close_fd(&v->returned);
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
	v->client = v->returned = -1;
	crew_open(&v->crew, s->line, s->share_fd, s->share);
	v->crew.ops = s->o->ops;
	v->crew.trace = s->trace;
	v->crew.say = say;
	v->crew.arg = v;
	rc = begin(v, &e);
	if (!rc)
		rc = loop(v, &e);
	end(v, rc, &e);
}
