/* SPDX-License-Identifier: MIT */
#include "launch/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "launch/runtime.h"

#define NICE    10   /* it never competes with the core for a CPU */
#define END_MS  2000 /* a driver may hold one of its threads */
#define TURN_NS 10000000

static void become_witness(const char *program, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0)
		_exit(127);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close_range(3, ~0U,
		    0); /* nothing of the run's: a socket held here would stay open after it */
	setpriority(PRIO_PROCESS, 0, NICE);
	execl(program, "top", "--flight", (char *)NULL);
	_exit(127);
}

pid_t witness_begin(void)
{
	char program[PATH_MAX];
	pid_t parent = getpid(), pid;

	if (runtime_program("top", program, sizeof(program), NULL))
		return 0;
	pid = fork();
	if (pid == 0)
		become_witness(program, parent);
	return pid > 0 ? pid : 0;
}

void witness_end(pid_t *pid)
{
	const int64_t until = clock_ms() + END_MS;
	const struct timespec turn = { .tv_nsec = TURN_NS };

	if (*pid <= 0)
		return;
	kill(*pid, SIGTERM);
	while (waitpid(*pid, NULL, WNOHANG) == 0) {
		if (clock_ms() >= until)
			kill(*pid, SIGKILL);
		nanosleep(&turn, NULL);
	}
	*pid = 0;
}
