/* SPDX-License-Identifier: MIT */
/* Where telemetry pages live. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

#define PATH_SIZE 512
#define PAGES_MAX 256 /* a folder with more is not ours; the rest is left unseen */

/* Folder i of three, or false when its variable is unset. Relative values are ignored, as XDG asks. */
static bool folder(int i, char *buf)
{
	const char *berth = getenv("BERTH_RUNTIME_DIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n = -1;

	if (i == 0 && berth && *berth == '/')
		n = snprintf(buf, PATH_SIZE, "%s", berth);
	else if (i == 1 && xdg && *xdg == '/')
		n = snprintf(buf, PATH_SIZE, "%s/berth", xdg);
	else if (i == 2)
		n = snprintf(buf, PATH_SIZE, "/run/berth");
	return n > 0 && n < PATH_SIZE;
}

int telem_dir(char *buf, size_t size, struct err *e)
{
	char path[PATH_SIZE] = "";
	struct stat st;

	for (int i = 0; i < 3 && !folder(i, path); i++)
		;
	/* -EACCES whatever the cause: the environment is at fault, nobody named this folder as input */
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return err_set(e, -EACCES,
			       "cannot make the runtime folder %s: %s; set BERTH_RUNTIME_DIR to a "
			       "folder you can write",
			       path, strerror(errno));
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, -EACCES,
			       "the runtime folder %s is not a folder; set BERTH_RUNTIME_DIR to "
			       "a folder you can write",
			       path);
	if (access(path, W_OK | X_OK) < 0)
		return err_set(e, -EACCES,
			       "cannot write to the runtime folder %s; set BERTH_RUNTIME_DIR to a "
			       "folder you can write",
			       path);
	if (!text_copy(buf, size, path))
		return err_set(e, -ENAMETOOLONG, "the runtime folder's path is too long");
	return 0;
}

static bool ends_in(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);

	return n > m && strcmp(s + n - m, tail) == 0;
}

static int add_pages(const char *dir, char **paths, int n)
{
	const struct dirent *de;
	char path[PATH_SIZE + 256];
	own_dir DIR *d = opendir(dir);

	while (d && n < PAGES_MAX && (de = readdir(d))) {
		if (!ends_in(de->d_name, ".telem"))
			continue;
		snprintf(path, sizeof(path), "%.*s/%s", PATH_SIZE - 1, dir, de->d_name);
		char *copy = strdup(path);

		if (!copy)
			return -ENOMEM;
		paths[n++] = copy;
	}
	return n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int telem_folders(char dirs[TELEM_FOLDERS][PATH_SIZE])
{
	int n = 0;

	for (int i = 0; i < TELEM_FOLDERS; i++) {
		bool seen = !folder(i, dirs[n]);

		for (int k = 0; k < n && !seen; k++)
			seen = strcmp(dirs[k], dirs[n]) == 0;
		n += !seen;
	}
	return n;
}

int telem_list(char ***out)
{
	char dirs[TELEM_FOLDERS][PATH_SIZE];
	char **paths = calloc(PAGES_MAX + 1, sizeof(*paths));
	int n = 0, n_dirs = telem_folders(dirs);

	*out = NULL;
	if (!paths)
		return -ENOMEM;
	for (int i = 0; i < n_dirs && n >= 0; i++)
		n = add_pages(dirs[i], paths, n);
	if (n < 0) {
		telem_list_free(paths);
		return n;
	}
	qsort(paths, (size_t)n, sizeof(*paths), by_text);
	*out = paths;
	return n;
}

void telem_list_free(char **paths)
{
	for (char **p = paths; p && *p; p++)
		free(*p);
	free(paths);
}
