/* SPDX-License-Identifier: MIT */
#include "vram-planner/download.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/json.h"
#include "base/own.h"
#include "base/text.h"

#define PIECE     (8 << 20)
#define FIRST     (64 << 10) /* enough to learn what the server knows of the file */
#define TRIES_MAX 5          /* in a row, without a byte in between */
#define KEEP_FREE (64 << 20) /* a disk that is full to the last byte hurts everybody */

struct transfer {
	const struct download *w;
	const struct remote_opts *o;
	struct downloaded *d;
	struct remote_facts facts;
	struct reader *reader;
	char part[PATH_MAX], state[PATH_MAX];
	int fd; /* of the part, locked */
	uint64_t have, total;
	uint8_t *buf;
};

static void say(const struct transfer *t, const char *sentence)
{
	if (t->w->note)
		t->w->note(t->w->arg, sentence);
}

bool download_name(const char *url, char *name, size_t size)
{
	size_t n = strcspn(url, "?#");
	const char *end = url + n, *s = end;

	while (s > url && s[-1] != '/')
		s--;
	n = (size_t)(end - s);
	if (n == 0 || n >= size || *s == '.' || *s == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("._-+=@,", s[i]))
			return false;
	memcpy(name, s, n);
	name[n] = '\0';
	return true;
}

/* --- what is known of a part: berth.part/1 beside it --- */

static bool state_matches(const struct transfer *t)
{
	json_t *o = json_read_file(t->state, 65536, NULL);
	const char *etag = json_string_value(json_object_get(o, "etag"));
	json_int_t total = json_integer_value(json_object_get(o, "total_bytes"));
	bool same = etag && t->facts.etag[0] && strcmp(etag, t->facts.etag) == 0 && total > 0 &&
		    (uint64_t)total == t->total;

	json_decref(o);
	return same;
}

static int state_write(const struct transfer *t, struct err *e)
{
	own_file FILE *f = fopen(t->state, "we");
	json_t *o = json_answer("berth.part/1");
	int rc;

	json_put_text(o, "url", t->w->url);
	json_put_text(o, "etag", t->facts.etag);
	json_put_int(o, "total_bytes", (int64_t)t->total);
	rc = f ? json_print(o, f) : -errno;
	json_decref(o);
	return rc ? err_set(e, rc, "%s: %s", t->state, strerror(-rc)) : 0;
}

/* --- the disk --- */

static int open_part(struct transfer *t, struct err *e)
{
	t->fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (t->fd < 0)
		return err_set(e, -errno, "%s: %s", t->part, strerror(errno));
	if (flock(t->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, -EBUSY, "%s: another berth pull is at it", t->part);
	return 0;
}

static int check_space(const struct transfer *t, struct err *e)
{
	char need[TEXT_SIZE_MAX], have[TEXT_SIZE_MAX];
	struct statvfs s;

	if (t->total == READER_SIZE_UNKNOWN || fstatvfs(t->fd, &s) < 0)
		return 0;
	uint64_t left = (uint64_t)s.f_bavail * s.f_frsize, want = t->total - t->have;

	if (want <= left && left - want >= KEEP_FREE)
		return 0;
	return err_set(e, -ENOSPC, "%s more of it are to come, and the disk of %s has %s free",
		       text_size(need, want), t->w->path, text_size(have, left));
}

static int put(struct transfer *t, uint64_t n, struct err *e)
{
	int rc = io_write(t->fd, t->buf, n);

	if (rc)
		return err_set(e, rc, "%s: %s", t->part, strerror(-rc));
	t->have += n;
	if (t->w->progress)
		t->w->progress(t->w->arg, t->have, t->total);
	return 0;
}

/* Cut what is there to `have` bytes, and go on from there. */
static int seek_part(struct transfer *t, struct err *e)
{
	if (ftruncate(t->fd, (off_t)t->have) == 0 &&
	    lseek(t->fd, (off_t)t->have, SEEK_SET) == (off_t)t->have)
		return 0;
	return err_set(e, -errno, "%s: %s", t->part, strerror(errno));
}

/* A try that came to nothing leaves nothing. */
static void drop_empty(const struct transfer *t)
{
	struct stat st;

	if (t->fd >= 0 && fstat(t->fd, &st) == 0 && st.st_nlink && st.st_size == 0) {
		unlink(t->part);
		unlink(t->state);
	}
}

/* --- the server --- */

static int open_reader(struct transfer *t, struct err *e)
{
	reader_close(t->reader);
	t->reader = NULL;
	return remote_open(&t->reader, t->w->url, t->o, e);
}

static bool passes(int rc)
{
	return rc == -EAGAIN || rc == -ECONNRESET || rc == -ETIMEDOUT || rc == -ECONNREFUSED ||
	       rc == -EHOSTUNREACH;
}

/* A signed address that a redirect led to may have expired: the way begins at the front again. */
static int reopen(struct transfer *t, uint32_t tries, struct err *e)
{
	struct timespec pause = { .tv_sec = 1L << tries };

	nanosleep(&pause, NULL);
	*e = (struct err) { 0 };
	int rc = open_reader(t, e);

	if (rc == 0)
		remote_expect(t->reader, t->facts.etag, t->total);
	return rc;
}

/* The next piece into buf, however often the connection breaks; *got is 0 only at the end. */
static int next_piece(struct transfer *t, uint64_t *got, struct err *e)
{
	for (uint32_t tries = 0;; tries++) {
		uint64_t left = t->total - t->have, n = left < PIECE ? left : PIECE;
		int rc = t->reader->read(t->reader, t->have, t->buf, n, got, e);
		bool broke = rc && remote_broke(t->reader, got);

		if (rc == 0 || (broke && *got))
			return 0;
		bool expired = rc == -EACCES && tries == 0;

		if (!t->facts.ranges || tries == TRIES_MAX || !(broke || expired || passes(rc)))
			return rc;
		say(t, e->text);
		rc = reopen(t, tries, e);
		if (rc)
			return rc;
	}
}

static int learn(struct transfer *t, uint64_t *got, struct err *e)
{
	int rc = open_reader(t, e);

	if (rc == 0)
		rc = t->reader->read(t->reader, 0, t->buf, FIRST, got, e);
	if (rc)
		return rc;
	remote_facts(t->reader, &t->facts);
	t->total = t->reader->size;
	if (*got == 0)
		return err_set(e, -EBADMSG, "the file is empty");
	const char *dot = strrchr(t->w->path, '.');

	if (dot && strcmp(dot, ".gguf") == 0 && (*got < 4 || memcmp(t->buf, "GGUF", 4) != 0))
		return err_set(e, -EBADMSG,
			       "what the server has there is no GGUF, whatever its name says");
	return 0;
}

/* --- the whole --- */

static const char *wanted(const struct transfer *t, enum compared *by)
{
	*by = t->w->sha256 ? COMPARED_USER : t->facts.sha256[0] ? COMPARED_SERVER : COMPARED_NOT;
	return t->w->sha256 ? t->w->sha256 : t->facts.sha256;
}

static int prove(struct transfer *t, int fd, struct err *e)
{
	const char *want = wanted(t, &t->d->compared);
	int rc = hash_sha256_fd(fd, t->d->sha256);

	if (rc)
		return err_set(e, rc, "%s: %s", t->w->path, strerror(-rc));
	if (!want[0] || strcmp(want, t->d->sha256) == 0)
		return 0;
	return err_set(e, -EBADMSG, "its SHA-256 is %s and should be %s", t->d->sha256, want);
}

/* A file of that name is there. It may be the one. */
static int look_at_old(struct transfer *t, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EEXIST, "%s is there, and is no file", t->w->path);
	if ((t->total != READER_SIZE_UNKNOWN && (uint64_t)st.st_size != t->total) ||
	    prove(t, fd, e))
		return err_set(e, -EEXIST,
			       "%s is there, and is not that file; remove it, or name another "
			       "with -o",
			       t->w->path);
	t->d->already = true;
	t->d->bytes = (uint64_t)st.st_size;
	return 0;
}

/* Where to begin: after what an earlier call left, or with the bytes that were just read. */
static int begin(struct transfer *t, uint64_t first, struct err *e)
{
	struct stat st;
	int rc = open_part(t, e);

	if (rc)
		return rc;
	if (fstat(t->fd, &st) < 0)
		return err_set(e, -errno, "%s: %s", t->part, strerror(errno));
	uint64_t old = (uint64_t)st.st_size;

	if (old > first && old <= t->total && t->facts.ranges && state_matches(t)) {
		t->have = t->d->resumed_bytes = old;
		rc = check_space(t, e);
		return rc ? rc : seek_part(t, e);
	}
	if (old)
		say(t, "begun anew: what there was of it cannot be gone on with");
	rc = check_space(t, e);
	if (rc == 0)
		rc = seek_part(t, e);
	if (rc == 0)
		rc = state_write(t, e);
	return rc ? rc : put(t, first, e);
}

static int fetch_rest(struct transfer *t, struct err *e)
{
	while (t->have < t->total) {
		uint64_t got = 0;
		int rc = next_piece(t, &got, e);

		if (rc == 0 && got)
			rc = put(t, got, e);
		if (rc)
			return rc;
		if (got == 0)
			break;
		/* a server that did not tell the size may learn it on the way */
		if (t->total == READER_SIZE_UNKNOWN)
			t->total = t->reader->size;
	}
	if (t->total == READER_SIZE_UNKNOWN || t->have == t->total)
		return 0;
	return err_set(e, -EBADMSG, "it ended after %" PRIu64 " of %" PRIu64 " bytes", t->have,
		       t->total);
}

static int finish(struct transfer *t, struct err *e)
{
	int rc = fdatasync(t->fd) < 0 ? err_set(e, -errno, "%s: %s", t->part, strerror(errno)) : 0;

	if (rc)
		return rc;
	rc = prove(t, t->fd, e);
	/* to go on with it would never make it right */
	if (rc == -EBADMSG && unlink(t->part) == 0)
		unlink(t->state);
	if (rc)
		return rc;
	/* Never over a file that somebody put there meanwhile. */
	if (link(t->part, t->w->path) < 0 && errno != EPERM && errno != EOPNOTSUPP)
		return err_set(e, -errno, "%s: %s", t->w->path, strerror(errno));
	if (access(t->w->path, F_OK) < 0 && rename(t->part, t->w->path) < 0)
		return err_set(e, -errno, "%s: %s", t->w->path, strerror(errno));
	unlink(t->part);
	unlink(t->state);
	t->d->bytes = t->have;
	return 0;
}

static int transfer(struct transfer *t, struct err *e)
{
	uint64_t first = 0;
	int rc = learn(t, &first, e);

	if (rc)
		return rc;
	own_fd int old = open(t->w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (old >= 0)
		return look_at_old(t, old, e);
	if (errno != ENOENT)
		return err_set(e, -errno, "%s: %s", t->w->path, strerror(errno));
	rc = begin(t, first, e);
	if (rc == 0)
		rc = fetch_rest(t, e);
	return rc ? rc : finish(t, e);
}

int download(struct downloaded *d, const struct download *w, const struct remote_opts *o,
	     struct err *e)
{
	struct transfer t = { .w = w, .o = o, .d = d, .fd = -1 };

	*d = (struct downloaded) { 0 };
	if (snprintf(t.part, sizeof(t.part), "%s.part", w->path) >= (int)sizeof(t.part) ||
	    snprintf(t.state, sizeof(t.state), "%s.part.json", w->path) >= (int)sizeof(t.state))
		return err_set(e, -ENAMETOOLONG, "the path is too long: %.200s", w->path);
	t.buf = malloc(PIECE);
	int rc = t.buf ? transfer(&t, e) : err_set(e, -ENOMEM, "no memory");

	if (rc && rc != -EBUSY)
		drop_empty(&t);
	reader_close(t.reader);
	own_close_fd(&t.fd);
	free(t.buf);
	return rc;
}
