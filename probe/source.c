/* SPDX-License-Identifier: MIT */
/* Reading through a machine's root, with every answer recorded when a capture is being made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/apart.h"
#include "base/own.h"
#include "base/text.h"
#include "probe/probe_priv.h"

/* Errnos that a file of sysfs answers with; a captured machine keeps them by name. */
static const struct {
	const char *name;
	int rc;
} errnos[] = {
	{ "EACCES", -EACCES },       { "EPERM", -EPERM },     { "EIO", -EIO },
	{ "ENODEV", -ENODEV },       { "EINVAL", -EINVAL },   { "EBUSY", -EBUSY },
	{ "ENXIO", -ENXIO },         { "EAGAIN", -EAGAIN },   { "EFBIG", -EFBIG },
	{ "ENODATA", -ENODATA },     { "EBADMSG", -EBADMSG }, { "EOPNOTSUPP", -EOPNOTSUPP },
	{ "ETIMEDOUT", -ETIMEDOUT },
};

/* The errno a captured machine remembers for a path, else rc. Of those without a row we know that it failed. */
static long remembered(const struct source *s, const char *path, long rc)
{
	const char *name = json_string_value(json_object_get(s->errors, path));

	if (!name || rc != -ENOENT)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(errnos); i++)
		if (strcmp(errnos[i].name, name) == 0)
			return errnos[i].rc;
	return -EIO;
}

static void record_failure(const struct source *s, const char *path, long rc)
{
	if (s->rec && rc != -ENOENT && rc != -ENOTDIR)
		record_error(s->rec, path, (int)rc);
}

long src_read(const struct source *s, const char *path, char *buf, size_t size)
{
	long n = remembered(s, path, apart_read_one(s->m, path, buf, size));

	if (n < 0)
		record_failure(s, path, n);
	else if (s->rec)
		record_file(s->rec, path, buf);
	return n;
}

long src_read_lines(const struct source *s, const char *path, const char *const *keys, char *buf,
		    size_t size)
{
	long n = remembered(s, path, machine_read(s->m, path, buf, size));

	if (n < 0) {
		record_failure(s, path, n);
		return n;
	}
	keep_lines(buf, keys);
	text_trim(buf);
	if (s->rec)
		record_file(s->rec, path, buf);
	return (long)strlen(buf);
}

long src_read_bytes(const struct source *s, const char *path, void *buf, size_t size)
{
	long n = remembered(s, path, machine_read_bytes(s->m, path, buf, size));

	if (n < 0)
		record_failure(s, path, n);
	else if (s->rec)
		record_bytes(s->rec, path, buf, (size_t)n);
	return n;
}

int src_read_u64(const struct source *s, const char *path, uint64_t *v)
{
	char buf[64];
	long n = src_read(s, path, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	return text_parse_u64(buf, v) ? -EBADMSG : 0;
}

int src_read_i64(const struct source *s, const char *path, int64_t *v)
{
	char buf[64];
	uint64_t u;
	long n = src_read(s, path, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	bool minus = buf[0] == '-';

	if (text_parse_u64(buf + minus, &u) || u > INT64_MAX)
		return -EBADMSG;
	*v = minus ? -(int64_t)u : (int64_t)u;
	return 0;
}

int src_link(const struct source *s, const char *path, char *buf, size_t size)
{
	int rc = (int)remembered(s, path, machine_link(s->m, path, buf, size));

	if (rc)
		record_failure(s, path, rc);
	else if (s->rec)
		record_link(s->rec, path, buf);
	return rc;
}

int src_link_name(const struct source *s, const char *path, char *buf, size_t size)
{
	char target[PATH_SIZE];
	int rc = src_link(s, path, target, sizeof(target));

	if (rc)
		return rc;
	const char *slash = strrchr(target, '/');
	const char *name = slash ? slash + 1 : target;

	return *name && text_copy(buf, size, name) ? 0 : -EBADMSG;
}

/*
 * Where a link in folder `dir` leads, by the letters alone: the kernel's links are relative and go up
 * and down real folders. False for an absolute target or one that does not fit.
 */
static bool follow(const char *dir, const char *target, char *out, size_t size)
{
	if (*target == '/' || !text_copy(out, size, dir))
		return false;
	while (*target) {
		size_t len = strcspn(target, "/"), end = strlen(out);

		if (len == 2 && memcmp(target, "..", 2) == 0) {
			char *slash = strrchr(out, '/');

			*(slash ? slash : out) = '\0';
		} else if (len && !(len == 1 && *target == '.')) {
			int n = snprintf(out + end, size - end, "%s%.*s", end ? "/" : "", (int)len,
					 target);

			if (n < 0 || (size_t)n >= size - end)
				return false;
		}
		target += len + (target[len] == '/');
	}
	return out[0];
}

/* A hand-made folder may hold the device itself where the kernel has a link. */
int src_folder(const struct source *s, const char *path, char *dir, size_t size)
{
	char target[PATH_SIZE], parent[PATH_SIZE];
	const char *slash = strrchr(path, '/');
	int rc = machine_link(s->m, path, target, sizeof(target));

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
	if (rc || !follow(parent, target, dir, size))
		text_copy(dir, size, path);
	else if (s->rec)
		record_link(s->rec, path, target);
	return rc;
}

bool src_exists(const struct source *s, const char *path)
{
	bool there = machine_exists(s->m, path);

	if (there && s->rec)
		record_dir(s->rec, path);
	return there;
}

bool src_there(const struct source *s, const char *dir, const char *name)
{
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return false;
	bool there = machine_exists(s->m, path) || json_object_get(s->errors, path);

	if (there && s->rec)
		record_error(s->rec, path, -EAGAIN);
	return there;
}

long src_read_in(const struct source *s, const char *dir, const char *name, char *buf, size_t size)
{
	char path[PATH_SIZE];

	buf[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -EFBIG;
	return src_read(s, path, buf, size);
}

uint32_t src_id(const struct source *s, const char *dir, const char *name)
{
	char buf[64];
	uint64_t v;

	if (src_read_in(s, dir, name, buf, sizeof(buf)) < 0 || text_parse_u64(buf, &v))
		return 0;
	return v <= UINT32_MAX ? (uint32_t)v : 0;
}

struct fact src_fact(const struct source *s, const char *dir, const char *name, int64_t min,
		     int64_t max, enum src src)
{
	char path[PATH_SIZE];
	int64_t v;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return fact_unknown(WHY_GARBLED);
	int rc = src_read_i64(s, path, &v);

	if (rc)
		return fact_unknown(why_of(rc));
	return v >= min && v <= max ? fact_of(v, src) : fact_unknown(WHY_GARBLED);
}

struct fact_text src_fact_text(const struct source *s, const char *dir, const char *name,
			       enum src src)
{
	char buf[512];
	long n = src_read_in(s, dir, name, buf, sizeof(buf));

	if (n < 0)
		return fact_text_unknown(why_of((int)n));
	return n ? fact_text_of(buf, src) : fact_text_unknown(WHY_NOT_EXPORTED);
}

/* Small files are the rule, so a large one is read again rather than all get a large buffer. */
long read_whole(const struct machine *m, const char *path, size_t max, char **text)
{
	*text = NULL;
	for (size_t size = 16384;; size *= 2) {
		own_free char *buf = malloc(size);
		long n = buf ? machine_read(m, path, buf, size) : -ENOMEM;

		if (n == -EFBIG && size < max)
			continue;
		if (n >= 0)
			*text = take_ptr(&buf);
		return n;
	}
}

enum why why_of(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENODATA:
	case -EOPNOTSUPP: /* the driver makes the file for every chip, and this one has no such sensor */
		return WHY_NOT_EXPORTED;
	case -EACCES:
	case -EPERM:
		return WHY_NEEDS_ROOT;
	case -EAGAIN: /* what a capture has of a file that was left unread: src_there() */
		return WHY_ASLEEP;
	case -ETIMEDOUT: /* whose lock somebody holds: base/apart.h */
		return WHY_TIMEOUT;
	default:
		return WHY_GARBLED;
	}
}
