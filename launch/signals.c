/* SPDX-License-Identifier: MIT */
/* Orders that come as signals. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "launch/job.h"

int job_signals(struct job *j, struct err *e)
{
	struct sigaction hangup;
	sigset_t set;

	if (j->signal_fd >= 0)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	if (j->serve)
		sigaddset(&set, SIGUSR1);
	/* A blocked signal reaches us even if ignored: what nohup started would stop with its terminal */
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Had our parent ignored it, children would be reaped behind our back */
	signal(SIGCHLD, SIG_DFL);
	j->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (j->signal_fd < 0)
		return err_set(e, -errno, "no descriptor for signals: %s", strerror(errno));
	return 0;
}

bool job_heed(struct job *j)
{
	struct signalfd_siginfo info;
	bool any = false;

	while (read(j->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		any = true;
		if (info.ssi_signo == SIGUSR1)
			j->again = true;
		else
			j->stop = true;
	}
	return any;
}
