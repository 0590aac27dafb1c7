/* SPDX-License-Identifier: MIT */
#include "bar-forward/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bar-forward/serve_priv.h"
#include "bar-forward/whichbridge.h"
#include "base/own.h"
#include "base/text.h"

#define MESSAGE_MS 2000 /* for a message that has begun, and for a reply to be read */
#define HELLO_NS   UINT64_C(5000000000) /* from connecting to VERSION */
#define TICK_MS    1000
#define SOON_MS    100 /* while the page is behind */

enum { SIGNALS, LISTENING, CONTROL, CLIENT, DEVICE, UNPLUG, POLLED };

struct server {
	const struct serve_opts *o;
	const struct log *log;
	struct sockets sockets;
	sigset_t before; /* signals of whoever called */
	int signals;
	struct policy policy;
	struct device *d; /* NULL: it is the session's, or gone */
	struct serve_page page;
	struct trace trace;
	struct control control;
	int client;             /* -1: none is there */
	struct stream stream;   /* of the client */
	struct session session; /* its, too */
	struct serve_lost lost;
	bool ending, lost_once, late; /* late: the page is behind */
};

static void say(void *arg, enum session_said how, const char *sentence)
{
	const struct server *v = arg;

	if (how == SESSION_WARNING)
		log_warn(v->log, "%s", sentence);
	else if (how == SESSION_NOTE)
		log_note(v->log, "%s", sentence);
	else
		log_detail(v->log, "%s", sentence);
}

static struct session_opts session_opts(struct server *v, const struct policy *p)
{
	return (struct session_opts) { .ops = v->o->ops,
				       .policy = p,
				       .shape = &v->o->shape,
				       .count = &v->page.now,
				       .trace = &v->trace,
				       .now = telem_now_ns,
				       .say = say,
				       .arg = v };
}

/* --- the policy --- */

/* Whether the device can be given to a guest with these rules, or goes on with the one that has it. */
static int check_rules(struct server *v, const struct policy *p, struct err *e)
{
	const struct session_opts o = session_opts(v, p);

	return v->d ? session_check(&o, v->d, e) : session_rules(&v->session, p, e);
}

static int read_policy(struct server *v, struct policy *p, struct err *e)
{
	const struct dev_facts *f = v->d ? v->o->ops->facts(v->d) : &v->session.facts;
	uint64_t sizes[POLICY_BARS];
	int rc = policy_read(p, v->o->policy, e);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < POLICY_BARS; i++)
		sizes[i] = f->region[i].size;
	rc = policy_fits(p, sizes, e);
	rc = rc ? rc : check_rules(v, p, e);
	return rc ? err_at(e, rc, "%s", v->o->policy) : 0;
}

/* A guest at work keeps the rules it has, unless the new ones are sound. */
static void reread_policy(struct server *v)
{
	own_free struct policy *fresh = calloc(1, sizeof(*fresh));
	struct err e = { 0 };

	if (!v->o->policy || !fresh || (!v->d && v->client < 0))
		return;
	if (read_policy(v, fresh, &e)) {
		log_warn(v->log, "%s; the rules from before stay in force", e.text);
		return;
	}
	v->policy = *fresh;
	log_note(v->log, "%s: %u rules are in force", v->o->policy, (unsigned)fresh->n);
}

/* --- clients --- */

static int32_t pid_of(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 ? who.pid : 0;
}

/* The device of the last client was lost. What answers now is another, as far as anybody knows. */
static int open_again(struct server *v, struct err *e)
{
	int rc;

	if (v->d)
		return 0;
	rc = v->o->ops->open(&v->d, v->o->what, v->o->beside, e);
	if (rc)
		return err_at(e, rc, "the device is lost");
	v->page.now.generation++;
	serve_lost_over(&v->lost);
	trace_event(&v->trace, TRACE_DEVICE, telem_now_ns(), v->page.now.generation);
	v->page.now.trouble[0] = '\0';
	log_note(v->log, "%s is there again, as generation %u", v->o->what,
		 (unsigned)v->page.now.generation);
	return 0;
}

static void lose_idle(struct server *v)
{
	v->o->ops->close(v->d);
	v->d = NULL;
	trace_event(&v->trace, TRACE_LOST, telem_now_ns(), 0);
	v->page.now.state = TELEM_BRIDGE_LOST;
	text_copy(v->page.now.trouble, sizeof(v->page.now.trouble), "it was taken away");
	log_warn(v->log, "the device is lost: it was taken away while there was no client");
	serve_page_tell(&v->page, true);
}

static int open_session(struct server *v, struct err *e)
{
	const struct session_opts o = session_opts(v, &v->policy);
	int rc = open_again(v, e);

	if (rc)
		return rc;
	rc = session_open(&v->session, &o, v->d, e);
	if (rc == -ENODEV)
		lose_idle(v);
	if (!rc)
		v->d = NULL; /* the session's */
	return rc;
}

static int begin_session(struct server *v, int fd, struct err *e)
{
	int rc = open_session(v, e);

	if (rc == -ENODEV) /* gone before anybody had looked: perhaps it is back already */
		rc = open_session(v, e);
	if (rc)
		return rc;
	rc = stream_open(&v->stream, fd, MESSAGE_MS, e);
	v->stream.ahead = !rc;
	if (rc)
		v->d = session_close(&v->session);
	return rc;
}

static void take_client(struct server *v)
{
	own_fd int fd = accept4(v->sockets.list[0].fd, NULL, NULL, SOCK_CLOEXEC);
	struct err e = { 0 };
	int32_t pid;

	if (fd < 0)
		return;
	pid = pid_of(fd);
	if (v->client >= 0) {
		log_note(v->log, "process %d is refused: process %d has the device", (int)pid,
			 (int)v->page.now.client_pid);
		return;
	}
	if (begin_session(v, fd, &e)) {
		log_warn(v->log, "process %d is refused: %s", (int)pid, e.text);
		return;
	}
	v->client = take_fd(&fd);
	trace_event(&v->trace, TRACE_CLIENT, telem_now_ns(), (uint64_t)pid);
	v->page.now.state = TELEM_BRIDGE_RUNNING;
	v->page.now.client_pid = pid;
	v->page.now.connected_ns = telem_now_ns();
	v->page.now.counts.clients++;
	log_detail(v->log, "process %d is the client", (int)pid);
	serve_page_tell(&v->page, true);
}

static void end_client(struct server *v, const char *why)
{
	struct telem_bridge *b = &v->page.now;

	if (v->client < 0)
		return;
	log_detail(v->log, "%s", why);
	v->d = session_close(&v->session);
	trace_event(&v->trace, TRACE_GONE, telem_now_ns(), 0);
	stream_close(&v->stream);
	own_close_fd(&v->client);
	v->lost_once = !v->d;
	b->state = v->d ? TELEM_BRIDGE_WAITING : TELEM_BRIDGE_LOST;
	b->client_pid = 0;
	b->connected_ns = 0;
	v->ending |= v->o->once;
	serve_page_tell(&v->page, true);
}

/* --- messages: looked at, done, answered, and only then taken --- */

static void send_answer(struct server *v, const struct answer *a)
{
	own_fd int fd = a->fd;
	int rc = a->size ? stream_send(&v->stream, a->bytes, a->size, fd) : 0;

	if (rc)
		end_client(v, rc == -ETIMEDOUT ? "the client does not read its replies"
					       : "the client is gone");
}

static void serve_message(struct server *v)
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
		v->page.now.counts.refused += rc != -EPIPE;
		end_client(v, e.text);
		return;
	}
	rc = session_message(&v->session, &in, &a, &e);
	stream_drop(&in);
	send_answer(v, &a);
	if (v->client >= 0 && (stream_take(&v->stream, &in) || rc))
		end_client(v, rc ? e.text : "the client is gone");
}

static void serve_device(struct server *v)
{
	struct answer a;

	session_attend(&v->session, &a);
	send_answer(v, &a);
}

static void tick(struct server *v)
{
	if (v->client >= 0) {
		session_tick(&v->session);
		if (v->session.step == SESSION_NEW &&
		    telem_now_ns() - v->page.now.connected_ns > HELLO_NS) {
			log_note(v->log,
				 "the client is let go: it does not say which version it speaks");
			end_client(v, "it was silent");
		}
	} else if (v->d && v->o->ops->present(v->d)) {
		lose_idle(v);
	}
	if (v->client >= 0 ? !v->session.d : !v->d)
		serve_lost_look(&v->lost, v->o, &v->page.now, v->log);
}

/* --- what is asked of the bridge itself --- */

static int record_in(struct server *v, const char *path, int *fd, struct err *e)
{
	struct trace fresh;
	int rc = trace_join(&fresh, take_fd(fd), e);

	if (rc)
		return rc;
	rc = whichbridge_link(v->page.writer.path, path, e);
	if (rc) {
		trace_close(&fresh);
		return rc;
	}
	trace_close(&v->trace);
	v->trace = fresh;
	trace_event(&v->trace, TRACE_DEVICE, telem_now_ns(), v->page.now.generation);
	if (v->client >= 0) {
		trace_event(&v->trace, TRACE_CLIENT, telem_now_ns(),
			    (uint64_t)v->page.now.client_pid);
		session_record_state(&v->session);
	}
	return 0;
}

static int do_asked(void *arg, struct control_ask *a, struct err *e)
{
	struct server *v = arg;
	char what[16], path[4096];

	json_get_text(a->what, "do", what, sizeof(what));
	json_get_text(a->what, "path", path, sizeof(path));
	if (strcmp(what, "record") == 0 && a->n_fds == 1)
		return record_in(v, path, &a->fds[0], e);
	if (strcmp(what, "stop") != 0)
		return err_set(e, -EINVAL, "it cannot do '%s'", what);
	if (!v->trace.head)
		return err_set(e, -ENODEV, "it records nothing");
	trace_close(&v->trace);
	return whichbridge_link(v->page.writer.path, NULL, e);
}

/* --- the loop --- */

static void take_signal(struct server *v)
{
	struct signalfd_siginfo s;

	if (read(v->signals, &s, sizeof(s)) != sizeof(s))
		return;
	if (s.ssi_signo == SIGHUP)
		reread_policy(v);
	else
		v->ending = true;
}

static int loop(struct server *v, struct err *e)
{
	int64_t ticked = 0;

	while (!v->ending) {
		struct pollfd p[POLLED] = {
			[SIGNALS] = { .fd = v->signals, .events = POLLIN },
			[LISTENING] = { .fd = v->sockets.list[0].fd, .events = POLLIN },
			[CONTROL] = { .fd = v->control.fd, .events = POLLIN },
			[CLIENT] = { .fd = v->client, .events = POLLIN },
			[DEVICE] = { .fd = v->client < 0 ? -1 : session_poll_fd(&v->session),
				     .events = POLLIN },
			[UNPLUG] = { .fd = unplug_fd(&v->lost.unplug), .events = POLLIN },
		};

		if (poll(p, POLLED, v->late ? SOON_MS : TICK_MS) < 0 && errno != EINTR)
			return err_set(e, -errno, "cannot wait for clients: %s", strerror(errno));
		if (p[SIGNALS].revents)
			take_signal(v);
		if (p[CLIENT].revents)
			serve_message(v);
		if (p[DEVICE].revents && v->client >= 0)
			serve_device(v);
		if (p[LISTENING].revents)
			take_client(v);
		if (p[CONTROL].revents)
			control_serve(&v->control, do_asked, v);
		if (p[UNPLUG].revents)
			serve_lost_hear(&v->lost, v->log);
		if (v->client >= 0 && !v->session.d)
			serve_lost_ask(&v->lost, v->session.shaped.msix);
		int64_t now = (int64_t)(telem_now_ns() / 1000000);

		if (now - ticked >= TICK_MS) {
			tick(v);
			ticked = now;
		}
		v->late = serve_page_tell(&v->page, false);
	}
	return 0;
}

/* --- the beginning and the end --- */

static int catch_signals(struct server *v, struct err *e)
{
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, &v->before);
	signal(SIGPIPE, SIG_IGN);
	v->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	return v->signals < 0 ? err_set(e, -errno, "cannot wait for signals: %s", strerror(errno))
			      : 0;
}

static int listen_at(struct server *v, struct err *e)
{
	char place[128];

	snprintf(place, sizeof(place), "unix:%s", v->o->socket);
	return sockets_open(&v->sockets, place, false, e);
}

static int open_trace(struct server *v, struct err *e)
{
	const struct trace_about about = { .device = v->o->what,
					   .backend = v->o->ops->name,
					   .socket = v->o->socket,
					   .guest = v->o->guest,
					   .now_ns = telem_now_ns() };
	int rc = 0;

	if (v->o->record)
		rc = trace_create(&v->trace, v->o->record, v->o->record_bytes, &about, e);
	if (rc)
		return rc;
	trace_event(&v->trace, TRACE_DEVICE, about.now_ns, 1);
	return 0;
}

/* A client's memory and interrupts are a descriptor each. */
static void allow_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int begin(struct server *v, struct err *e)
{
	/* Its child keeps nothing of what is opened later. */
	int rc = unplug_open(&v->lost.unplug, &v->o->unplug, e);

	if (!rc)
		rc = catch_signals(v, e);
	allow_descriptors();
	if (!rc)
		rc = v->o->ops->open(&v->d, v->o->what, v->o->beside, e);
	if (!rc)
		rc = v->o->policy ? read_policy(v, &v->policy, e) : check_rules(v, &v->policy, e);
	if (!rc)
		rc = listen_at(v, e);
	if (!rc)
		rc = open_trace(v, e);
	if (!rc)
		rc = serve_page_open(&v->page, v->o, e);
	if (!rc)
		rc = control_open(&v->control, v->page.writer.path, e);
	if (!rc && v->o->record)
		rc = whichbridge_link(v->page.writer.path, v->o->record, e);
	if (rc)
		return rc;
	text_copy(v->page.now.backend, sizeof(v->page.now.backend),
		  v->o->ops->facts(v->d)->backend);
	v->page.now.state = TELEM_BRIDGE_WAITING;
	serve_page_tell(&v->page, true);
	log_note(v->log, "%s waits for a client at %s", v->o->what, v->o->socket);
	return 0;
}

static void end(struct server *v)
{
	struct err unsaid = { 0 };

	end_client(v, "the bridge ends");
	unplug_close(&v->lost.unplug);
	sockets_close(&v->sockets);
	control_close(&v->control);
	if (v->page.writer.page)
		whichbridge_link(v->page.writer.path, NULL, &unsaid);
	serve_page_close(&v->page);
	if (v->d)
		v->o->ops->close(v->d);
	trace_close(&v->trace);
	own_close_fd(&v->signals);
	sigprocmask(SIG_SETMASK, &v->before, NULL);
}

int serve_run(const struct serve_opts *o, const struct log *log, struct err *e)
{
	own_free struct server *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	v->o = o;
	v->log = log;
	v->client = v->signals = v->control.fd = v->lost.unplug.orders = -1;
	v->page.trace = &v->trace;
	rc = begin(v, e);
	if (!rc)
		rc = loop(v, e);
	end(v);
	if (!rc && o->once && v->lost_once)
		rc = err_set(e, -ENXIO, "the device was lost while its client was there");
	return rc;
}
