/* SPDX-License-Identifier: MIT */
#include "base/machine.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

/* The kernel answers EAGAIN when a rename races the walk; this many tries is more than it ever needs. */
#define OPEN_TRIES 16

static int open_beneath(const struct machine *m, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, m->root_fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int machine_openat(const struct machine *m, const char *path, int flags)
{
	if (!m->live)
		return open_beneath(m, *path ? path : ".", flags);
	int fd = openat(m->root_fd, *path ? path : ".", flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int machine_open(struct machine *m, const char *dir, struct err *e)
{
	struct stat st;

	*m = (struct machine) { .root_fd = -1, .live = !dir };
	if (!text_copy(m->path, sizeof(m->path), dir ? dir : "/"))
		return err_set(e, -EINVAL, "the machine folder's path is longer than %zu bytes",
			       sizeof(m->path) - 1);
	if (dir && stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(e, -ENOTDIR,
			       "%s is not a folder; give one written by 'berth probe --capture'",
			       dir);
	m->root_fd = open(m->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->root_fd < 0)
		return err_set(e, -errno, "cannot open the machine folder %s: %s", m->path,
			       strerror(errno));
	if (dir && !machine_exists(m, "sys")) {
		machine_close(m);
		return err_set(
			e, -EBADMSG,
			"%s holds no sys/ folder, so it is not a captured machine; make one with "
			"'berth probe --capture'",
			dir);
	}
	return 0;
}

void machine_close(struct machine *m)
{
	own_close_fd(&m->root_fd);
}

long machine_read_bytes(const struct machine *m, const char *path, void *buf, size_t size)
{
	struct stat st;

	/* O_NONBLOCK: a FIFO planted in a captured folder must not hang us before fstat sees it. */
	own_fd int fd = machine_openat(m, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	return io_read(fd, buf, size);
}

long machine_read(const struct machine *m, const char *path, char *buf, size_t size)
{
	long n = machine_read_bytes(m, path, buf, size);

	if (n < 0 || (size_t)n == size) {
		buf[0] = '\0';
		return n < 0 ? n : -EFBIG;
	}
	buf[n] = '\0';
	/* A NUL inside ends the text for every reader of C strings: count what they will see. */
	text_trim(buf);
	return (long)strlen(buf);
}

int machine_read_u64(const struct machine *m, const char *path, uint64_t *v)
{
	char buf[64];
	long n = machine_read(m, path, buf, sizeof(buf));

	if (n < 0)
		return n == -EFBIG ? -EBADMSG : (int)n;
	return text_parse_u64(buf, v) ? -EBADMSG : 0;
}

int machine_link(const struct machine *m, const char *path, char *buf, size_t size)
{
	own_fd int fd = machine_openat(m, path, O_PATH | O_NOFOLLOW);

	if (fd < 0)
		return fd;
	ssize_t n = readlinkat(fd, "", buf, size);

	/* With an empty path the kernel says ENOENT of what is there but no link. */
	if (n < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	if ((size_t)n == size)
		return -EFBIG;
	buf[n] = '\0';
	return 0;
}

bool machine_exists(const struct machine *m, const char *path)
{
	own_fd int fd = machine_openat(m, path, O_PATH);

	return fd >= 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One allocation: the pointers first, then the strings they point to. */
static int pack_names(char (*list)[MACHINE_NAME_MAX], int n, char ***names)
{
	size_t head = ((size_t)n + 1) * sizeof(char *);
	char **out = malloc(head + (size_t)n * MACHINE_NAME_MAX);

	if (!out)
		return -ENOMEM;
	char *strings = (char *)out + head;

	for (int i = 0; i < n; i++) {
		out[i] = strings + (size_t)i * MACHINE_NAME_MAX;
		memcpy(out[i], list[i], MACHINE_NAME_MAX);
	}
	out[n] = NULL;
	qsort(out, (size_t)n, sizeof(*out), by_bytes);
	*names = out;
	return n;
}

int machine_list(const struct machine *m, const char *path, char ***names)
{
	own_free char(*list)[MACHINE_NAME_MAX] = NULL;
	const struct dirent *de;
	int n = 0, room = 0;

	*names = NULL;
	own_fd int fd = machine_openat(m, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	if (fd < 0)
		return fd;
	own_dir DIR *d = fdopendir(fd);

	if (!d)
		return -errno;
	take_fd(&fd);
	while ((de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (n == MACHINE_LIST_MAX)
			return -EFBIG;
		if (n == room) {
			room = room ? room * 2 : 64;
			void *more = realloc(list, (size_t)room * sizeof(*list));

			if (!more)
				return -ENOMEM;
			list = more;
		}
		/* No kernel name is that long; one in a captured folder is not of our writing. */
		if (text_copy(list[n], sizeof(list[n]), de->d_name))
			n++;
	}
	return pack_names(list, n, names);
}
