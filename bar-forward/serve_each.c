/* SPDX-License-Identifier: MIT */
#include "bar-forward/serve_each.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

#define CHILD (-1)

struct crowd {
	uint32_t n, left;
	pid_t *pid; /* 0: it has ended */
	sigset_t caught, before;
	bool ending; /* all were told to */
	int exit;
};

static void tell_all(const struct crowd *c, int signal)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->pid[i])
			kill(c->pid[i], signal);
}

/* One that is told to end before it has begun to listen for that dies of it. */
static int code_of(const struct crowd *c, int status)
{
	bool told = c->ending && WIFSIGNALED(status) &&
		    (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT);

	return WIFEXITED(status) ? WEXITSTATUS(status) : told ? 0 : EXIT_ENV;
}

/* What one serves is of no use to a guest that has not the other. */
static void reap(struct crowd *c)
{
	int status;

	for (uint32_t i = 0; i < c->n; i++) {
		if (!c->pid[i] || waitpid(c->pid[i], &status, WNOHANG) != c->pid[i])
			continue;
		c->pid[i] = 0;
		c->left--;
		if (!c->exit)
			c->exit = code_of(c, status);
		if (c->exit)
			tell_all(c, SIGTERM);
	}
}

static int start(struct crowd *c, uint32_t *mine, struct err *e)
{
	pid_t us = getpid();

	for (uint32_t i = 0; i < c->n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (getppid() != us)
				_exit(EXIT_ENV);
			sigprocmask(SIG_SETMASK, &c->before, NULL);
			*mine = i;
			return CHILD;
		}
		if (pid < 0) {
			tell_all(c, SIGTERM);
			return err_set(e, -EAGAIN, "cannot start another process: %s",
				       strerror(errno));
		}
		c->pid[i] = pid;
		c->left++;
	}
	return 0;
}

int serve_each(uint32_t n, uint32_t *mine, struct err *e)
{
	own_free pid_t *pid = calloc(n, sizeof(*pid));
	struct crowd c = { .n = n, .pid = pid };
	int rc;

	if (!pid)
		return err_set(e, -ENOMEM, "out of memory");
	sigemptyset(&c.caught);
	sigaddset(&c.caught, SIGINT);
	sigaddset(&c.caught, SIGTERM);
	sigaddset(&c.caught, SIGHUP);
	sigaddset(&c.caught, SIGCHLD);
	sigprocmask(SIG_BLOCK, &c.caught, &c.before);
	rc = start(&c, mine, e);
	if (rc == CHILD)
		return rc;
	while (c.left) {
		int signal = sigwaitinfo(&c.caught, NULL);

		if (signal == SIGCHLD)
			reap(&c);
		else if (signal > 0)
			tell_all(&c, signal);
		c.ending |= signal == SIGTERM || signal == SIGINT;
	}
	sigprocmask(SIG_SETMASK, &c.before, NULL);
	return rc ? rc : c.exit;
}
