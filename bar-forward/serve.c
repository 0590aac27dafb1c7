/* SPDX-License-Identifier: MIT */
/* The opener: share.h tells of it, and of its children. */
#include "bar-forward/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/crew.h"
#include "bar-forward/opener.h"
#include "bar-forward/policy.h"
#include "bar-forward/whichbridge.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/own.h"
#include "base/text.h"

#define BEAT_MS     1000
#define END_MS      60000 /* for a holder to end: it unmaps a guest's memory, and resets the device */
#define AGAIN_MS    2000 /* who asks for the end a second time after so long does not want to wait */
#define KILL_MS     5000 /* for one that is killed to be dead, unless the kernel keeps it */
#define HEAR_TURNS  64
#define SHARED_MODE 0660 /* of a socket that is for a group */

/* --- signals, and the dead --- */

static void take_worker_death(struct server *v, const siginfo_t *si)
{
	struct line l = { .kind = LINE_DIED,
			  .pid = si->si_pid,
			  .status = si->si_code == CLD_EXITED ? 0 : si->si_status,
			  .at_ns = telem_now_ns() };
	struct counted c = { 0 };

	if (si->si_code == CLD_EXITED && si->si_status == SPAWN_NO_RUN)
		log_warn(v->log, "user %s cannot run %s, or what that needs", v->user.name,
			 v->spawn.path);
	l.counted = spawn_collect(&v->spawn, si->si_pid, &c);
	l.rchar = c.read;
	l.wchar = c.written;
	opener_send(v, &l, -1);
}

static void take_holder_death(struct server *v, const siginfo_t *si)
{
	/* Its last words, behind all that there was room for. */
	for (int turn = 0; turn < HEAR_TURNS && opener_hear(v); turn++)
		;
	waitpid(v->holder, NULL, 0);
	v->holder = 0;
	own_close_fd(&v->line);
	if (!v->ended)
		err_set(&v->last, -EIO, "the process that holds the device died (%s %d)",
			si->si_code == CLD_EXITED ? "exit" : "signal", si->si_status);
}

/* What a worker has counted is there until it is waited for. */
static bool is_dead(pid_t pid, siginfo_t *si)
{
	*si = (siginfo_t) { 0 };
	return pid > 0 && waitid(P_PID, (id_t)pid, si, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       si->si_pid == pid;
}

/* Its last words, if it had any, are before ours. */
static void take_fetcher_death(struct server *v)
{
	struct line l = { .kind = LINE_MADE, .pid = v->fetchers.order, .rc = -EIO };

	text_copy(l.text, sizeof(l.text), "the process that was to open it died");
	opener_send(v, &l, -1);
}

static void take_deaths(struct server *v)
{
	siginfo_t si;

	for (uint32_t i = 0; i < SPAWN_MAX; i++)
		if (is_dead(v->spawn.child[i].pid, &si))
			take_worker_death(v, &si);
	if (fetch_reap(&v->fetchers))
		take_fetcher_death(v);
	if (is_dead(v->holder, &si))
		take_holder_death(v, &si);
}

static void send_policy(struct server *v)
{
	struct err e = { 0 };
	own_fd int fd = v->o->policy ? policy_open(v->o->policy, &e) : -1;

	if (!v->o->policy)
		return;
	if (fd < 0)
		log_warn(v->log, "%s; the rules from before stay in force", e.text);
	else
		opener_send(v, &(struct line) { .kind = LINE_POLICY }, fd);
}

/* One press of a key at a terminal may be told twice, by it and by who started us. */
static void tell_end(struct server *v)
{
	if (!v->asked_ms)
		v->asked_ms = clock_ms();
	else
		v->hurry |= clock_ms() - v->asked_ms > AGAIN_MS;
	opener_send(v, &(struct line) { .kind = LINE_END }, -1);
}

static void take_signal(struct server *v)
{
	struct signalfd_siginfo s;

	while (read(v->signals, &s, sizeof(s)) == sizeof(s)) {
		switch (s.ssi_signo) {
		case SIGHUP:
			send_policy(v);
			break;
		case SIGCHLD:
			break;
		default:
			tell_end(v);
			break;
		}
	}
	take_deaths(v);
}

/* Whether a lost device is back, each second. */
static void look_for_it(struct server *v)
{
	uint64_t now = telem_now_ns();

	if (!v->is_lost || now - v->looked_ns < BEAT_MS * UINT64_C(1000000))
		return;
	v->looked_ns = now;
	serve_lost_look(&v->lost, v->o, v->page.now, v->log);
}

/* What it does may hang in the kernel. */
static bool is_overdue(const struct server *v)
{
	return v->asked_ms && (v->hurry || clock_ms() - v->asked_ms > END_MS);
}

static int loop(struct server *v, struct err *e)
{
	while (v->holder) {
		if (is_overdue(v))
			return err_set(
				e, -EIO,
				"the process that holds the device does not end, and is killed");
		struct pollfd p[] = { { .fd = v->signals, .events = POLLIN },
				      { .fd = v->line, .events = POLLIN },
				      { .fd = v->control.fd, .events = POLLIN },
				      { .fd = unplug_fd(&v->lost.unplug), .events = POLLIN } };

		if (poll(p, 4, BEAT_MS) < 0 && errno != EINTR)
			return err_set(e, -errno, "cannot wait: %s", strerror(errno));
		opener_hear(v);
		if (p[2].revents)
			control_serve(&v->control, opener_asked, v);
		if (p[3].revents)
			serve_lost_hear(&v->lost, v->log);
		look_for_it(v);
		take_signal(v);
	}
	return v->last.rc ? err_set(e, v->last.rc, "%s", v->last.text) : 0;
}

/* --- the beginning and the end --- */

static int catch_signals(struct server *v, struct err *e)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, &v->before);
	signal(SIGPIPE, SIG_IGN);
	v->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return v->signals < 0 ? err_set(e, -errno, "cannot wait for signals: %s", strerror(errno))
			      : 0;
}

/* By its descriptor: whoever may write to its folder could have put something else there. */
static int give_opened(const char *path, uid_t uid, gid_t gid)
{
	own_fd int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[32];
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -ESTALE;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) ||
	    (gid != (gid_t)-1 && chmod(self, SHARED_MODE)))
		return -errno;
	return 0;
}

/* Nobody but root could connect before it is somebody else's. */
static int give_socket(const struct server *v, struct err *e)
{
	uid_t uid;
	gid_t gid;
	int rc = user_parse(v->o->socket_owner, &uid, &gid, e);

	if (rc)
		return err_at(e, rc, "--socket-owner");
	rc = give_opened(v->o->socket, uid, gid);
	return rc ? err_set(e, -EPERM, "cannot give %s to %s: %s", v->o->socket, v->o->socket_owner,
			    strerror(-rc))
		  : 0;
}

static int listen_at(struct server *v, struct err *e)
{
	char place[128];
	int rc;

	snprintf(place, sizeof(place), "unix:%s", v->o->socket);
	rc = sockets_open(&v->sockets, place, false, e);
	return rc || !v->o->socket_owner ? rc : give_socket(v, e);
}

/*
 * A client's memory and interrupts are a descriptor each. And root locks what it likes, which those that are not root any
 * more are to be able to as well: the kernel counts pages that a device reaches against who maps them.
 */
static void raise_limits(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit r;

	if (geteuid() == 0)
		setrlimit(RLIMIT_MEMLOCK, &all);

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

/* With the children to come. */
static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int make_shared(struct server *v, struct err *e)
{
	int rc;

	v->page.now = shared(sizeof(*v->page.now));
	v->handed = shared(sizeof(*v->handed));
	rc = v->page.now && v->handed ? crew_share(&v->share_fd, &v->share) : -ENOMEM;
	if (rc)
		return err_set(e, rc, "no memory: %s", strerror(-rc));
	v->page.worker = &v->share->count;
	v->page.trace = &v->trace;
	return 0;
}

static int begin(struct server *v, struct err *e)
{
	/* Its child keeps nothing of what is opened later. */
	int rc = user_choose(&v->user, v->o->user, e);

	if (!rc)
		rc = unplug_open(&v->lost.unplug, &v->o->unplug, &v->user, e);
	if (!rc)
		rc = catch_signals(v, e);
	raise_limits();
	if (!rc)
		rc = make_shared(v, e);
	if (!rc)
		rc = spawn_open(&v->spawn, &v->user, e);
	if (!rc)
		rc = listen_at(v, e);
	if (!rc)
		rc = serve_page_open(&v->page, v->o, e);
	if (!rc)
		rc = control_open(&v->control, v->page.writer.path, e);
	if (!rc)
		rc = opener_start_holder(v, e);
	return rc;
}

static void end(struct server *v)
{
	struct err unsaid = { 0 };

	if (v->holder > 0) {
		kill(v->holder, SIGKILL);
		child_collect(v->holder, clock_ms() + KILL_MS);
	}
	spawn_close(&v->spawn);
	fetch_close(&v->fetchers);
	unplug_close(&v->lost.unplug);
	sockets_close(&v->sockets);
	control_close(&v->control);
	if (v->page.writer.page)
		whichbridge_link(v->page.writer.path, NULL, &unsaid);
	serve_page_close(&v->page);
	if (v->page.now)
		munmap(v->page.now, sizeof(*v->page.now));
	trace_close(&v->trace);
	if (v->handed)
		munmap(v->handed, sizeof(*v->handed));
	if (v->share)
		munmap(v->share, sizeof(*v->share));
	own_close_fd(&v->share_fd);
	own_close_fd(&v->line);
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
	v->signals = v->line = v->share_fd = v->spawn.program = v->spawn.next = v->control.fd =
		v->lost.unplug.orders = -1;
	rc = begin(v, e);
	if (!rc)
		rc = loop(v, e);
	end(v);
	return rc;
}
