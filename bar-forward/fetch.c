/* SPDX-License-Identifier: MIT */
#include "bar-forward/fetch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/policy.h"
#include "bar-forward/post.h"
#include "bar-forward/sandbox.h"
#include "bar-forward/share.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define END_MS 5000 /* for those that are killed to be dead, even on a busy machine */

struct fetch_answer {
	int32_t rc;
	char text[768];
};

/* --- in the child --- */

static int hand(const struct fetch_opts *o, struct device *d, int fds[DEV_FDS_MAX])
{
	o->to->facts = *o->ops->facts(d);
	o->to->size = 0;
	return o->ops->hand ? o->ops->hand(d, o->to, fds) : (int)o->ops->share(d, fds);
}

/* A device that workers can have is reached by several processes at once: so we are one of them. */
static int keep_calls(int *ours, int *theirs, struct err *e)
{
	int ends[2], rc = post_pair(ends);

	if (rc)
		return err_set(e, rc, "no socket: %s", strerror(-rc));
	*ours = ends[0];
	*theirs = ends[1];
	return 0;
}

/* The device, ours; our end of the calls in *calls, -1: nothing more is to be done. */
static int fetch(const struct fetch_opts *o, struct device **d, int *calls, struct err *e)
{
	struct line l = { .kind = LINE_MADE, .pid = o->order };
	int fds[2 + DEV_FDS_MAX], n = 0, more = 0;
	int rc = o->ops->open(d, o->what, o->beside, e);

	_Static_assert(2 + DEV_FDS_MAX <= POST_FDS, "all of them in one record");
	if (!rc && o->policy) {
		l.next |= FETCH_POLICY;
		fds[n] = policy_open(o->policy, e);
		rc = fds[n] < 0 ? fds[n] : 0;
		n++;
	}
	if (!rc && o->ops->share) {
		l.next |= FETCH_CALLS;
		rc = keep_calls(calls, &fds[n++], e);
	}
	if (!rc && (more = hand(o, *d, fds + n)) < 0)
		rc = err_set(e, more, "%s cannot be handed over: %s", o->what, strerror(-more));
	l.rc = rc;
	text_copy(l.text, sizeof(l.text), e->text);
	post_send(o->line, &l, sizeof(l), fds, rc ? 0 : (uint32_t)(n + more), 0);
	if (calls && *calls >= 0)
		close(fds[n - 1]); /* the other end: without it the holder's death is seen */
	return rc;
}

static int step_down(const struct fetch_opts *o, pid_t parent, struct err *e)
{
	int rc = user_become(o->user);

	if (rc)
		return err_set(e, rc, "cannot give up privileges: %s", strerror(-rc));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return sandbox_enter(SANDBOX_FETCHER, e);
}

static void serve_calls(const struct fetch_opts *o, struct device *d, int calls)
{
	uint32_t kind;

	while (post_take(calls, &kind, sizeof(kind), NULL, NULL, 0) == sizeof(kind)) {
		struct fetch_answer a = { 0 };
		struct err e = { 0 };

		a.rc = kind == FETCH_RESET ? o->ops->reset(d, &e) : o->ops->present(d);
		text_copy(a.text, sizeof(a.text), e.text);
		if (post_send(calls, &a, sizeof(a), NULL, 0, 0))
			return;
	}
}

static void be_fetcher(const struct fetch_opts *o, pid_t parent)
{
	struct device *d = NULL;
	struct err e = { 0 };
	int calls = -1, rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	rc = fetch(o, &d, &calls, &e);
	close(o->line);
	if (rc || calls < 0)
		return;
	rc = step_down(o, parent, &e);
	if (rc)
		log_warn(o->log, "%s; the device is reset by who holds it", e.text);
	else
		serve_calls(o, d, calls);
}

/* --- in the opener --- */

void fetch_kill(const struct fetchers *f)
{
	for (uint32_t i = 0; i < FETCHERS_MAX; i++)
		if (f->pid[i])
			kill(f->pid[i], SIGKILL);
}

int fetch_start(struct fetchers *f, const struct fetch_opts *o, void (*leave)(void *arg), void *arg,
		struct err *e)
{
	pid_t parent = getpid(), *free = NULL;

	fetch_reap(f);
	fetch_kill(f);
	for (uint32_t i = 0; i < FETCHERS_MAX; i++)
		if (!f->pid[i])
			free = &f->pid[i];
	if (!free)
		return err_set(e, -EBUSY, "%d processes that had to do with %s hang in the kernel",
			       FETCHERS_MAX, o->what);
	fflush(NULL);
	*free = fork();
	if (*free == 0) {
		prctl(PR_SET_NAME, "bridge-fetcher");
		leave(arg);
		be_fetcher(o, parent);
		_exit(0);
	}
	if (*free < 0) {
		*free = 0;
		return err_set(e, -errno, "no process to open %s: %s", o->what, strerror(errno));
	}
	f->newest = *free;
	f->order = o->order;
	return 0;
}

bool fetch_reap(struct fetchers *f)
{
	bool newest = false;

	for (uint32_t i = 0; i < FETCHERS_MAX; i++) {
		if (!f->pid[i] || waitpid(f->pid[i], NULL, WNOHANG) != f->pid[i])
			continue;
		newest |= f->pid[i] == f->newest;
		f->pid[i] = 0;
	}
	if (newest)
		f->newest = 0;
	return newest;
}

/* Those that the kernel keeps are left to it. */
void fetch_close(struct fetchers *f)
{
	int64_t until = clock_ms() + END_MS;

	fetch_kill(f);
	for (uint32_t i = 0; i < FETCHERS_MAX; i++)
		if (f->pid[i] && child_collect(f->pid[i], until))
			f->pid[i] = 0;
}

/* --- in the holder --- */

int fetch_take(struct device **d, const struct device_ops *ops, const char *what,
	       struct device *beside, const struct dev_handed *from, const int *fds, uint32_t n,
	       struct err *e)
{
	return ops->take ? ops->take(d, what, beside, from, fds, n, e)
			 : ops->join(d, what, &from->facts, fds, n, e);
}

static int take_answer(int calls, int64_t until, struct fetch_answer *a)
{
	if (io_await(calls, until))
		return -ETIMEDOUT;
	return post_take(calls, a, sizeof(*a), NULL, NULL, 0) == sizeof(*a) ? 0 : -EPIPE;
}

int fetch_call(int *calls, enum fetch_kind kind, int ms, struct err *e)
{
	const uint32_t ask = kind;
	struct fetch_answer a;
	int rc = -EPIPE;

	if (*calls >= 0)
		rc = post_send(*calls, &ask, sizeof(ask), NULL, 0, 1);
	if (!rc)
		rc = take_answer(*calls, clock_ms() + ms, &a);
	if (rc) {
		own_close_fd(calls);
		return rc == -ETIMEDOUT ? err_set(e, rc, "it does not end") : -EPIPE;
	}
	a.text[sizeof(a.text) - 1] = '\0';
	return a.rc ? err_set(e, a.rc, "%s", a.text) : 0;
}
