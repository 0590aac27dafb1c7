/* SPDX-License-Identifier: MIT */
#include "tui/flight.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

#define PIECE_NAME "%08u.part"

struct flight {
	int dir, lock, fd; /* fd: the piece; -1: none yet */
	uint32_t piece;    /* its number */
	size_t written;    /* to it */
	struct recorder *recorder;
	/* One moment, so that it is one write. */
	char *buf;
	size_t n, room;
};

static int to_buffer(void *ctx, const char *line, size_t size)
{
	struct flight *f = ctx;

	if (f->n + size > f->room) {
		size_t room = 2 * (f->n + size);
		char *more = realloc(f->buf, room);

		if (!more)
			return -ENOMEM;
		f->buf = more;
		f->room = room;
	}
	memcpy(f->buf + f->n, line, size);
	f->n += size;
	return 0;
}

/* The numbers of the pieces in a folder; `last` is below `first` when there are none. */
static void find_pieces(int dir, uint32_t *first, uint32_t *last)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_dir DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d)
		own_close_fd(&copy);
	*first = 1;
	*last = 0;
	for (const struct dirent *de; d && (de = readdir(d));) {
		unsigned v;
		char end;

		if (strlen(de->d_name) != 13 || sscanf(de->d_name, "%8u.par%c", &v, &end) != 2 ||
		    end != 't' || !v)
			continue;
		*first = *last == 0 || v < *first ? v : *first;
		*last = v > *last ? v : *last;
	}
}

static void piece_name(char name[32], uint32_t piece)
{
	snprintf(name, 32, PIECE_NAME, piece);
}

/* The next piece in the place of the oldest. Two may have gaps between them: somebody deleted some. */
static int next_piece(struct flight *f)
{
	uint32_t first, last;
	char name[32];

	own_close_fd(&f->fd);
	find_pieces(f->dir, &first, &last);
	for (; last - first + 1 >= FLIGHT_PIECES && first <= last; first++) {
		piece_name(name, first);
		unlinkat(f->dir, name, 0);
	}
	f->piece = last + 1;
	piece_name(name, f->piece);
	f->fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	f->written = 0;
	recorder_restart(f->recorder);
	return f->fd < 0 ? -errno : 0;
}

static int flush(struct flight *f)
{
	int rc = f->n ? io_write(f->fd, f->buf, f->n) : 0;

	f->written += f->n;
	f->n = 0;
	/* Half a moment ends the piece: a reader passes over its last line, and the next begins anew. */
	if (rc)
		own_close_fd(&f->fd);
	return rc;
}

int flight_moment(struct flight *f, const struct snapshot *s)
{
	int rc = f->fd < 0 || f->written >= FLIGHT_PIECE - FLIGHT_PIECE / 8 ? next_piece(f) : 0;

	if (!rc)
		rc = recorder_moment(f->recorder, s, to_buffer, f);
	return rc ? rc : flush(f);
}

int flight_event(struct flight *f, const struct event *ev)
{
	int rc = f->fd < 0 ? 0 : recorder_event(f->recorder, ev, to_buffer, f);

	return rc || f->fd < 0 ? rc : flush(f);
}

/* --- opening --- */

static int lock(struct flight *f, const char *dir, struct err *e)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	f->lock = openat(f->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (f->lock < 0)
		return err_set(e, -errno, "%s/lock cannot be opened: %s", dir, strerror(errno));
	if (fcntl(f->lock, F_OFD_SETLK, &all) == 0)
		return 0;
	return err_set(e, -EBUSY, "another process records to %s", dir);
}

static int begin(struct flight *f, const char *dir, struct err *e)
{
	if (mkdir(dir, 0750) != 0 && errno != EEXIST)
		return err_set(e, -errno, "%s cannot be made: %s", dir, strerror(errno));
	f->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (f->dir < 0)
		return err_set(e, -errno, "%s cannot be opened: %s", dir, strerror(errno));
	f->recorder = recorder_new();
	return f->recorder ? lock(f, dir, e) : err_set(e, -ENOMEM, "out of memory");
}

int flight_open(struct flight **out, const char *dir, struct err *e)
{
	struct flight *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	f->dir = f->lock = f->fd = -1;
	rc = begin(f, dir, e);
	if (rc)
		flight_close(f);
	else
		*out = f;
	return rc;
}

void flight_close(struct flight *f)
{
	if (!f)
		return;
	own_close_fd(&f->fd);
	own_close_fd(&f->lock);
	own_close_fd(&f->dir);
	recorder_free(f->recorder);
	free(f->buf);
	free(f);
}

int flight_dir(char *dir, size_t size, struct err *e)
{
	char runtime[PATH_MAX];
	int rc = telem_dir(runtime, sizeof(runtime), e);

	if (rc)
		return rc;
	if ((size_t)snprintf(dir, size, "%s/flight", runtime) >= size)
		return err_set(e, -ENAMETOOLONG, "%s is too long a name", runtime);
	return 0;
}

/* --- saving --- */

/* A piece up to its last whole line: its writer may be in the middle of one. */
static int copy_piece(int dir, uint32_t piece, int to)
{
	char name[32];
	struct stat st;

	piece_name(name, piece);
	own_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > 2 * FLIGHT_PIECE)
		return 0; /* thrown away meanwhile, or nobody's */
	own_free char *buf = malloc((size_t)st.st_size + 1);
	long n = buf ? io_read(fd, buf, (size_t)st.st_size) : -ENOMEM;

	if (n < 0)
		return (int)n;
	const char *end = memrchr(buf, '\n', (size_t)n);

	return end ? io_write(to, buf, (size_t)(end - buf) + 1) : 0;
}

static int copy_all(int dir, int to)
{
	uint32_t first, last;
	int rc = 0;

	find_pieces(dir, &first, &last);
	if (last < first)
		return -ENOENT;
	/* A folder of somebody else's making may have any numbers. */
	if (last - first >= 2 * FLIGHT_PIECES)
		first = last - 2 * FLIGHT_PIECES + 1;
	for (uint32_t i = first; !rc && i - 1 != last; i++)
		rc = copy_piece(dir, i, to);
	return !rc && fsync(to) < 0 ? -errno : rc;
}

int flight_save(const char *dir, const char *path, struct err *e)
{
	own_fd int from = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (from < 0)
		return err_set(e, -ENOENT, "nothing was recorded in %s yet", dir);
	own_fd int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (to < 0)
		return err_set(e, -errno, "%s cannot be made: %s", path, strerror(errno));
	int rc = copy_all(from, to);

	if (!rc)
		return 0;
	unlink(path);
	if (rc == -ENOENT)
		return err_set(e, rc, "nothing was recorded in %s yet", dir);
	return err_set(e, rc, "%s cannot be written: %s", path, strerror(-rc));
}

int flight_new_name(const char *prefix, uint32_t nth, char *path, size_t size, struct err *e)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	time_t now = time(NULL);
	char when[32] = "", which[16] = "";
	struct tm tm;
	int n = -1;

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H-%M-%S", &tm);
	if (nth > 1)
		snprintf(which, sizeof(which), "-%u", (unsigned)nth);
	if (state && *state == '/')
		n = snprintf(path, size, "%s/berth/%s%s%s.berthrec", state, prefix, when, which);
	else if (home && *home == '/')
		n = snprintf(path, size, "%s/.local/state/berth/%s%s%s.berthrec", home, prefix,
			     when, which);
	if (n < 0 || (size_t)n >= size)
		return err_set(e, -ENOENT, "neither XDG_STATE_HOME nor HOME says where to save it");
	io_make_parents(path);
	return 0;
}
