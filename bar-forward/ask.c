/* SPDX-License-Identifier: MIT */
#include "bar-forward/ask.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/self.h"

/* Thousands of functions with all that is said of each take less. */
#define ANSWER_MAX (32u << 20)

extern char **environ;

struct started {
	pid_t pid;
	struct sigaction before[2];
};

/* Ctrl-C goes to it as well as to us. It ends in order, and we tell of that, so we go on. */
static const int kept[] = { SIGINT, SIGQUIT };

static void keep_signals(struct started *s)
{
	struct sigaction none = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < 2; i++)
		sigaction(kept[i], &none, &s->before[i]);
}

static void give_signals_back(const struct started *s)
{
	for (size_t i = 0; i < 2; i++)
		sigaction(kept[i], &s->before[i], NULL);
}

/* `out`: its standard output; -1: ours. */
static int start(struct started *s, const struct ask_words *w, int out, struct err *e)
{
	posix_spawn_file_actions_t to;
	posix_spawnattr_t how;
	sigset_t defaults;
	char path[PATH_MAX];
	const char *argv[ASK_WORDS_MAX + 2] = { "device" };
	size_t n = 1;
	int rc = self_path(path, sizeof(path), "libexec/berth/device", e);

	if (rc)
		return rc;
	for (size_t i = 0; i < ASK_WORDS_MAX; i++)
		if (w->v[i])
			argv[n++] = w->v[i];
	keep_signals(s);
	sigemptyset(&defaults);
	for (size_t i = 0; i < 2; i++)
		if (s->before[i].sa_handler != SIG_IGN)
			sigaddset(&defaults, kept[i]);
	posix_spawn_file_actions_init(&to);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigdefault(&how, &defaults);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&to, out, STDOUT_FILENO);
	rc = posix_spawn(&s->pid, path, &to, &how, (char **)argv, environ);
	posix_spawn_file_actions_destroy(&to);
	posix_spawnattr_destroy(&how);
	if (!rc)
		return 0;
	give_signals_back(s);
	return err_set(e, -ENOEXEC, "cannot run %s: %s", path, strerror(rc));
}

static int finish(const struct started *s, struct err *e)
{
	int status, rc;

	do
		rc = waitpid(s->pid, &status, 0) < 0 ? -errno : 0;
	while (rc == -EINTR);
	give_signals_back(s);
	if (rc)
		return err_set(e, rc, "waiting for berth device: %s", strerror(-rc));
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return err_set(e, -ECHILD, "berth device was ended by signal %d", WTERMSIG(status));
}

int run_device(const struct ask_words *w, struct err *e)
{
	struct started s;
	int rc = start(&s, w, -1, e);

	return rc ? rc : finish(&s, e);
}

int ask_device(const struct ask_words *w, json_t **answer, struct err *e)
{
	own_free char *buf = malloc(ANSWER_MAX + 1);
	struct started s;
	int ends[2];

	*answer = NULL;
	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	if (pipe2(ends, O_CLOEXEC))
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	own_fd int from = ends[0];
	own_fd int to = ends[1];
	int rc = start(&s, w, to, e);

	if (rc)
		return rc;
	close(take_fd(&to));
	long n = io_read(from, buf, ANSWER_MAX);

	/* one byte more than we take, and it gets SIGPIPE */
	close(take_fd(&from));
	rc = finish(&s, e);
	if (rc)
		return rc;
	if (n < 0)
		return err_set(e, (int)n, "reading the answer of berth device: %s",
			       strerror((int)-n));
	*answer = json_parse(buf, (size_t)n, "the answer of berth device", e);
	return *answer ? 0 : -EBADMSG;
}
