/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "launch/logfile.h"

static int open_it(struct logfile *l)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return -errno;
	l->size = fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	return 0;
}

int logfile_open(struct logfile *l, const char *path, struct err *e)
{
	int rc;

	*l = (struct logfile) { .fd = -1, .also_fd = -1, .max = LOGFILE_MAX };
	if (snprintf(l->path, sizeof(l->path), "%s", path) >= (int)sizeof(l->path))
		return err_set(e, -ENAMETOOLONG, "the path of the log is too long: %s", path);
	rc = open_it(l);
	return rc ? err_set(e, -EACCES, "the log %s: %s", path, strerror(-rc)) : 0;
}

static void turn_over(struct logfile *l)
{
	char old[PATH_MAX + 4];

	snprintf(old, sizeof(old), "%s.1", l->path);
	own_close_fd(&l->fd);
	/* Where it cannot be renamed, the disk must not be filled instead */
	if (rename(l->path, old) == 0 || unlink(l->path) == 0)
		open_it(l);
}

/* A part of a line goes out in one write, so that two writers never mix within one. */
static void put(struct logfile *l, const char *part, size_t n)
{
	char stamp[64] = "";
	struct iovec v[2] = { { stamp, 0 }, { (void *)part, n } };
	struct tm tm;
	time_t now = time(NULL);
	ssize_t done;

	if (!l->in_line) {
		if (l->size >= l->max)
			turn_over(l);
		v[0].iov_len = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ ",
					gmtime_r(&now, &tm));
		if (l->lost) {
			size_t used = v[0].iov_len;

			v[0].iov_len += (size_t)snprintf(stamp + used, sizeof(stamp) - used,
							 "(%llu bytes lost) ",
							 (unsigned long long)l->lost);
		}
	}
	done = writev(l->fd, v, 2);
	if (done == (ssize_t)(v[0].iov_len + n)) {
		l->size += (uint64_t)done;
		l->lost = 0;
	} else {
		l->lost += n;
	}
}

void logfile_write(struct logfile *l, const char *bytes, size_t n)
{
	while (n > 0 && l->fd >= 0) {
		const char *end = memchr(bytes, '\n', n);
		size_t part = end ? (size_t)(end - bytes) + 1 : n;

		put(l, bytes, part);
		l->in_line = !end;
		bytes += part;
		n -= part;
	}
}

void logfile_close(struct logfile *l)
{
	own_close_fd(&l->fd);
}

static ssize_t stream_write(void *cookie, const char *bytes, size_t n)
{
	struct logfile *l = cookie;

	if (l->also_fd >= 0)
		io_write(l->also_fd, bytes, n);
	logfile_write(l, bytes, n);
	return (ssize_t)n; /* a stream that failed once would be silent for ever */
}

FILE *logfile_stream(struct logfile *l)
{
	FILE *f = fopencookie(l, "w", (cookie_io_functions_t) { .write = stream_write });

	if (f)
		setvbuf(f, NULL, _IOLBF, 0);
	return f;
}
