/* SPDX-License-Identifier: MIT */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/own.h"

#define CLOSE_MS 200 /* for a process that is killed to be dead */

/* Nobody else stops a child whose parent died; its crash is no news, its prints are no answer. */
static void settle(void)
{
	own_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit) { 0 });
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
}

int child_open(struct child *c, void (*work)(int to, void *arg), void *arg)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	own_fd int from = ends[0];
	own_fd int to = ends[1];
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		settle();
		work(to, arg);
		_exit(0);
	}
	*c = (struct child) { .pid = pid, .from = take_fd(&from) };
	return 0;
}

void child_send(int to, const void *record, size_t size)
{
	if (io_write(to, record, size))
		_exit(1);
}

int child_receive(const struct child *c, void *record, size_t size, int timeout_ms)
{
	int64_t until = clock_ms() + timeout_ms;
	size_t got = 0;

	while (got < size) {
		if (io_await(c->from, until))
			return -ETIMEDOUT;
		ssize_t n = read(c->from, (char *)record + got, size - got);

		if (n <= 0)
			return 0;
		got += (size_t)n;
	}
	return 1;
}

bool child_collect(pid_t pid, int64_t until)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_ms() >= until)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

bool child_close(struct child *c)
{
	own_close_fd(&c->from);
	if (!c->pid)
		return true;
	kill(c->pid, SIGKILL);
	if (!child_collect(c->pid, clock_ms() + CLOSE_MS))
		return false;
	c->pid = 0;
	return true;
}
