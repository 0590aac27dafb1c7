/* SPDX-License-Identifier: MIT */
#include "vram-planner/core_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/own.h"
#include "base/self.h"
#include "base/text.h"

#define ANSWER_MAX 65536
#define LEAVE_MS   5000 /* drivers take a while to give everything back */

static int find_core(char path[PATH_MAX], struct err *e)
{
	int rc = self_path(path, PATH_MAX, "libexec/berth/core", e);

	if (rc)
		return rc;
	if (access(path, X_OK) != 0)
		return err_set(e, -ENOENT, "the engine is not part of this installation");
	return 0;
}

/* To be read through /proc/self/fd in the child: no file to leave behind. */
static int write_plan(const struct plan *p, const char *model_path, struct err *e)
{
	own_fd int fd = memfd_create("plan", 0);
	own_free struct plan *copy = malloc(sizeof(*copy));

	if (fd < 0 || !copy)
		return err_set(e, -ENOMEM, "no memory for a plan");
	*copy = *p;
	text_copy(copy->model_path, sizeof(copy->model_path), model_path);
	json_t *o = plan_to_json(copy);
	int rc = json_dumpfd(o, fd, JSON_COMPACT);

	json_decref(o);
	return rc ? err_set(e, -EIO, "the plan cannot be handed to the engine") : take_fd(&fd);
}

static void become_core(const char *core, const char *mode, int plan_fd, int in, int out)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char plan[64];

	snprintf(plan, sizeof(plan), "/proc/self/fd/%d", plan_fd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execl(core, "core", mode, "--plan", plan, (char *)NULL);
	_exit(127);
}

int core_start(struct core_run *r, const struct plan *p, const char *model_path, const char *mode,
	       struct err *e)
{
	int to[2], from[2];
	char core[PATH_MAX];
	int rc = find_core(core, e);

	*r = (struct core_run) { -1, -1, -1 };
	own_fd int plan = rc ? rc : write_plan(p, model_path, e);

	if (plan < 0)
		return plan;
	if (pipe2(to, O_CLOEXEC) != 0)
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	own_fd int their_in = to[0];
	own_fd int our_in = to[1];

	if (pipe2(from, O_CLOEXEC) != 0)
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	own_fd int our_out = from[0];
	own_fd int their_out = from[1];

	r->pid = fork();
	if (r->pid < 0)
		return err_set(e, -errno, "no child can be made: %s", strerror(errno));
	if (r->pid == 0)
		become_core(core, mode, plan, their_in, their_out);
	r->in = take_fd(&our_in);
	r->out = take_fd(&our_out);
	return 0;
}

/* Until the end, a whole line when it is compact, or the time is up. The bytes, or -ETIMEDOUT. */
static long read_answer(int from, char *buf, size_t size, int timeout_s)
{
	int64_t until = clock_ms() + timeout_s * INT64_C(1000);
	size_t got = 0;

	while (got < size) {
		if (io_await(from, until))
			return -ETIMEDOUT;
		ssize_t n = read(from, buf + got, size - got);

		if (n <= 0)
			break;
		got += (size_t)n;
		/* "{\n" opens an object that goes on */
		if (buf[got - 1] == '\n' && got > 2 && buf[1] != '\n')
			break;
	}
	return (long)got;
}

json_t *core_answer(const struct core_run *r, int timeout_s, struct err *e)
{
	own_free char *answer = malloc(ANSWER_MAX);
	long n = answer ? read_answer(r->out, answer, ANSWER_MAX, timeout_s) : 0;

	if (n == -ETIMEDOUT) {
		err_set(e, -ETIMEDOUT, "the engine did not answer within %d seconds", timeout_s);
		return NULL;
	}
	if (n <= 0) {
		err_set(e, -EIO, "the engine gave no answer");
		return NULL;
	}
	return json_parse(answer, (size_t)n, "the engine's answer", e);
}

void core_end(struct core_run *r)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	int64_t until = clock_ms() + LEAVE_MS;

	own_close_fd(&r->in);
	own_close_fd(&r->out);
	if (r->pid <= 0)
		return;
	while (waitpid(r->pid, NULL, WNOHANG) == 0) {
		if (clock_ms() > until)
			kill(r->pid, SIGKILL);
		nanosleep(&pause, NULL);
	}
	r->pid = -1;
}
