/* SPDX-License-Identifier: MIT */
#include "tui/kill.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/self.h"

int kill_hold(int32_t pid, struct err *e)
{
	/* By number: bookworm's libc has no function for it. */
	int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (fd < 0)
		return err_set(e, -ESRCH, "process %" PRId32 " is not there any more", pid);
	return fd;
}

int kill_end(int *held, struct err *e)
{
	own_fd int fd = take_fd(held);

	if (fd < 0)
		return err_set(e, -ESRCH, "nothing is held");
	if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0)
		return 0;
	return err_set(e, -errno,
		       errno == ESRCH ? "it has ended by itself: %s" : "it cannot be ended: %s",
		       strerror(errno));
}

/* A grandchild: who has no parent of ours needs nobody to wait for it. */
static void run_stop(char *path, char *name)
{
	char *argv[] = { (char *)"stop", name, NULL };
	sigset_t none;
	int null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fork() != 0)
		_exit(0);
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execv(path, argv);
	_exit(127);
}

int kill_stop(const char *name, struct err *e)
{
	char path[PATH_MAX], copy[128];
	int rc = self_path(path, sizeof(path), "libexec/berth/stop", e);
	pid_t pid;

	if (rc || access(path, X_OK))
		return err_set(e, -ENOENT, "'berth stop' is not installed beside this program");
	snprintf(copy, sizeof(copy), "%s", name);
	pid = fork();
	if (pid == 0)
		run_stop(path, copy);
	if (pid < 0)
		return err_set(e, -errno, "cannot start 'berth stop': %s", strerror(errno));
	waitpid(pid, NULL, 0);
	return 0;
}
