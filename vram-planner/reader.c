/* SPDX-License-Identifier: MIT */
/* Reading from a file. The header is read, not mapped: a mapped file that shrinks would kill us. */
#include "vram-planner/reader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

struct file_reader {
	struct reader r;
	int fd;
};

static int read_file(struct reader *r, uint64_t at, void *buf, uint64_t n, uint64_t *got,
		     struct err *e)
{
	struct file_reader *f = (struct file_reader *)r;

	for (*got = 0; *got < n;) {
		ssize_t k = pread(f->fd, (uint8_t *)buf + *got, n - *got, (off_t)(at + *got));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_set(e, -errno, "reading at byte %" PRIu64 ": %s", at + *got,
				       strerror(errno));
		if (k == 0) { /* shorter than it said: somebody is writing it */
			r->size = at + *got;
			break;
		}
		*got += (uint64_t)k;
	}
	return 0;
}

static void close_file(struct reader *r)
{
	struct file_reader *f = (struct file_reader *)r;

	close(f->fd);
	free(f);
}

static int open_file(const char *path, uint64_t *size, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENXIO) /* a socket, or a terminal that is not ours */
		return err_set(e, -EBADMSG, "is not a regular file");
	if (fd < 0)
		return err_set(e, -errno, "%s", strerror(errno));
	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "is a directory; give a .gguf file in it");
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "is not a regular file");
	*size = (uint64_t)st.st_size;
	return take_fd(&fd);
}

int reader_file(struct reader **r, const char *path, struct err *e)
{
	uint64_t size = 0;
	own_fd int fd = open_file(path, &size, e);

	*r = NULL;
	if (fd < 0)
		return fd;
	struct file_reader *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(e, -ENOMEM, "no memory");
	f->r = (struct reader) { .read = read_file, .close = close_file, .size = size };
	f->fd = take_fd(&fd);
	*r = &f->r;
	return 0;
}

/* --- memory --- */

struct memory_reader {
	struct reader r;
	uint8_t *bytes;
	uint64_t n;
};

static int read_memory(struct reader *r, uint64_t at, void *buf, uint64_t n, uint64_t *got,
		       struct err *e)
{
	const struct memory_reader *m = (const struct memory_reader *)r;
	uint64_t left = at < m->n ? m->n - at : 0;

	(void)e;
	*got = n < left ? n : left;
	if (*got)
		memcpy(buf, m->bytes + at, *got);
	return 0;
}

static void close_memory(struct reader *r)
{
	struct memory_reader *m = (struct memory_reader *)r;

	free(m->bytes);
	free(m);
}

struct reader *reader_memory(uint8_t *bytes, uint64_t n, uint64_t size)
{
	struct memory_reader *m = calloc(1, sizeof(*m));

	if (!m) {
		free(bytes);
		return NULL;
	}
	m->r = (struct reader) { .read = read_memory, .close = close_memory, .size = size };
	m->bytes = bytes;
	m->n = n;
	return &m->r;
}
