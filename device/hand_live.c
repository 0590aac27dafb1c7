/* SPDX-License-Identifier: MIT */
/*
 * The hand that changes the machine. Each step is done in a child: a driver whose unbind hangs holds up the child and
 * not us. The child has the descriptor of the journal's lock: be we killed while it writes, nobody else begins before
 * it is done. When it hangs we go on without it, and release the lock by word.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/child.h"
#include "base/io.h"
#include "base/own.h"
#include "base/text.h"
#include "device/hand.h"

#define ASK_TIMEOUT_MS  5000
#define READ_TIMEOUT_MS 2000
#define ANSWER_MAX      4096

static int live_link(struct hand *h, const char *path, char *buf, size_t size)
{
	char target[512];
	int rc = machine_link(h->m, path, target, sizeof(target));
	const char *slash = rc ? NULL : strrchr(target, '/');

	return rc ? rc : text_copy(buf, size, slash ? slash + 1 : target) ? 0 : -EFBIG;
}

static bool live_exists(struct hand *h, const char *path)
{
	return machine_exists(h->m, path);
}

/* --- in the child --- */

/* What it answers. */
struct answer {
	int rc; /* of a read: the count */
	char text[ANSWER_MAX];
};

struct work {
	struct hand *h;
	const struct step *s;  /* to do */
	const struct agent *a; /* NULL, or the agent to ask or to look */
	const char *object;    /* to look at */
};

/* The kernel takes the whole value in one write, or refuses it. A newline ends it, as of echo: "" alone is no write. */
static int write_value(const struct machine *m, const struct step *s, struct err *e)
{
	char line[STEP_VALUE + 2];
	int n = snprintf(line, sizeof(line), "%s\n", s->value);
	own_fd int fd = machine_openat(m, s->target, O_WRONLY | O_TRUNC | O_NOCTTY);

	if (fd < 0)
		return err_set(e, fd, "cannot open %s%s: %s", m->path, s->target, strerror(-fd));
	ssize_t took = write(fd, line, (size_t)n);

	if (took < 0)
		return err_set(e, -errno, "%s%s refuses '%s': %s", m->path, s->target, s->value,
			       strerror(errno));
	if (took + 1 < n)
		return err_set(e, -EIO, "%s%s took only %zd of %d bytes of '%s'", m->path,
			       s->target, took, n, s->value);
	return 0;
}

/* The folder that a path is in, and its last part. */
static const char *split(const char *path, char *folder, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(folder, size, "%.*s", slash ? (int)(slash - path) : 0, path);
	return slash ? slash + 1 : path;
}

static int make_folders(const struct machine *m, const char *path)
{
	char part[STEP_TARGET];

	text_copy(part, sizeof(part), path);
	for (char *p = part; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdirat(m->root_fd, part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

/* Beside its target, always by the same name: what a crash leaves is found, and overwritten or taken away. */
static void name_beside(const char *file, char *to, size_t size)
{
	snprintf(to, size, ".%s.berth-new", file);
}

/* mode: of a file that was there once; 0: of none */
static int write_beside(int dir, const char *beside, const char *file, const char *content,
			mode_t mode)
{
	struct stat was;

	if (fstatat(dir, file, &was, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(was.st_mode))
		mode = was.st_mode & 07777;
	else if (!mode)
		mode = 0644;
	own_fd int fd = openat(dir, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			       0600);
	int rc = fd < 0 ? -errno : io_write(fd, content, strlen(content));

	if (!rc && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		rc = -errno;
	return rc;
}

/* Folders that step made, and that hold nothing any more. */
static void remove_folders(const struct machine *m, const struct step *s)
{
	char path[STEP_TARGET];

	text_copy(path, sizeof(path), s->target);
	for (uint32_t i = 0; i < s->made; i++) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return;
		*slash = '\0';
		if (unlinkat(m->root_fd, path, AT_REMOVEDIR) < 0)
			return;
	}
}

static int save_file(const struct machine *m, const struct step *s)
{
	char folder[STEP_TARGET], beside[STEP_TARGET + 16];
	const char *file = split(s->target, folder, sizeof(folder));
	int rc = s->gone ? 0 : make_folders(m, s->target);
	own_fd int dir = rc ? rc : machine_openat(m, folder, O_RDONLY | O_DIRECTORY);

	if (dir < 0)
		return dir == -ENOENT && s->gone ? 0 : dir;
	name_beside(file, beside, sizeof(beside));
	if (s->gone) {
		if (unlinkat(dir, file, 0) < 0 && errno != ENOENT)
			return -errno;
		rc = fsync(dir) < 0 ? -errno : 0;
		remove_folders(m, s);
		return rc;
	}
	rc = write_beside(dir, beside, file, s->value, s->mode & 0777);
	if (!rc && (renameat(dir, beside, dir, file) < 0 || fsync(dir) < 0))
		rc = -errno;
	if (rc)
		unlinkat(dir, beside, 0);
	return rc;
}

static void do_step(int to, void *arg)
{
	const struct work *w = arg;
	const struct step *s = w->s;
	struct answer a = { 0 };
	struct err e = { 0 };

	if (s->op == STEP_WRITE)
		a.rc = write_value(w->h->m, s, &e);
	else if (s->op == STEP_ASK)
		a.rc = w->a->call(w->h->m, s->target, s->value, &e);
	else if (s->op == STEP_SAVE && (a.rc = save_file(w->h->m, s)) != 0)
		err_set(&e, a.rc, "cannot %s %s%s: %s", s->gone ? "remove" : "write", w->h->m->path,
			s->target, strerror(-a.rc));
	text_copy(a.text, sizeof(a.text), e.text);
	child_send(to, &a, sizeof(a));
}

static void do_look(int to, void *arg)
{
	const struct work *w = arg;
	struct answer a = { 0 };
	struct err e = { 0 };

	a.rc = w->a->look(w->h->m, w->object, a.text, sizeof(a.text), &e);
	if (a.rc)
		text_copy(a.text, sizeof(a.text), e.text);
	child_send(to, &a, sizeof(a));
}

static void do_read_here(const struct work *w, struct answer *a)
{
	a->rc = (int)machine_read_bytes(w->h->m, w->object, a->text, sizeof(a->text));
}

static void do_read(int to, void *arg)
{
	struct answer a = { 0 };

	do_read_here(arg, &a);
	child_send(to, &a, sizeof(a));
}

/* --- in the parent --- */

/* 0: *a is the child's answer; -ETIMEDOUT, -ECHILD (it died) or another: no answer, *hung as hand_ops says. */
static int in_child(void (*what)(int to, void *arg), struct work *w, uint32_t timeout_ms,
		    struct answer *a, pid_t *hung)
{
	struct child c;
	int rc = child_open(&c, what, w);

	if (rc)
		return rc;
	rc = child_receive(&c, a, sizeof(*a), (int)timeout_ms);
	*hung = child_close(&c) ? 0 : c.pid;
	return rc == 1 ? 0 : rc == 0 ? -ECHILD : rc;
}

/* Some files of a function wait for its lock, which a driver that hangs holds: driver_override of 6.1, for one. */
static long live_read(struct hand *h, const char *path, char *buf, size_t size)
{
	struct work w = { .h = h, .object = path };
	struct answer a = { 0 };
	pid_t hung;
	int rc;

	buf[0] = '\0';
	if (strncmp(path, "sys/", 4) != 0) {
		do_read_here(&w, &a);
	} else if ((rc = in_child(do_read, &w, READ_TIMEOUT_MS, &a, &hung)) != 0) {
		return rc;
	}
	if (a.rc < 0)
		return a.rc;
	if ((size_t)a.rc >= size || (size_t)a.rc >= sizeof(a.text))
		return -EFBIG;
	memcpy(buf, a.text, (size_t)a.rc);
	buf[a.rc] = '\0';
	return a.rc;
}

static int live_ask(struct hand *h, const char *agent, const char *object, char *said, size_t size,
		    struct err *e)
{
	struct work w = { .h = h, .a = agent_find(h->agents, agent), .object = object };
	struct answer a = { 0 };
	pid_t hung;

	if (!w.a || !w.a->look)
		return err_set(e, -ENODATA, "'%s' tells nothing of %s", agent, object);
	int rc = in_child(do_look, &w, ASK_TIMEOUT_MS, &a, &hung);

	if (rc)
		return err_set(e, rc, "'%s' does not tell of %s: %s", agent, object, strerror(-rc));
	a.text[sizeof(a.text) - 1] = '\0';
	if (a.rc)
		return err_set(e, a.rc, "%s", a.text);
	return text_copy(said, size, a.text) ? 0 : -EFBIG;
}

static int live_act(struct hand *h, const struct step *s, struct err *e)
{
	uint32_t timeout_ms = s->timeout_ms ? s->timeout_ms : STEP_TIMEOUT_MS;
	struct work w = { .h = h, .s = s };
	struct answer a = { 0 };

	h->hung = 0;
	if (s->op == STEP_AWAIT)
		return 0;
	if (s->op == STEP_ASK) {
		w.a = agent_find(h->agents, s->agent);
		if (!w.a || !w.a->call)
			return err_set(e, -ENOSYS, "%s: there is no '%s' to ask", s->says,
				       s->agent);
	}
	int rc = in_child(do_step, &w, timeout_ms, &a, &h->hung);

	if (rc == -ETIMEDOUT && h->hung)
		return err_set(e, rc, "%s: it hangs in the kernel, in process %d, after %.1f s",
			       s->says, (int)h->hung, (double)timeout_ms / 1000);
	if (rc == -ETIMEDOUT)
		return err_set(e, rc, "%s: stopped after %.1f s without an answer", s->says,
			       (double)timeout_ms / 1000);
	if (rc)
		return err_set(e, rc, "%s: the child that should do it ended without a word",
			       s->says);
	a.text[sizeof(a.text) - 1] = '\0';
	return a.rc ? err_set(e, a.rc, "%s", a.text) : 0;
}

static void live_tidy(struct hand *h, const struct step *s)
{
	char folder[STEP_TARGET], beside[STEP_TARGET + 16];

	if (s->op != STEP_SAVE)
		return;
	const char *file = split(s->target, folder, sizeof(folder));
	own_fd int dir = machine_openat(h->m, folder, O_RDONLY | O_DIRECTORY);

	name_beside(file, beside, sizeof(beside));
	if (dir >= 0)
		unlinkat(dir, beside, 0);
	if (!live_exists(h, s->target))
		remove_folders(h->m, s);
}

static bool live_pause(struct hand *h, int ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };

	(void)h;
	nanosleep(&t, NULL);
	return true;
}

static const struct hand_ops live = {
	.read = live_read,
	.link = live_link,
	.exists = live_exists,
	.ask = live_ask,
	.act = live_act,
	.tidy = live_tidy,
	.pause = live_pause,
};

void hand_live(struct hand *h, const struct machine *m, const struct agent *table)
{
	*h = (struct hand) { .ops = &live, .m = m, .agents = table };
}
