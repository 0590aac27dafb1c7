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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/crew.h"
#include "bar-forward/fetch.h"
#include "bar-forward/holder.h"
#include "bar-forward/policy.h"
#include "bar-forward/post.h"
#include "bar-forward/spawn.h"
#include "bar-forward/whichbridge.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/own.h"
#include "base/sanitized.h"
#include "base/text.h"

#define BEAT_MS   1000
#define LINES_MAX 64 /* read at once, of a holder that may say more and more */
#define END_MS                                                                                     \
	60000 /* for a holder to end in order: it unmaps a guest's memory, and resets the device */
#define AGAIN_MS    2000 /* who asks for the end a second time after so long does not want to wait */
#define KILL_MS     5000 /* for one that is killed to be dead, unless the kernel keeps it */
#define SHARED_MODE 0660 /* of a socket that is for a group */

struct server {
	const struct serve_opts *o;
	const struct log *log;
	struct sockets sockets;
	sigset_t before; /* signals of whoever called */
	int signals;
	struct serve_page page;
	struct trace trace;
	struct control control;
	struct serve_lost lost;
	struct as_user user; /* whose the others are */
	struct spawn spawn;
	struct fetchers fetchers;
	struct dev_handed *handed; /* by them, to the holder */
	int share_fd;
	struct share *share;
	pid_t holder; /* 0: none */
	int line;     /* to it; -1 */
	bool ended, recorded;
	bool is_lost; /* the device */
	uint64_t looked_ns;
	struct err last;  /* what the holder said at its end */
	int64_t asked_ms; /* when it was first told to end; 0: it was not */
	bool hurry;       /* and somebody said so again */
	int upgrade;      /* how the last one went; -EINPROGRESS: it has not yet */
};

/* --- holders --- */

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

/* A holder reads all that it is told; one that has not for so long is not itself, or hangs. Nobody waits for it here. */
static void send_line(struct server *v, const struct line *l, int fd)
{
	if (v->line >= 0 && post_send(v->line, l, sizeof(*l), &fd, fd >= 0, 1) == -EAGAIN)
		kill(v->holder, SIGKILL);
}

static int spawn_one(struct server *v, bool next)
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
	send_line(v, &l, call);
	return pid < 0 ? pid : 0;
}

/* With workers of its own. */
static int start_holder(struct server *v, struct err *e)
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
	spawn_one(v, false);
	spawn_one(v, false);
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
		send_line(v, &l, -1);
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
	send_line(v, &l, l.rc ? -1 : v->trace.fd);
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
		spawn_one(v, false);
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

static void read_line(struct server *v)
{
	struct line l;

	for (int i = 0; i < LINES_MAX; i++) {
		if (v->line < 0 || post_take(v->line, &l, sizeof(l), NULL, NULL, 1) <= 0)
			return;
		l.text[sizeof(l.text) - 1] = '\0';
		take_line(v, &l);
	}
}

/* --- what is asked of the bridge itself --- */

/* It records there from now on; without a descriptor: nowhere. The holder has it from us, and its workers from it. */
static void record(struct server *v, struct trace *fresh)
{
	trace_stop(&v->trace);
	trace_close(&v->trace);
	v->trace = *fresh;
	send_line(v, &(struct line) { .kind = LINE_TRACE }, fresh->head ? fresh->fd : -1);
}

static int record_in(struct server *v, const char *path, int *fd, struct err *e)
{
	struct trace fresh;
	int rc = trace_join(&fresh, take_fd(fd), e);

	if (rc)
		return rc;
	rc = whichbridge_link(v->page.writer.path, path, e);
	if (rc)
		trace_close(&fresh);
	else
		record(v, &fresh);
	return rc;
}

/* Whether it fits, the holder finds out. */
static int upgrade(struct server *v, struct err *e)
{
	int rc = spawn_one(v, true);

	if (rc)
		return err_set(e, rc, "%s cannot be started: %s", v->spawn.path, strerror(-rc));
	v->upgrade = -EINPROGRESS;
	return 0;
}

static int upgraded(const struct server *v, struct err *e)
{
	if (v->upgrade == -EINPROGRESS)
		return err_set(e, v->upgrade, "%s is not ready yet", v->spawn.path);
	return v->upgrade ? err_set(e, -EBUSY, "%s does not fit what runs, the worker stays",
				    v->spawn.path)
			  : 0;
}

static int do_asked(void *arg, struct control_ask *a, struct err *e)
{
	struct server *v = arg;
	char what[16], path[4096];

	json_get_text(a->what, "do", what, sizeof(what));
	json_get_text(a->what, "path", path, sizeof(path));
	if (strcmp(what, "record") == 0 && a->n_fds == 1)
		return record_in(v, path, &a->fds[0], e);
	if (strcmp(what, "upgrade") == 0)
		return upgrade(v, e);
	if (strcmp(what, "upgraded") == 0)
		return upgraded(v, e);
	if (strcmp(what, "stop") != 0)
		return err_set(e, -EINVAL, "it cannot do '%s'", what);
	if (!v->trace.head)
		return err_set(e, -ENODEV, "it records nothing");
	record(v, &(struct trace) { 0 });
	return whichbridge_link(v->page.writer.path, NULL, e);
}

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
	send_line(v, &l, -1);
}

static void take_holder_death(struct server *v, const siginfo_t *si)
{
	read_line(v); /* its last words */
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
	send_line(v, &l, -1);
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
		send_line(v, &(struct line) { .kind = LINE_POLICY }, fd);
}

/* One press of a key at a terminal may be told twice, by it and by who started us. */
static void tell_end(struct server *v)
{
	if (!v->asked_ms)
		v->asked_ms = clock_ms();
	else
		v->hurry |= clock_ms() - v->asked_ms > AGAIN_MS;
	send_line(v, &(struct line) { .kind = LINE_END }, -1);
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
		read_line(v);
		if (p[2].revents)
			control_serve(&v->control, do_asked, v);
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
		rc = start_holder(v, e);
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
