/* SPDX-License-Identifier: MIT */
#include "tui/film.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"

/* Where everything is told, and the header that is in force there. */
struct mark {
	uint64_t ms;
	size_t at, header;
};

struct film {
	char *bytes;
	size_t n;
	struct mark *marks;
	size_t n_marks;
	uint64_t first_ms, last_ms;
	struct player *player;
	size_t at; /* of the next line for the player */
	uint32_t garbled;
};

void film_close(struct film *f)
{
	if (!f)
		return;
	player_free(f->player);
	free(f->marks);
	free(f->bytes);
	free(f);
}

uint64_t film_first_ms(const struct film *f)
{
	return f->first_ms;
}

uint64_t film_last_ms(const struct film *f)
{
	return f->last_ms;
}

uint32_t film_garbled(const struct film *f)
{
	return f->garbled;
}

static int read_whole(struct film *f, const char *path, struct err *e)
{
	struct stat st;
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "%s is no file", path);
	if ((uint64_t)st.st_size > FILM_BYTES_MAX)
		return err_set(e, -EFBIG, "%s has %lld bytes; a recording has at most %llu", path,
			       (long long)st.st_size, (unsigned long long)FILM_BYTES_MAX);
	f->bytes = malloc((size_t)st.st_size + 1);
	if (!f->bytes)
		return err_set(e, -ENOMEM, "out of memory");
	long got = io_read(fd, f->bytes, (size_t)st.st_size);

	if (got < 0)
		return err_set(e, (int)got, "%s cannot be read: %s", path, strerror((int)-got));
	f->n = (size_t)got;
	return 0;
}

/* The line at `at`; NULL: it has no end, and nothing follows it. */
static const char *line_end(const struct film *f, size_t at)
{
	return at < f->n ? memchr(f->bytes + at, '\n', f->n - at) : NULL;
}

static int add_mark(struct film *f, uint64_t ms, size_t at, size_t header)
{
	if ((f->n_marks & (f->n_marks + 1)) == 0) { /* 0, 1, 3, 7, ... are full */
		struct mark *more = realloc(f->marks, (2 * f->n_marks + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->marks = more;
	}
	f->marks[f->n_marks++] = (struct mark) { ms, at, header };
	return 0;
}

static int find_marks(struct film *f, struct err *e)
{
	const char *end;
	size_t header = 0;
	int rc = 0;

	for (size_t at = 0; !rc && (end = line_end(f, at)); at = (size_t)(end - f->bytes) + 1) {
		uint64_t ms = f->last_ms;
		int kind = recording_peek(f->bytes + at, (size_t)(end - f->bytes) - at, &ms);

		if (kind == FRAME_HEADER)
			header = at;
		/* What lies before the moment that was reached is of another boot, or made up. */
		if (kind < 0 || ms < f->last_ms)
			continue;
		f->last_ms = ms;
		if (kind == FRAME_INDEX)
			rc = add_mark(f, ms, at, header);
	}
	if (rc)
		return err_set(e, rc, "out of memory");
	if (!f->n_marks)
		return err_set(e, -EBADMSG, "there is no moment in it");
	f->first_ms = f->marks[0].ms;
	return 0;
}

/* Hand the player the line at `at`; the place of the next. */
static size_t feed_line(struct film *f, size_t at)
{
	const char *end = line_end(f, at);
	size_t next = end ? (size_t)(end - f->bytes) + 1 : f->n;

	if (end && player_line(f->player, f->bytes + at, next - 1 - at, NULL) < 0)
		f->garbled++;
	return next;
}

static int check_header(struct film *f, const char *path, struct err *e)
{
	const char *end = line_end(f, 0);
	int rc = player_line(f->player, f->bytes, end ? (size_t)(end - f->bytes) : 0, e);

	if (rc == FRAME_HEADER)
		return 0;
	return err_set(e, -EBADMSG, "%s is no recording of 'berth top'", path);
}

int film_open(struct film **out, const char *path, struct err *e)
{
	struct film *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	f->player = player_new();
	rc = f->player ? read_whole(f, path, e) : err_set(e, -ENOMEM, "out of memory");
	if (!rc)
		rc = check_header(f, path, e);
	if (!rc && (rc = find_marks(f, e)))
		err_at(e, rc, "%s", path);
	if (rc) {
		film_close(f);
		return rc;
	}
	f->at = f->marks[0].at;
	*out = f;
	return 0;
}

/* The last place before `ms` where everything is told. */
static const struct mark *mark_for(const struct film *f, uint64_t ms)
{
	size_t low = 0, high = f->n_marks;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (f->marks[middle].ms <= ms)
			low = middle;
		else
			high = middle;
	}
	return &f->marks[low];
}

/* Go to a mark unless playing on gets there sooner. */
static void approach(struct film *f, uint64_t ms)
{
	const struct mark *m = mark_for(f, ms);
	struct player *p;

	if (player_ms(f->player) <= ms && f->at >= m->at)
		return;
	p = player_new();
	if (!p)
		return;
	player_free(f->player);
	f->player = p;
	feed_line(f, m->header);
	f->at = m->at;
}

void film_show(struct film *f, uint64_t ms, struct snapshot *s)
{
	const char *end;

	if (ms > f->last_ms)
		ms = f->last_ms;
	if (ms < f->first_ms)
		ms = f->first_ms;
	approach(f, ms);
	while ((end = line_end(f, f->at))) {
		uint64_t at = 0;

		if (recording_peek(f->bytes + f->at, (size_t)(end - f->bytes) - f->at, &at) >= 0 &&
		    at > ms)
			break;
		f->at = feed_line(f, f->at);
	}
	player_snapshot(f->player, s);
}
