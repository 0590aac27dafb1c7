/* SPDX-License-Identifier: MIT */
/* Runs the core for a measure: a file with a hole for the model, a plan beside it, one JSON object back. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "vram-planner/sparse.h"
#include "vram-planner/verify.h"

#define ANSWER_MAX 65536

/* Beside this program, in the build tree and installed. */
static int find_core(char path[PATH_MAX], struct err *e)
{
	char self[PATH_MAX - 8];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return err_set(e, -errno, "/proc/self/exe cannot be read: %s", strerror(errno));
	self[n] = 0;
	*strrchr(self, '/') = 0;
	snprintf(path, PATH_MAX, "%s/core", self);
	if (access(path, X_OK) != 0)
		return err_set(e, -ENOENT, "the engine is not part of this installation");
	return 0;
}

/* The plan, to be read through /proc/self/fd in the child: no file to leave behind. */
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

static void become_core(const char *core, int plan_fd, int out)
{
	char plan[64];

	snprintf(plan, sizeof(plan), "/proc/self/fd/%d", plan_fd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO); /* a failure's words are in the answer */
	execl(core, "core", "--measure", "--plan", plan, (char *)NULL);
	_exit(127);
}

/* Until the end or the time is up. The bytes read, or -ETIMEDOUT. */
static long read_answer(int from, char *buf, size_t size)
{
	int64_t until = clock_ms() + VERIFY_TIMEOUT_S * 1000;
	size_t got = 0;

	while (got < size) {
		struct pollfd p = { .fd = from, .events = POLLIN };
		int64_t left = until - clock_ms();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return -ETIMEDOUT;
		ssize_t n = read(from, buf + got, size - got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return (long)got;
}

static int ask_core(const char *core, int plan_fd, uint32_t n_devices, struct measured *m,
		    struct err *e)
{
	own_free char *answer = malloc(ANSWER_MAX);
	int pair[2], status;

	if (!answer || pipe2(pair, O_CLOEXEC) != 0)
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	own_fd int from = pair[0];
	own_fd int to = pair[1];
	pid_t pid = fork();

	if (pid < 0)
		return err_set(e, -errno, "no child can be made: %s", strerror(errno));
	if (pid == 0)
		become_core(core, plan_fd, to);
	own_close_fd(&to);
	long n = read_answer(from, answer, ANSWER_MAX);

	if (n < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n < 0)
		return err_set(e, -ETIMEDOUT, "the engine did not answer within %d seconds",
			       VERIFY_TIMEOUT_S);
	json_t *o = json_parse(answer, (size_t)n, "the core's answer", e);

	if (!o)
		return -EBADMSG;
	int rc = measured_from_json(m, o, n_devices, e);

	json_decref(o);
	return rc;
}

void verify_measure(const struct plan *p, const struct model *model, struct measured *m)
{
	char core[PATH_MAX];
	struct sparse file = { 0 };
	struct err e = { 0 };
	int rc = find_core(core, &e);

	*m = (struct measured) { 0 };
	if (!rc && !p->n_devices && !p->host.layers)
		rc = err_set(&e, -ENODATA, "there is no placement to measure");
	if (!rc)
		rc = sparse_open(&file, model, &e);
	own_fd int plan = rc ? -1 : write_plan(p, file.path, &e);

	if (!rc && plan < 0)
		rc = plan;
	if (!rc)
		rc = ask_core(core, plan, p->n_devices, m, &e);
	sparse_close(&file);
	if (rc) {
		*m = (struct measured) { 0 };
		text_copy(m->why, sizeof(m->why), e.text);
	}
}
