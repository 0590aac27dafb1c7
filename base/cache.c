/* SPDX-License-Identifier: MIT */
#include "base/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/own.h"

/* The folder; made when it is missing and make is set. False: there is none. */
static bool folder(char *dir, size_t size, bool make)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n = -1;

	if (getenv("BERTH_NO_CACHE"))
		return false;
	if (xdg && *xdg == '/')
		n = snprintf(dir, size, "%s", xdg);
	else if (home && *home == '/')
		n = snprintf(dir, size, "%s/.cache", home);
	if (n < 0 || (size_t)n + sizeof("/berth") > size)
		return false;
	if (make && mkdir(dir, 0700) != 0 && errno != EEXIST)
		return false;
	snprintf(dir + n, size - (size_t)n, "/berth");
	return !make || mkdir(dir, 0700) == 0 || errno == EEXIST;
}

json_t *cache_read(const char *name)
{
	char dir[PATH_MAX], path[PATH_MAX + NAME_MAX];
	struct err e = { 0 };

	if (!folder(dir, sizeof(dir), false))
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return json_read_file(path, CACHE_FILE_MAX, &e);
}

/* The text beside `path`, then in its place. 0 or -errno, and nothing left behind. */
static int replace(const char *path, const char *text)
{
	char temp[PATH_MAX + NAME_MAX + 8];
	int rc;

	snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	own_fd int fd = mkostemp(temp, O_CLOEXEC);

	if (fd < 0)
		return -errno;
	rc = io_write(fd, text, strlen(text));
	if (!rc && rename(temp, path) != 0)
		rc = -errno;
	if (rc)
		unlink(temp);
	return rc;
}

int cache_write(const char *name, const json_t *o, struct err *e)
{
	char dir[PATH_MAX], path[PATH_MAX + NAME_MAX];
	int rc;

	if (!folder(dir, sizeof(dir), true))
		return err_set(e, -ENOENT, "there is no folder for the user's cache");
	own_free char *text = json_dumps(o, JSON_INDENT(1) | JSON_ENSURE_ASCII);

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	rc = text ? replace(path, text) : -ENOMEM;
	return rc ? err_set(e, rc, "%s cannot be written: %s", path, strerror(-rc)) : 0;
}
