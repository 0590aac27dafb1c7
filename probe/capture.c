/* SPDX-License-Identifier: MIT */
/*
 * Writing a machine folder: every answer the sources got, as they got it, under the same path. The
 * folder grows under another name beside its place and appears there complete, by rename.
 *
 * The machine being captured may itself be a hostile folder: everything is created below the new
 * folder's descriptor, and no symbolic link leads out of it.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"
#include "probe/probe_priv.h"

struct record {
	char dir[PATH_SIZE];
	char temp[PATH_SIZE];
	struct machine out;
	json_t *errors;
	int rc; /* the first failure */
	struct err e;
};

static void fail(struct record *r, int rc, const char *path)
{
	if (!r->rc)
		r->rc = err_set(&r->e, rc, "writing %s/%s: %s", r->temp, path, strerror(-rc));
}

/* Only an absent or empty folder is written to: a capture never mixes with what is there. */
static int check_place(const char *dir, struct err *e)
{
	own_dir DIR *d = opendir(dir);
	const struct dirent *de;

	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return err_set(e, -errno, "cannot write a capture to %s: %s", dir, strerror(errno));
	while ((de = readdir(d)))
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			return err_set(
				e, -EINVAL,
				"%s is not empty; give the name of a new folder for the capture",
				dir);
	return 0;
}

static int open_temp(struct record *r, const char *dir, struct err *e)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (!len || len + sizeof(".XXXXXX") > sizeof(r->temp))
		return err_set(e, -EINVAL, "give the capture a folder name of 1 to %zu bytes",
			       sizeof(r->temp) - sizeof(".XXXXXX"));
	snprintf(r->dir, sizeof(r->dir), "%.*s", (int)len, dir);
	int rc = check_place(r->dir, e);

	if (rc)
		return rc;
	snprintf(r->temp, sizeof(r->temp), "%.*s.XXXXXX", (int)len, dir);
	if (!mkdtemp(r->temp)) {
		rc = -errno;
		r->temp[0] = '\0';
		return err_set(e, rc, "cannot make a folder beside %s: %s", r->dir, strerror(-rc));
	}
	char sys[PATH_SIZE + 8];

	snprintf(sys, sizeof(sys), "%s/sys", r->temp);
	if (mkdir(sys, 0777) != 0)
		return err_set(e, -errno, "cannot write to %s: %s", r->temp, strerror(errno));
	return machine_open(&r->out, r->temp, e);
}

int record_begin(struct record **rec, const char *dir, struct err *e)
{
	struct record *r = calloc(1, sizeof(*r));

	*rec = NULL;
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->out.root_fd = -1;
	r->errors = json_object();
	int rc = open_temp(r, dir, e);

	if (rc) {
		record_drop(r);
		return rc;
	}
	*rec = r;
	return 0;
}

/* Opens the folder a path lies in, making what is missing. The name itself goes to *name. */
static int open_parent(struct record *r, const char *path, const char **name)
{
	own_fd int at = machine_openat(&r->out, "", O_PATH | O_DIRECTORY);
	char prefix[PATH_SIZE];

	for (const char *slash = strchr(path, '/'); slash && at >= 0;
	     slash = strchr(slash + 1, '/')) {
		const char *part = slash;

		while (part > path && part[-1] != '/')
			part--;
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(slash - part), part);
		if (mkdirat(at, prefix, 0777) != 0 && errno != EEXIST)
			return -errno;
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(slash - path), path);
		own_close_fd(&at);
		at = machine_openat(&r->out, prefix, O_PATH | O_DIRECTORY);
	}
	const char *last = strrchr(path, '/');

	*name = last ? last + 1 : path;
	return take_fd(&at);
}

static void record_parts(struct record *r, const char *path, const void *bytes, size_t n,
			 const char *end)
{
	const char *name;
	own_fd int parent = open_parent(r, path, &name);

	if (parent < 0) {
		fail(r, parent, path);
		return;
	}
	own_fd int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       0666);

	/* Two GPUs behind one bridge read its state twice: the first answer stands. */
	if (fd < 0 && errno == EEXIST)
		return;
	int rc = fd < 0 ? -errno : io_write(fd, bytes, n);

	if (!rc)
		rc = io_write(fd, end, strlen(end));
	if (rc)
		fail(r, rc, path);
}

void record_file(struct record *r, const char *path, const char *text)
{
	record_parts(r, path, text, strlen(text), "\n");
}

void record_bytes(struct record *r, const char *path, const void *bytes, size_t n)
{
	record_parts(r, path, bytes, n, "");
}

void record_link(struct record *r, const char *path, const char *target)
{
	const char *name;
	own_fd int parent = open_parent(r, path, &name);
	int rc = parent < 0 ? parent : 0;

	if (!rc && symlinkat(target, parent, name) != 0 && errno != EEXIST)
		rc = -errno;
	if (rc)
		fail(r, rc, path);
}

void record_dir(struct record *r, const char *path)
{
	const char *name;
	own_fd int parent = open_parent(r, path, &name);
	int rc = parent < 0 ? parent : 0;

	if (!rc && mkdirat(parent, name, 0777) != 0 && errno != EEXIST)
		rc = -errno;
	if (rc)
		fail(r, rc, path);
}

void record_error(struct record *r, const char *path, int rc)
{
	json_put_text(r->errors, path, strerrorname_np(-rc));
}

void record_answer(struct record *r, const char *name, const json_t *o)
{
	char path[64];
	char *text = json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII);

	if (!text) {
		fail(r, -ENOMEM, name);
		return;
	}
	snprintf(path, sizeof(path), "answers/%s.json", name);
	record_file(r, path, text);
	free(text);
}

int record_finish(struct record **rec, struct err *e)
{
	struct record *r = *rec;

	*rec = NULL;
	if (json_object_size(r->errors))
		record_answer(r, "errors", r->errors);
	/* mkdtemp made it private; a capture is as public as any other file of its owner. */
	mode_t mask = umask(0);

	umask(mask);
	if (!r->rc && (chmod(r->temp, 0777 & ~mask) != 0 || rename(r->temp, r->dir) != 0))
		fail(r, -errno, "");
	int rc = r->rc;

	if (rc && e)
		*e = r->e;
	if (!rc)
		r->temp[0] = '\0';
	record_drop(r);
	return rc;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

void record_drop(struct record *r)
{
	if (!r)
		return;
	if (r->temp[0])
		nftw(r->temp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	machine_close(&r->out);
	json_decref(r->errors);
	free(r);
}
