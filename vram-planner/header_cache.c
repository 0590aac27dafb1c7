/* SPDX-License-Identifier: MIT */
#include "vram-planner/header_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "vram-planner/http.h"

#define LINE_MAX_BYTES 8192
#define BYTES_MAX      (128 << 20)

void cached_free(struct cached *c)
{
	free(c->bytes);
	*c = (struct cached) { 0 };
}

static void file_name(char *path, size_t size, const char *dir, const char *url)
{
	char hex[65];

	http_cache_name(url, hex);
	snprintf(path, size, "%s/%s", dir, hex);
}

/* The first line; false when it is not of this URL or not sound. */
static bool read_line(struct cached *c, const char *line, size_t n, const char *url)
{
	json_t *o = json_parse(line, n, "a cached header", NULL);
	const char *u = json_string_value(json_object_get(o, "url"));
	const char *etag = json_string_value(json_object_get(o, "etag"));
	json_int_t size = json_integer_value(json_object_get(o, "size"));
	bool ok = u && etag && strcmp(u, url) == 0 && size > 0 &&
		  text_copy(c->etag, sizeof(c->etag), etag) && c->etag[0];

	c->total = ok ? (uint64_t)size : 0;
	json_decref(o);
	return ok;
}

bool header_cache_read(struct cached *c, const char *dir, const char *url)
{
	char path[1200];
	struct stat st;

	*c = (struct cached) { 0 };
	file_name(path, sizeof(path), dir, url);
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > BYTES_MAX)
		return false;
	uint64_t n = (uint64_t)st.st_size;
	uint8_t *bytes = malloc(n ? n : 1);

	if (!bytes)
		return false;
	long got = io_read(fd, bytes, n);
	const uint8_t *end = got > 0 ? memchr(bytes, '\n',
					      (size_t)got < LINE_MAX_BYTES ? (size_t)got
									   : LINE_MAX_BYTES)
				     : NULL;

	if (!end || !read_line(c, (char *)bytes, (size_t)(end - bytes), url)) {
		free(bytes);
		return false;
	}
	c->n = (uint64_t)got - (uint64_t)(end + 1 - bytes);
	memmove(bytes, end + 1, c->n);
	c->bytes = bytes;
	/* Touched, it is the youngest: the oldest goes first. */
	futimens(fd, NULL);
	return c->n > 0 && c->n <= c->total;
}

/* Make room: remove the file that was not used for the longest time. */
static void drop_oldest(const char *dir)
{
	char oldest[256] = "", path[1200];
	time_t when = 0;
	uint32_t n = 0;
	own_dir DIR *d = opendir(dir);
	const struct dirent *de;

	while (d && (de = readdir(d))) {
		struct stat st;

		if (de->d_name[0] == '.' || fstatat(dirfd(d), de->d_name, &st, 0) != 0)
			continue;
		n++;
		if (oldest[0] && st.st_mtime >= when)
			continue;
		when = st.st_mtime;
		text_copy(oldest, sizeof(oldest), de->d_name);
	}
	snprintf(path, sizeof(path), "%s/%s", dir, oldest);
	if (n >= HEADER_CACHE_FILES)
		unlink(path);
}

void header_cache_write(const struct cached *c, const char *dir, const char *url)
{
	char path[1200], temp[1200];
	json_t *o = json_object();

	json_put_text(o, "url", url);
	json_put_text(o, "etag", c->etag);
	json_put_int(o, "size", (int64_t)c->total);
	own_free char *line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(o);
	if (!line || strlen(line) >= LINE_MAX_BYTES || !c->etag[0] || c->n > BYTES_MAX)
		return;
	file_name(path, sizeof(path), dir, url);
	io_make_parents(path);
	drop_oldest(dir);
	snprintf(temp, sizeof(temp), "%s/.new.XXXXXX", dir);
	own_fd int fd = mkostemp(temp, O_CLOEXEC);

	if (fd >= 0 && (io_write(fd, line, strlen(line)) || io_write(fd, "\n", 1) ||
			io_write(fd, c->bytes, c->n) || rename(temp, path) != 0))
		unlink(temp);
}
