/* SPDX-License-Identifier: MIT */
/* The holder, as the opener has to do with it: started, told what happens, and heard. */
#include "bar-forward/opener.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bar-forward/holder.h"
#include "bar-forward/post.h"
#include "bar-forward/whichbridge.h"
#include "base/own.h"
#include "base/sanitized.h"
#include "base/text.h"

#define LINES_MAX 64 /* read at once, of a holder that may say more and more */
#define DEAF_MS                                                                                    \
	5000 /* for one that has not read what it was told for so long that there is no room */

/* In a child, which has no use for it. */
static void leave(void *arg)
{
	struct server *v = arg;

	own_close_fd(&v->signals);
	own_close_fd(&v->control.fd);
	own_close_fd(&v->lost.unplug.orders);
	own_close_fd(&v->lost.unplug.child.from);
	own_close_fd(&v->spawn.program);
	own_close_fd(&v->spawn.next);
	for (uint32_t i = 0; i < SPAWN_MAX; i++)
		if (v->spawn.child[i].pid)
			own_close_fd(&v->spawn.child[i].io);
}

static void be_holder(struct server *v, int line)
{
	const struct holder_start s = { .o = v->o,
					.log = v->log,
					.user = &v->user,
					.page = &v->page,
					.trace = &v->trace,
					.handed = v->handed,
					.listening = v->sockets.list[0].fd,
					.line = line,
					.share_fd = v->share_fd,
					.share = v->share };

	prctl(PR_SET_NAME, "bridge-holder");
	leave(v);
	holder_run(&s);
}

/* --- what it asks for --- */

/* One that does not read what it is told is not itself, or hangs. */
void opener_send(struct server *v, const struct line *l, int fd)
{
	struct pollfd p = { .fd = v->line, .events = POLLOUT };
	int rc = -EAGAIN;

	if (v->line < 0)
		return;
	for (int turn = 0; turn < 2 && rc == -EAGAIN; turn++) {
		if (turn)
			poll(&p, 1, DEAF_MS);
		rc = post_send(v->line, l, sizeof(*l), &fd, fd >= 0, 1);
	}
	if (rc == -EAGAIN)
		kill(v->holder, SIGKILL);
}

int opener_spawn(struct server *v, bool next)
{
	own_fd int call = -1;
	pid_t pid = spawn_worker(&v->spawn, next, &call);
	struct line l = { .kind = LINE_WORKER, .next = next, .pid = pid };

	if (pid < 0 && next)
		return pid;
	if (pid < 0) {
		log_warn(v->log, "a worker cannot be started: %s", strerror(-pid));
		l = (struct line) { .kind = LINE_NONE, .rc = pid };
	}
	opener_send(v, &l, call);
	return pid < 0 ? pid : 0;
}

/* With workers of its own. */
int opener_start_holder(struct server *v, struct err *e)
{
	pid_t parent = getpid();
	int ends[2], rc = post_pair(ends);

	if (rc)
		return err_set(e, rc, "cannot start: %s", strerror(-rc));
	own_fd int ours = ends[0];
	own_fd int theirs = ends[1];

	fflush(NULL);
	v->holder = fork();
	if (v->holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		v->line = take_fd(&ours);
		be_holder(v, theirs);
		sanitized_end();
		_exit(0);
	}
	if (v->holder < 0) {
		v->holder = 0;
		return err_set(e, -errno, "cannot start: %s", strerror(errno));
	}
	v->line = take_fd(&ours);
	opener_spawn(v, false);
	opener_spawn(v, false);
	return 0;
}

/* --- what has a path --- */

static void leave_for_fetcher(void *arg)
{
	struct server *v = arg;

	leave(v);
	own_close_fd(&v->sockets.list[0].fd);
	own_close_fd(&v->share_fd);
	trace_close(&v->trace);
}

static void fetch(struct server *v, int32_t order)
{
	const struct fetch_opts o = { .ops = v->o->ops,
				      .what = v->o->what,
				      .beside = v->o->beside,
				      .policy = v->o->policy,
				      .user = &v->user,
				      .log = v->log,
				      .to = v->handed,
				      .line = v->line,
				      .order = order };
	struct line l = { .kind = LINE_MADE, .pid = order };
	struct err e = { 0 };

	l.rc = fetch_start(&v->fetchers, &o, leave_for_fetcher, v, &e);
	text_copy(l.text, sizeof(l.text), e.text);
	if (l.rc)
		opener_send(v, &l, -1);
}

/* Once: a holder that asks for it again is not itself. */
static void make_record(struct server *v, int32_t order)
{
	const struct trace_about about = { .device = v->o->what,
					   .backend = v->o->ops->name,
					   .socket = v->o->socket,
					   .guest = v->o->guest,
					   .now_ns = telem_now_ns() };
	struct line l = { .kind = LINE_MADE, .pid = order };
	struct err e = { 0 };

	if (!v->o->record || v->recorded)
		return;
	v->recorded = true;
	l.rc = trace_create(&v->trace, v->o->record, v->o->record_bytes, &about, &e);
	text_copy(l.text, sizeof(l.text), e.text);
	opener_send(v, &l, l.rc ? -1 : v->trace.fd);
	if (!l.rc)
		whichbridge_link(v->page.writer.path, v->o->record, &(struct err) { 0 });
}

static void take_upgrade(struct server *v, int rc)
{
	spawn_settle(&v->spawn, rc == 0);
	v->upgrade = rc;
	if (rc)
		log_warn(v->log, "%s does not fit what runs, the worker stays", v->spawn.path);
	else
		log_note(v->log, "a worker of %s takes over", v->spawn.path);
}

static void take_line(struct server *v, const struct line *l)
{
	switch (l->kind) {
	case LINE_SPAWN:
		opener_spawn(v, false);
		break;
	case LINE_KILL:
		if (spawn_has(&v->spawn, l->pid))
			kill(l->pid, SIGKILL);
		break;
	case LINE_FETCH:
		fetch(v, l->pid);
		break;
	case LINE_RECORD:
		make_record(v, l->pid);
		break;
	case LINE_UPGRADE:
		take_upgrade(v, l->rc);
		break;
	case LINE_LOST:
		v->is_lost = true;
		fetch_kill(&v->fetchers);
		if (l->next)
			serve_lost_ask(&v->lost, l->rc);
		break;
	case LINE_BACK:
		v->is_lost = false;
		serve_lost_over(&v->lost);
		break;
	case LINE_ENDED:
		v->ended = true;
		v->last.rc = l->rc;
		text_copy(v->last.text, sizeof(v->last.text), l->text);
		break;
	default:
		break;
	}
}

bool opener_hear(struct server *v)
{
	struct line l;

	for (int i = 0; i < LINES_MAX; i++) {
		if (v->line < 0 || post_take(v->line, &l, sizeof(l), NULL, NULL, 1) <= 0)
			return false;
		l.text[sizeof(l.text) - 1] = '\0';
		take_line(v, &l);
	}
	return true;
}
