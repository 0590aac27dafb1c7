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

#define SEAM_MS 1000 /* between the end of one boot and the beginning of the next */

/*
 * Where everything is told, and the header that is in force there. A film of several boots goes on: in each,
 * `later_ms` is what its clock is behind the film's.
 */
struct mark {
	uint64_t ms; /* of the film */
	size_t at, header;
	uint64_t later_ms;
};

struct film {
	char *bytes;
	size_t n;
	struct mark *marks;
	size_t n_marks;
	uint64_t first_ms, last_ms;
	struct player *player;
	size_t at;         /* of the next line for the player */
	size_t mark;       /* the newest that it has reached */
	uint64_t shown_ms; /* all lines up to this time were handed to it */
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

static int add_mark(struct film *f, struct mark m)
{
	if ((f->n_marks & (f->n_marks + 1)) == 0) { /* 0, 1, 3, 7, ... are full */
		struct mark *more = realloc(f->marks, (2 * f->n_marks + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->marks = more;
	}
	f->marks[f->n_marks++] = m;
	return 0;
}

/*
 * The film's time of a line whose own is `ms`; false: what lies before the moment that was reached, and does
 * not begin with a header as another boot does, is made up.
 */
static bool follows(const struct film *f, uint64_t ms, bool begins, struct mark *m)
{
	uint64_t at = ms + m->later_ms;

	if (at < f->last_ms && begins && f->last_ms < RECORDING_MS_MAX) {
		at = f->last_ms + SEAM_MS;
		m->later_ms = at - ms;
	}
	m->ms = at;
	return at >= f->last_ms;
}

static int find_marks(struct film *f, struct err *e)
{
	struct mark m = { 0 };
	bool begins = false; /* nothing with a time came since the last header */
	const char *end;
	int rc = 0;

	for (; !rc && (end = line_end(f, m.at)); m.at = (size_t)(end - f->bytes) + 1) {
		uint64_t ms = 0;
		int kind = recording_peek(f->bytes + m.at, (size_t)(end - f->bytes) - m.at, &ms);

		if (kind == FRAME_HEADER) {
			m.header = m.at;
			begins = true;
			continue;
		}
		if (kind < 0 || !follows(f, ms, begins, &m))
			continue;
		begins = false;
		f->last_ms = m.ms;
		if (kind == FRAME_INDEX)
			rc = add_mark(f, m);
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

	if (f->shown_ms <= ms && f->at >= m->at)
		return;
	p = player_new();
	if (!p)
		return;
	player_free(f->player);
	f->player = p;
	feed_line(f, m->header);
	f->at = m->at;
	f->mark = (size_t)(m - f->marks);
}

/* Whether the line at f->at, which ends at `end`, is of the time before `ms` or has none. */
static bool is_due(struct film *f, const char *end, uint64_t ms)
{
	const struct mark *next = f->mark + 1 < f->n_marks ? &f->marks[f->mark + 1] : NULL;
	uint64_t at = 0;

	/* The header of what comes next has another boot's time of day. */
	if (next && f->at == next->header && next->ms > ms)
		return false;
	if (next && f->at == next->at)
		f->mark++;
	return recording_peek(f->bytes + f->at, (size_t)(end - f->bytes) - f->at, &at) < 0 ||
	       at + f->marks[f->mark].later_ms <= ms;
}

static void put_later(uint64_t *ns, uint64_t later_ms)
{
	if (*ns && *ns != TELEM_UNKNOWN)
		*ns += later_ms * 1000000;
}

/* Times of another boot, in the time of the film. */
static void shift(struct snapshot *s, uint64_t later_ms)
{
	s->now_ns += later_ms * 1000000;
	for (uint32_t i = 0; later_ms && i < s->n_runs; i++) {
		put_later(&s->runs[i].page.run.started_ns, later_ms);
		put_later(&s->runs[i].page.run.ready_ns, later_ms);
	}
	for (uint32_t i = 0; later_ms && i < s->n_bridges; i++) {
		put_later(&s->bridges[i].page.started_ns, later_ms);
		put_later(&s->bridges[i].page.connected_ns, later_ms);
	}
}

void film_show(struct film *f, uint64_t ms, struct snapshot *s)
{
	const char *end;

	if (ms > f->last_ms)
		ms = f->last_ms;
	if (ms < f->first_ms)
		ms = f->first_ms;
	approach(f, ms);
	while ((end = line_end(f, f->at)) && is_due(f, end, ms))
		f->at = feed_line(f, f->at);
	f->shown_ms = ms;
	player_snapshot(f->player, s);
	shift(s, f->marks[f->mark].later_ms);
}
