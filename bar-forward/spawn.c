/* SPDX-License-Identifier: MIT */
#include "bar-forward/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/post.h"
#include "bar-forward/worker.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/own.h"

#define END_MS 5000 /* for those that are killed to be dead, even on a busy machine */

/* What its path allows does not matter: it is run by its descriptor. */
static int check_program(const struct spawn *s, struct err *e)
{
	struct stat st;

	if (!s->user->other || fstat(s->program, &st) || st.st_mode & S_IXOTH ||
	    st.st_uid == s->user->uid || st.st_gid == s->user->gid)
		return 0;
	return err_set(e, -EACCES, "user %s may not run %s: chmod a+x %s", s->user->name, s->path,
		       s->path);
}

int spawn_open(struct spawn *s, const struct as_user *user, struct err *e)
{
	ssize_t n;

	*s = (struct spawn) { .user = user,
			      .program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
			      .next = -1 };
	n = readlink("/proc/self/exe", s->path, sizeof(s->path) - 1);
	if (s->program < 0 || n < 0)
		return err_set(e, -errno, "cannot find this program: %s", strerror(errno));
	s->path[n] = '\0';
	return check_program(s, e);
}

/* One that the kernel keeps in an access is left to it. */
void spawn_close(struct spawn *s)
{
	int64_t until = clock_ms() + END_MS;

	for (uint32_t i = 0; i < SPAWN_MAX; i++)
		if (s->child[i].pid)
			kill(s->child[i].pid, SIGKILL);
	for (uint32_t i = 0; i < SPAWN_MAX; i++) {
		struct spawned *c = &s->child[i];

		if (!c->pid)
			continue;
		child_collect(c->pid, until);
		own_close_fd(&c->io);
		c->pid = 0;
	}
	own_close_fd(&s->program);
	own_close_fd(&s->next);
}

/* In the child: nothing of ours but the call and what every program has. */
static void become(const struct spawn *s, int program, int call, pid_t parent)
{
	char *const argv[] = { (char *)(uintptr_t)WORKER_NAME, NULL };
	int high, from;

	if (user_become(s->user))
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	high = fcntl(program, F_DUPFD_CLOEXEC, WORKER_FD + 2);
	from = fcntl(call, F_DUPFD, WORKER_FD + 2);
	if (high < 0 || from < 0 || dup2(from, WORKER_FD) < 0)
		_exit(1);
	close(from);
	dup2(high, WORKER_FD + 1);
	fcntl(WORKER_FD + 1, F_SETFD, FD_CLOEXEC);
	close_range(WORKER_FD + 2, ~0U, 0);
	fexecve(WORKER_FD + 1, argv, environ);
	_exit(SPAWN_NO_RUN);
}

static int program_of(struct spawn *s, bool next)
{
	if (!next)
		return s->program;
	own_close_fd(&s->next);
	s->next = open(s->path, O_RDONLY | O_CLOEXEC);
	return s->next < 0 ? -errno : s->next;
}

pid_t spawn_worker(struct spawn *s, bool next, int *call)
{
	struct spawned *c = NULL;
	int ends[2], program = program_of(s, next);
	pid_t pid, parent = getpid();

	if (program < 0)
		return program;
	for (uint32_t i = 0; i < SPAWN_MAX && !c; i++)
		if (!s->child[i].pid)
			c = &s->child[i];
	if (!c)
		return -EAGAIN;
	int rc = post_pair(ends);

	if (rc)
		return rc;
	own_fd int ours = ends[0];
	own_fd int theirs = ends[1];

	pid = fork();
	if (pid == 0)
		become(s, program, theirs, parent);
	if (pid < 0)
		return -errno;
	*c = (struct spawned) { .pid = pid, .io = counted_open(pid), .next = next };
	*call = take_fd(&ours);
	return pid;
}

void spawn_settle(struct spawn *s, bool good)
{
	if (good && s->next >= 0) {
		own_close_fd(&s->program);
		s->program = take_fd(&s->next);
	}
	own_close_fd(&s->next);
}

bool spawn_has(const struct spawn *s, pid_t pid)
{
	for (uint32_t i = 0; i < SPAWN_MAX; i++)
		if (pid > 0 && s->child[i].pid == pid)
			return true;
	return false;
}

bool spawn_collect(struct spawn *s, pid_t pid, struct counted *c)
{
	bool known = false;
	uint64_t mine;

	for (uint32_t i = 0; i < SPAWN_MAX; i++) {
		if (s->child[i].pid != pid)
			continue;
		user_look_as(s->user, true);
		known = counted_read(s->child[i].io, c, &mine);
		user_look_as(s->user, false);
		own_close_fd(&s->child[i].io);
		s->child[i].pid = 0;
	}
	waitpid(pid, NULL, 0);
	return known;
}
