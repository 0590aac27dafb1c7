/* SPDX-License-Identifier: MIT */
#include "bar-forward/unplug.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/qmp.h"
#include "base/apart.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define ANSWER_MS 5000  /* for the monitor, each time */
#define GUEST_MS  60000 /* for the guest, which may be busy, or be asleep */

extern char **environ;

struct order {
	bool msix;
};

/* In the child. */
struct job {
	const struct unplug_opts *o;
	const struct as_user *user;
	int orders[2];
	int to;
	char *bytes; /* QMP_OBJECT of them */
	size_t n;
};

static void say(const struct job *j, enum unplug_how how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct job *j, enum unplug_how how, const char *fmt, ...)
{
	struct unplug_word w = { .how = how };
	va_list args;

	va_start(args, fmt);
	vsnprintf(w.text, sizeof(w.text), fmt, args);
	va_end(args);
	child_send(j->to, &w, sizeof(w));
}

/* More bytes of `fd`, until the deadline. The count, 0 at the end, or a negative errno. */
static long more(struct job *j, int fd, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = until - clock_ms();
	ssize_t n;

	if (j->n == QMP_OBJECT)
		return -EMSGSIZE;
	if (left <= 0 || poll(&p, 1, (int)left) == 0)
		return -ETIMEDOUT;
	n = read(fd, j->bytes + j->n, QMP_OBJECT - j->n);
	if (n < 0)
		return errno == EINTR ? 1 : -errno; /* nothing yet */
	j->n += (size_t)n;
	return n;
}

/* How long each step may take. A monitor talks to one at a time: who comes second (another function's server) is greeted late. */
static int limit_ms(enum qmp_step step)
{
	return step == QMP_WAIT       ? GUEST_MS
	       : step == QMP_GREETING ? GUEST_MS + ANSWER_MS
				      : ANSWER_MS;
}

static int broken(long rc, enum qmp_step step, struct err *e)
{
	if (rc == -ETIMEDOUT && step == QMP_WAIT)
		return err_set(e, -ETIMEDOUT, "the guest has not let go of it in %d s",
			       GUEST_MS / 1000);
	if (rc == -ETIMEDOUT)
		return err_set(e, -ETIMEDOUT, "no answer in %d s%s", limit_ms(step) / 1000,
			       step == QMP_GREETING ? "; somebody else has it" : "");
	if (rc == -EMSGSIZE)
		return err_set(e, -EBADMSG, "more than %u bytes without an end", QMP_OBJECT);
	return err_set(e, rc < 0 ? (int)rc : -EPIPE, "it has hung up");
}

/* --- a monitor's socket --- */

static int connect_to(const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct timeval t = { .tv_sec = ANSWER_MS / 1000 };
	own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(e, -errno, "no socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	text_copy(at.sun_path, sizeof(at.sun_path), path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return err_set(e, -errno, "%s", strerror(errno));
	return take_fd(&fd);
}

/* Everything in the buffer that is whole: a line is an object. */
static int take_lines(struct job *j, struct qmp *q, int fd, struct err *e)
{
	char command[QMP_COMMAND], *end;
	int rc = 0;

	while (!rc && q->step != QMP_DONE && (end = memchr(j->bytes, '\n', j->n))) {
		size_t line = (size_t)(end - j->bytes) + 1;
		bool waited = q->step == QMP_WAIT;

		rc = qmp_take(q, j->bytes, line, command, sizeof(command), e);
		j->n -= line;
		memmove(j->bytes, end + 1, j->n);
		if (!rc && command[0] && io_write(fd, command, strlen(command)))
			rc = err_set(e, -EPIPE, "it has hung up");
		if (!rc && q->step == QMP_WAIT && !waited)
			say(j, UNPLUG_NOTE,
			    "QEMU %s has been asked to unplug %s; the guest has to let go of it",
			    q->version, q->chosen);
	}
	return rc;
}

/* What the monitor says is read by somebody who could not have connected to it, perhaps. */
static int step_down(const struct job *j, struct err *e)
{
	pid_t parent = getppid();
	int rc = user_become(j->user);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return rc ? err_set(e, rc, "cannot give up privileges: %s", strerror(-rc)) : 0;
}

static int by_socket(struct job *j, struct qmp *q, struct err *e)
{
	own_fd int fd = connect_to(j->o->qmp, e);
	enum qmp_step step = QMP_DONE;
	int64_t until = 0;
	int rc = fd < 0 ? fd : step_down(j, e);

	j->n = 0;
	while (!rc && q->step != QMP_DONE) {
		if (q->step != step) {
			step = q->step;
			until = clock_ms() + limit_ms(step);
		}
		long n = more(j, fd, until);

		rc = n <= 0 ? broken(n, step, e) : take_lines(j, q, fd, e);
	}
	return rc ? err_at(e, rc, "the monitor at %s", j->o->qmp) : 0;
}

/* --- libvirt --- */

static int start_virsh(const struct job *j, const char *command, pid_t *pid, int *from,
		       struct err *e)
{
	char *const argv[] = { (char[]) { "virsh" },
			       (char[]) { "-q" },
			       (char[]) { "qemu-monitor-command" },
			       (char[]) { "--" },
			       (char *)(uintptr_t)j->o->libvirt,
			       (char *)(uintptr_t)command,
			       NULL };
	posix_spawn_file_actions_t to;
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC))
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&to);
	posix_spawn_file_actions_adddup2(&to, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&to, ends[1], STDERR_FILENO);
	rc = posix_spawnp(pid, "virsh", &to, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&to);
	close(ends[1]);
	if (rc)
		close(ends[0]);
	*from = ends[0];
	return rc ? err_set(e, -ENOEXEC, "cannot run it: %s", strerror(rc)) : 0;
}

/* One command through it; its answer is in j->bytes. */
static int ask_virsh(struct job *j, const char *command, struct err *e)
{
	int64_t until = clock_ms() + ANSWER_MS;
	int from = -1, status = 0, rc;
	long n = 1;
	pid_t pid;

	rc = start_virsh(j, command, &pid, &from, e);
	if (rc)
		return rc;
	own_fd int fd = from;

	for (j->n = 0; n > 0;)
		n = more(j, fd, until);
	if (n < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n < 0)
		return err_set(e, (int)n, "no answer in %d s", ANSWER_MS / 1000);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		j->bytes[j->n < 200 ? j->n : 200] = '\0';
		j->bytes[strcspn(j->bytes, "\n")] = '\0';
		return err_set(e, -EACCES, "%s", text_clean(j->bytes));
	}
	return 0;
}

static int by_virsh(struct job *j, struct qmp *q, char *command, struct err *e)
{
	int rc = 0;

	while (!rc && command[0]) {
		rc = ask_virsh(j, command, e);
		if (!rc)
			rc = qmp_take(q, j->bytes, j->n, command, QMP_COMMAND, e);
	}
	if (!rc)
		say(j, UNPLUG_NOTE,
		    "libvirt has been asked to unplug %s; the guest has to let go of it",
		    q->chosen);
	return rc ? err_at(e, rc, "virsh qemu-monitor-command %s", j->o->libvirt) : 0;
}

/* --- the child --- */

static void unplug(struct job *j, bool msix)
{
	struct err e = { 0 };
	char command[QMP_COMMAND];
	struct qmp q;
	int rc;

	if (j->o->qmp) {
		qmp_begin(&q, j->o->socket, msix);
		rc = by_socket(j, &q, &e);
	} else {
		qmp_begin_mute(&q, j->o->socket, msix, command, sizeof(command));
		rc = by_virsh(j, &q, command, &e);
	}
	if (rc)
		say(j, UNPLUG_WARNING,
		    "the lost device is not unplugged, and reads all-ones in its guest: %s",
		    e.text);
	else if (q.step == QMP_DONE)
		say(j, UNPLUG_DONE, "the guest has let go of the lost device: %s is unplugged",
		    q.chosen);
}

/* Each is done by a process of its own, since who has stepped down stays there. */
static void unplug_apart(struct job *j, bool msix)
{
	pid_t us = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == us)
			unplug(j, msix);
		_exit(0);
	}
	if (pid < 0)
		say(j, UNPLUG_WARNING, "no process to unplug the lost device with: %s",
		    strerror(errno));
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void work(int to, void *arg)
{
	struct job *j = arg;
	struct order order;

	signal(SIGPIPE, SIG_IGN);
	/* What a terminal tells all of us is for who serves: that ends this one, too. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	apart_close_others(to, j->orders[0]);
	j->to = to;
	j->bytes = malloc(QMP_OBJECT + 1);
	while (j->bytes && io_read(j->orders[0], &order, sizeof(order)) == sizeof(order))
		unplug_apart(j, order.msix);
}

/* --- for who serves --- */

int unplug_open(struct unplug *u, const struct unplug_opts *o, const struct as_user *user,
		struct err *e)
{
	struct job j = { .o = o, .user = user };
	size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	int rc;

	*u = (struct unplug) { .orders = -1, .child = { .from = -1 } };
	if (!o->qmp && !o->libvirt)
		return 0;
	if (o->qmp && strlen(o->qmp) > most)
		return err_set(e, -EINVAL, "the path of --qmp has %zu bytes; at most %zu",
			       strlen(o->qmp), most);
	if (pipe2(j.orders, O_CLOEXEC))
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	rc = child_open(&u->child, work, &j);
	close(j.orders[0]);
	if (rc) {
		close(j.orders[1]);
		return err_set(e, rc, "no child to unplug with: %s", strerror(-rc));
	}
	fcntl(j.orders[1], F_SETFL, O_NONBLOCK);
	u->orders = j.orders[1];
	return 0;
}

void unplug_ask(struct unplug *u, bool msix)
{
	const struct order order = { msix };

	if (u->orders >= 0)
		io_write(u->orders, &order, sizeof(order));
}

int unplug_fd(const struct unplug *u)
{
	return u->orders >= 0 ? u->child.from : -1;
}

bool unplug_hear(struct unplug *u, struct unplug_word *w)
{
	bool heard = child_receive(&u->child, w, sizeof(*w), ANSWER_MS) == 1;

	w->text[sizeof(w->text) - 1] = '\0';
	text_clean(w->text);
	return heard;
}

void unplug_close(struct unplug *u)
{
	if (u->orders < 0)
		return;
	own_close_fd(&u->orders);
	child_close(&u->child);
}
