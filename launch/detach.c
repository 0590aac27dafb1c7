/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "launch/detach.h"

static int wait_for(pid_t pid, int from)
{
	unsigned char code;
	int status = 0;

	if (io_read(from, &code, 1) == 1)
		return code;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_ENV;
}

int detach(int *to, int *code, struct err *e)
{
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		int rc = -errno;

		close(fd[0]);
		close(fd[1]);
		return err_set(e, rc, "no new process: %s", strerror(-rc));
	}
	if (pid > 0) {
		close(fd[1]);
		*code = wait_for(pid, fd[0]);
		close(fd[0]);
		return 1;
	}
	/* What our caller left open, a lock perhaps, must not be held for as long as a run lives */
	if (fd[1] > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)fd[1] - 1, 0);
	close_range((unsigned)fd[1] + 1, ~0U, 0);
	setsid();
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	own_close_fd(&null);
	*to = fd[1];
	return 0;
}

void detach_tell(int *to, int code)
{
	unsigned char byte = (unsigned char)code;

	/* Nobody may wait any more; then the pipe is broken, and SIGPIPE is blocked or ignored */
	if (*to >= 0)
		io_write(*to, &byte, 1);
	own_close_fd(to);
}
