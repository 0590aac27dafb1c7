/* SPDX-License-Identifier: MIT */
#include "device/agent_run.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/self.h"
#include "base/telem.h"
#include "base/text.h"

#define USERS "/run/user"

/* A run's name is a file's, too (docs/formats.md): nothing else is handed on. */
static bool name_ok(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return name[0] && !strchr("._-", name[0]) && strspn(name, letters) == strlen(name) &&
	       strlen(name) < 64;
}

bool run_object_parse(const char *object, uint32_t *uid, const char **name)
{
	char digits[16];
	const char *colon = strchr(object, ':');
	size_t n = colon ? (size_t)(colon - object) : 0;
	uint64_t v;

	*uid = RUN_OURS;
	*name = colon ? colon + 1 : object;
	if (!name_ok(*name))
		return false;
	if (!colon)
		return true;
	if (!n || n >= sizeof(digits))
		return false;
	memcpy(digits, object, n);
	digits[n] = '\0';
	if (text_parse_u64(digits, &v) || v >= RUN_OURS)
		return false;
	*uid = (uint32_t)v;
	return true;
}

/* For good, and with no group but the user's own. */
static int become(uint32_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	if (!pw)
		return -ENOENT;
	if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

/*
 * In the child: a run of somebody else is stopped in his name and by his rights, so that root lends nothing to what a
 * page of his says.
 */
static _Noreturn void be_stop(const char *program, const char *name, uint32_t uid, int to)
{
	static char path_is[] = "PATH=/usr/bin:/bin", stop[] = "stop", end[] = "--";
	char folder[64], copy[64];
	char *argv[] = { stop, end, copy, NULL }, *clean[] = { path_is, folder, NULL };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	text_copy(copy, sizeof(copy), name);
	snprintf(folder, sizeof(folder), "XDG_RUNTIME_DIR=" USERS "/%" PRIu32, uid);
	if (dup2(null, 0) < 0 || dup2(to, 1) < 0 || dup2(to, 2) < 0)
		_exit(127);
	int rc = uid == RUN_OURS ? 0 : become(uid);

	if (rc)
		dprintf(2, "cannot become user %" PRIu32 ": %s\n", uid, strerror(-rc));
	else
		execve(program, argv, uid == RUN_OURS ? environ : clean);
	_exit(127);
}

/* Start it with its words on a pipe. The pid or a negative errno. */
static pid_t start(const char *program, const char *name, uint32_t uid, int *from)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid_t pid = fork();

	if (pid == 0)
		be_stop(program, name, uid, ends[1]);
	int rc = pid < 0 ? -errno : 0;

	close(ends[1]);
	*from = ends[0];
	return rc ? rc : pid;
}

int run_ask(const struct machine *m, const char *object, const char *value, struct err *e)
{
	char program[PATH_MAX], words[256] = "";
	const char *name;
	uint32_t uid;
	size_t n = 0;
	ssize_t got = 1;
	int status = 0;
	own_fd int from = -1;

	(void)m;
	if (strcmp(value, "stop") != 0 || !run_object_parse(object, &uid, &name))
		return err_set(e, -EINVAL, "'%.40s' cannot be asked of run '%.64s'", value, object);
	int rc = self_path(program, sizeof(program), "libexec/berth/stop", e);

	if (rc)
		return rc;
	pid_t pid = start(program, name, uid, &from);

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
	return err_set(e, -EBUSY, "run %s does not stop: %s", name, text_clean(words));
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
	const char *name;
	uint32_t uid;
	int n = 1;

	if (!run_object_parse(object, &uid, &name))
		return err_set(e, -EINVAL, "'%.64s' is no name of a run", object);
	if (!m->live)
		return err_set(e, -ENODATA, "a captured machine has no runs");
	if (uid == RUN_OURS)
		n = telem_folders(dirs);
	else
		snprintf(dirs[0], sizeof(dirs[0]), USERS "/%" PRIu32 "/berth", uid);
	for (int i = 0; i < n; i++)
		if (is_locked(dirs[i], name)) {
			text_copy(said, size, "running");
			return 0;
		}
	text_copy(said, size, "ended");
	return 0;
}
