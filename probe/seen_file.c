/* SPDX-License-Identifier: MIT */
/* Where last known values are kept. Read whole and bounded; written beside and renamed, so never half. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/own.h"
#include "probe/probe_priv.h"
#include "probe/seen.h"

#define FILE_MAX (256u << 10)

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

json_t *seen_read(void)
{
	char path[PATH_SIZE + 32], dir[PATH_SIZE];
	struct err e = { 0 };

	if (!folder(dir, sizeof(dir), false))
		return NULL;
	snprintf(path, sizeof(path), "%s/seen.json", dir);
	return json_read_file(path, FILE_MAX, &e);
}

static void write_file(const json_t *o)
{
	char path[PATH_SIZE + 32], temp[PATH_SIZE + 32], dir[PATH_SIZE];
	own_free char *text = json_dumps(o, JSON_INDENT(1) | JSON_ENSURE_ASCII);

	if (!text || !folder(dir, sizeof(dir), true))
		return;
	snprintf(path, sizeof(path), "%s/seen.json", dir);
	snprintf(temp, sizeof(temp), "%s/seen.XXXXXX", dir);
	own_fd int fd = mkostemp(temp, O_CLOEXEC); /* 0600: it holds UUIDs */

	if (fd >= 0 && (io_write(fd, text, strlen(text)) || rename(temp, path) != 0))
		unlink(temp);
}

void seen_store(const struct report *r, bool woken)
{
	char dir[PATH_SIZE];

	if (!r->n_gpus || !folder(dir, sizeof(dir), false))
		return;
	json_t *file = seen_read();
	json_t *o = seen_update(file, r, time(NULL), woken);

	if (o)
		write_file(o);
	json_decref(o);
	json_decref(file);
}
