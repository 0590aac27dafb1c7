/* SPDX-License-Identifier: MIT */
#include "device/agent_run.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/own.h"
#include "base/self.h"
#include "base/telem.h"
#include "base/text.h"

extern char **environ;

/* A run's name is a file's, too (docs/formats.md): nothing else is handed on. */
static bool name_ok(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return name[0] && !strchr("._-", name[0]) && strspn(name, letters) == strlen(name) &&
	       strlen(name) < 64;
}

/* Start it with its words on a pipe. The pid or a negative errno. */
static pid_t start(const char *program, const char *name, int *from)
{
	char *argv[] = { (char *)"stop", (char *)"--", (char *)name, NULL };
	posix_spawn_file_actions_t to;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&to);
	posix_spawn_file_actions_addopen(&to, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&to, ends[1], 1);
	posix_spawn_file_actions_adddup2(&to, ends[1], 2);
	int rc = posix_spawn(&pid, program, &to, NULL, argv, environ);

	posix_spawn_file_actions_destroy(&to);
	close(ends[1]);
	*from = ends[0];
	return rc ? -rc : pid;
}

int run_ask(const struct machine *m, const char *object, const char *value, struct err *e)
{
	char program[PATH_MAX], words[256] = "";
	size_t n = 0;
	ssize_t got = 1;
	int status = 0;
	own_fd int from = -1;

	(void)m;
	if (strcmp(value, "stop") != 0 || !name_ok(object))
		return err_set(e, -EINVAL, "'%.40s' cannot be asked of run '%.64s'", value, object);
	int rc = self_path(program, sizeof(program), "libexec/berth/stop", e);

	if (rc)
		return rc;
	pid_t pid = start(program, object, &from);

	if (pid < 0)
		return err_set(e, (int)pid, "%s does not start: %s", program, strerror(-(int)pid));
	while (got > 0 && n < sizeof(words) - 1) {
		got = read(from, words + n, sizeof(words) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	words[n] = '\0';
	words[strcspn(words, "\n")] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(e, -EBUSY, "run %s does not stop: %s", object, text_clean(words));
}

/* A supervisor holds NAME.lock in a runtime folder as long as it lives. */
static bool is_locked(const char *dir, const char *name)
{
	char path[640]; /* a folder has at most 512 bytes, a name 64 */
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if ((size_t)snprintf(path, sizeof(path), "%.511s/%s.lock", dir, name) >= sizeof(path))
		return false;
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

int run_look(const struct machine *m, const char *object, char *said, size_t size, struct err *e)
{
	char dirs[TELEM_FOLDERS][512];
	int n = telem_folders(dirs);

	if (!name_ok(object))
		return err_set(e, -EINVAL, "'%.64s' is no name of a run", object);
	if (!m->live)
		return err_set(e, -ENODATA, "a captured machine has no runs");
	for (int i = 0; i < n; i++)
		if (is_locked(dirs[i], object)) {
			text_copy(said, size, "running");
			return 0;
		}
	text_copy(said, size, "ended");
	return 0;
}
