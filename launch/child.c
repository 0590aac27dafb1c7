/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/own.h"
#include "launch/child.h"
#include "launch/tail.h"

#define OUTPUT_MAX (1 << 20)

/* What the child needs between fork and exec. */
struct stage {
	const struct core_start *start;
	char **env;
	char *listen_pid; /* in env, to be filled by the child; NULL: no sockets */
	const cpu_set_t *cpus;
	pid_t parent;
	int control, err, out; /* its ends; -1: none, or inherit */
	int failed;            /* to tell the parent an errno of exec */
};

/* Ours with the changes. The first n_ours texts are ours still, the others to be freed. */
struct environment {
	char **list; /* ends with NULL */
	size_t n_ours;
	char *listen_pid;
};

#define LISTEN_PID "LISTEN_PID="

static bool changes(const struct core_start *s, const char *entry)
{
	for (uint32_t i = 0; i < s->n_env; i++) {
		size_t n = strlen(s->env[i].name);

		if (strncmp(entry, s->env[i].name, n) == 0 && entry[n] == '=')
			return true;
	}
	return strncmp(entry, "LISTEN_", 7) == 0; /* meant for us, if for anybody */
}

static void environment_fini(struct environment *env)
{
	for (char **p = env->list ? env->list + env->n_ours : NULL; p && *p; p++)
		free(*p);
	free(env->list);
	env->list = NULL;
}

/* Of the pid only the room: nobody knows it yet. */
static int environment_sockets(struct environment *env, size_t n, const struct core_start *s)
{
	char **list = env->list + n;

	if (asprintf(&list[0], "LISTEN_FDS=%u", s->n_sockets) < 0) {
		list[0] = NULL;
		return -ENOMEM;
	}
	if (asprintf(&list[1], "LISTEN_FDNAMES=%s", s->socket_names) < 0) {
		list[1] = NULL;
		return -ENOMEM;
	}
	list[2] = calloc(1, sizeof(LISTEN_PID) + 20);
	if (!list[2])
		return -ENOMEM;
	strcpy(list[2], LISTEN_PID);
	env->listen_pid = list[2] + sizeof(LISTEN_PID) - 1;
	return 0;
}

static int environment_init(struct environment *env, const struct core_start *s)
{
	size_t n = 0;

	while (environ[n])
		n++;
	*env = (struct environment) { calloc(n + s->n_env + 4, sizeof(*env->list)), 0, NULL };
	if (!env->list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!changes(s, environ[i]))
			env->list[env->n_ours++] = environ[i];
	n = env->n_ours;
	for (uint32_t i = 0; i < s->n_env; i++) {
		if (s->env[i].unset)
			continue;
		if (asprintf(&env->list[n], "%s=%s", s->env[i].name, s->env[i].value) < 0) {
			env->list[n] = NULL;
			return -ENOMEM;
		}
		n++;
	}
	return s->n_sockets ? environment_sockets(env, n, s) : 0;
}

/* A descriptor may already have the number another one is to get: move all out of the way first. */
static int high(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 20);
}

/* printf is not for a child of fork */
static void put_pid(char *to)
{
	char digits[20];
	int n = 0;

	for (pid_t pid = getpid(); pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n > 0)
		*to++ = digits[--n];
	*to = 0;
}

/* The sockets, and after them the control line. */
static void place_sockets(const struct stage *s, const int *sockets, int control)
{
	uint32_t n = s->start->n_sockets;

	for (uint32_t i = 0; i < n; i++)
		dup2(sockets[i], CHILD_CONTROL_FD + (int)i);
	if (control >= 0)
		dup2(control, CHILD_CONTROL_FD + (int)n);
	if (n)
		put_pid(s->listen_pid);
	/* What whoever called us left open is no engine's; the rest is closed by then, too */
	close_range(CHILD_CONTROL_FD + n + (control >= 0), ~0U, CLOSE_RANGE_CLOEXEC);
}

/*
 * Ends in exec or _exit. Only system calls: the topology's plugins may have started threads, and one
 * of them may hold the lock of malloc for ever.
 */
static void become(const struct stage *s)
{
	sigset_t none;
	int control = high(s->control), err = high(s->err), out = high(s->out),
	    failed = high(s->failed);
	int null = high(open("/dev/null", O_RDONLY | O_CLOEXEC));
	int sockets[SOCKETS_MAX];

	for (uint32_t i = 0; i < s->start->n_sockets; i++)
		sockets[i] = high(s->start->sockets[i]);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have died before the line above */
	if (getppid() != s->parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	/* In a background group, a terminal with "tostop" would stop it at its first token */
	signal(SIGTTOU, SIG_IGN);
	dup2(null, STDIN_FILENO);
	dup2(err, STDERR_FILENO);
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	place_sockets(s, sockets, control);
	if (s->cpus)
		sched_setaffinity(0, sizeof(*s->cpus), s->cpus);
	execve(s->start->argv[0], (char *const *)s->start->argv, s->env);
	int rc = errno;
	if (write(failed, &rc, sizeof(rc)) < 0)
		_exit(126);
	_exit(127);
}

struct pipes {
	int control[2], err[2], out[2], failed[2];
};

static void close_pair(int fd[2])
{
	own_close_fd(&fd[0]);
	own_close_fd(&fd[1]);
}

static void close_pipes(struct pipes *p)
{
	close_pair(p->control);
	close_pair(p->err);
	close_pair(p->out);
	close_pair(p->failed);
}

static int open_pipes(struct pipes *p, bool control, bool capture)
{
	*p = (struct pipes) { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if ((control && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->control) < 0) ||
	    pipe2(p->err, O_CLOEXEC) < 0 || (capture && pipe2(p->out, O_CLOEXEC) < 0) ||
	    pipe2(p->failed, O_CLOEXEC) < 0) {
		int rc = -errno;

		close_pipes(p);
		return rc;
	}
	return 0;
}

static int take_nonblocking(int *fd)
{
	if (*fd >= 0)
		fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
	return take_fd(fd);
}

static int start(struct child *c, const struct core_start *s, const cpu_set_t *cpus,
		 const struct pipes *p)
{
	struct environment env;
	int rc = environment_init(&env, s);

	if (rc == 0) {
		struct stage stage = { s,         env.list,  env.listen_pid,
				       cpus,      getpid(),  p->control[1],
				       p->err[1], p->out[1], p->failed[1] };

		fflush(NULL);
		c->pid = fork();
		if (c->pid == 0)
			become(&stage);
		rc = c->pid < 0 ? -errno : 0;
	}
	if (rc)
		c->pid = 0;
	environment_fini(&env);
	return rc;
}

int child_start(struct child *c, const struct core_start *s, const cpu_set_t *cpus, bool control,
		bool capture, struct err *e)
{
	struct pipes p;
	int rc = open_pipes(&p, control, capture), failure = 0;

	*c = (struct child) { .control_fd = -1, .err_fd = -1, .out_fd = -1 };
	if (rc)
		return err_set(e, rc, "no pipe for the core: %s", strerror(-rc));
	rc = start(c, s, cpus, &p);
	if (rc) {
		close_pipes(&p);
		return err_set(e, rc, "the core cannot be started: %s", strerror(-rc));
	}
	setpgid(c->pid, c->pid); /* in both processes, so that neither order is a race */
	c->control_fd = take_nonblocking(&p.control[0]);
	c->err_fd = take_nonblocking(&p.err[0]);
	c->out_fd = take_nonblocking(&p.out[0]);
	own_close_fd(&p.failed[1]);
	/* Ends at exec, or brings the errno of its failure */
	if (io_read(p.failed[0], &failure, sizeof(failure)) != (long)sizeof(failure))
		failure = 0;
	close_pipes(&p);
	if (failure == 0)
		return 0;
	child_fini(c);
	return err_set(e, -failure, "%s cannot be started: %s; run `make`", s->argv[0],
		       strerror(failure));
}

void child_fini(struct child *c)
{
	if (c->pid > 0) {
		kill(-c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	c->pid = 0;
	own_close_fd(&c->control_fd);
	own_close_fd(&c->err_fd);
	own_close_fd(&c->out_fd);
}

struct output {
	char *bytes;
	size_t n;
	struct tail tail;
};

/* Read both until both end. 0, -ETIMEDOUT or -EFBIG. */
static int read_both(struct child *c, int64_t deadline, struct output *o)
{
	while (c->out_fd >= 0 || c->err_fd >= 0) {
		struct pollfd p[2] = { { c->out_fd, POLLIN, 0 }, { c->err_fd, POLLIN, 0 } };
		int64_t left = deadline - clock_ms();
		char buf[4096];
		ssize_t k;

		if (left <= 0 || poll(p, 2, (int)left) == 0)
			return -ETIMEDOUT;
		if (p[1].revents) {
			k = read(c->err_fd, buf, sizeof(buf));
			if (k > 0)
				tail_add(&o->tail, buf, (size_t)k);
			else if (k == 0 || (errno != EAGAIN && errno != EINTR))
				own_close_fd(&c->err_fd);
		}
		if (p[0].revents) {
			k = read(c->out_fd, o->bytes + o->n, OUTPUT_MAX - o->n);
			if (k > 0)
				o->n += (size_t)k;
			else if (k == 0 || (errno != EAGAIN && errno != EINTR))
				own_close_fd(&c->out_fd);
			if (o->n == OUTPUT_MAX)
				return -EFBIG;
		}
	}
	return 0;
}

/* Of what did not end by itself, and answered in bounds, there is no answer. */
static int judge_end(int rc, int status, const struct child_answer *a, const char *program,
		     int timeout_ms, struct err *e)
{
	if (rc == -ETIMEDOUT)
		return err_set(e, rc, "%s did not answer within %d s; a driver may hang", program,
			       timeout_ms / 1000);
	if (rc)
		return err_set(e, rc, "%s answered more than %d bytes", program, OUTPUT_MAX);
	if (WIFSIGNALED(status))
		return err_set(e, -EIO, "%s was ended by signal %d%s%s", program, WTERMSIG(status),
			       a->said[0] ? ": " : "", a->said);
	return 0;
}

int child_ask(const struct core_start *s, int timeout_ms, struct child_answer *a, struct err *e)
{
	own_free struct output *o = calloc(1, sizeof(*o));
	own_free char *bytes = malloc(OUTPUT_MAX + 1);
	struct child c;
	int status = 0, rc;

	*a = (struct child_answer) { 0 };
	if (!o || !bytes)
		return err_set(e, -ENOMEM, "out of memory");
	o->bytes = bytes;
	rc = child_start(&c, s, NULL, false, true, e);
	if (rc)
		return rc;
	rc = read_both(&c, clock_ms() + timeout_ms, o);
	if (rc)
		kill(-c.pid, SIGKILL);
	while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
		continue;
	c.pid = 0;
	child_fini(&c);
	tail_reason(&o->tail, a->said, sizeof(a->said));
	rc = judge_end(rc, status, a, s->argv[0], timeout_ms, e);
	if (rc)
		return rc;
	bytes[o->n] = 0;
	a->exit = WEXITSTATUS(status);
	a->n = o->n;
	a->out = take_ptr(&bytes);
	return 0;
}

int child_output(const struct core_start *s, int timeout_ms, char **out, size_t *n, struct err *e)
{
	struct child_answer a;
	int rc = child_ask(s, timeout_ms, &a, e);

	*out = NULL;
	if (rc)
		return rc;
	if (a.exit) {
		free(a.out);
		return err_set(e, -EIO, "%s ended with status %d%s%s", s->argv[0], a.exit,
			       a.said[0] ? ": " : "", a.said);
	}
	*n = a.n;
	*out = a.out;
	return 0;
}
