/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

/* jansson fails only when memory is gone; an answer with keys missing would be a lie. */
static void put(json_t *o, const char *key, json_t *v)
{
	if (json_object_set_new(o, key, v) != 0)
		abort();
}

json_t *json_answer(const char *schema)
{
	json_t *o = json_object();

	put(o, "schema", json_string(schema));
	return o;
}

void json_put_text(json_t *o, const char *key, const char *v)
{
	own_free char *copy = strdup(v);

	if (!copy)
		abort();
	put(o, key, json_string(text_clean(copy)));
}

void json_put_int(json_t *o, const char *key, int64_t v)
{
	put(o, key, json_integer(v));
}

void json_put_bool(json_t *o, const char *key, bool v)
{
	put(o, key, json_boolean(v));
}

void json_put_null(json_t *o, const char *key)
{
	put(o, key, json_null());
}

void json_put_text_or_null(json_t *o, const char *key, const char *v)
{
	if (*v)
		json_put_text(o, key, v);
	else
		json_put_null(o, key);
}

static void put_with(json_t *o, const char *key, const char *suffix, const char *v)
{
	char name[96];

	snprintf(name, sizeof(name), "%s_%s", key, suffix);
	put(o, name, json_string(v));
}

void json_put_fact(json_t *o, const char *key, const struct fact *f)
{
	put(o, key, fact_known(f) ? json_integer(f->v) : json_null());
	if (fact_known(f))
		put_with(o, key, "src", src_name(f->src));
	else
		put_with(o, key, "why", why_name(f->why));
}

void json_put_fact_text(json_t *o, const char *key, const struct fact_text *f)
{
	if (!fact_text_known(f)) {
		json_put_null(o, key);
		put_with(o, key, "why", why_name(f->why));
		return;
	}
	json_put_text(o, key, f->v);
	put_with(o, key, "src", src_name(f->src));
}

static const char *get_with(const json_t *o, const char *key, const char *suffix)
{
	char name[96];

	snprintf(name, sizeof(name), "%s_%s", key, suffix);
	const char *v = json_string_value(json_object_get(o, name));

	return v ? v : "";
}

struct fact json_get_fact(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_null(v))
		return fact_unknown(why_from_name(get_with(o, key, "why")));
	enum src src = src_from_name(get_with(o, key, "src"));

	if (!json_is_integer(v) || src == SRC_NONE)
		return fact_unknown(WHY_GARBLED);
	return fact_of(json_integer_value(v), src);
}

struct fact_text json_get_fact_text(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_null(v))
		return fact_text_unknown(why_from_name(get_with(o, key, "why")));
	enum src src = src_from_name(get_with(o, key, "src"));

	if (!json_is_string(v) || src == SRC_NONE)
		return fact_text_unknown(WHY_GARBLED);
	return fact_text_of(json_string_value(v), src);
}

void json_get_text(const json_t *o, const char *key, char *to, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	text_copy(to, size, s ? s : "");
	text_clean(to);
}

static int dump(const json_t *o, FILE *to, size_t flags)
{
	if (json_dumpf(o, to, flags | JSON_ENSURE_ASCII) != 0 || fputc('\n', to) == EOF ||
	    fflush(to))
		return -EIO;
	return 0;
}

int json_print(const json_t *o, FILE *to)
{
	return dump(o, to, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
}

int json_print_line(const json_t *o, FILE *to)
{
	return dump(o, to, JSON_COMPACT | JSON_REAL_PRECISION(15));
}

json_t *json_parse(const char *bytes, size_t size, const char *what, struct err *e)
{
	json_error_t je;
	json_t *o = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &je);

	if (!o) {
		text_clean(je.text);
		err_set(e, -EBADMSG, "%s is not sound JSON: line %d, column %d: %s", what, je.line,
			je.column, je.text);
		return NULL;
	}
	if (!json_is_object(o)) {
		json_decref(o);
		err_set(e, -EBADMSG, "%s holds no JSON object", what);
		return NULL;
	}
	return o;
}

static int slurp(int fd, size_t max, char **bytes, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EBADMSG;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	own_free char *buf = malloc((size_t)st.st_size + 1);

	if (!buf)
		return -ENOMEM;
	long n = io_read(fd, buf, (size_t)st.st_size);

	if (n < 0)
		return (int)n;
	*size = (size_t)n;
	*bytes = take_ptr(&buf);
	return 0;
}

json_t *json_read_file(const char *path, size_t max, struct err *e)
{
	own_free char *bytes = NULL;
	size_t size = 0;
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc = fd < 0 ? -errno : slurp(fd, max, &bytes, &size);

	if (rc == -EFBIG)
		err_set(e, rc, "%s is larger than the %zu bytes such a file can have", path, max);
	else if (rc == -EBADMSG || rc == -ENXIO) /* ENXIO: a socket */
		err_set(e, -EBADMSG, "%s is not a regular file", path);
	else if (rc)
		err_set(e, rc, "cannot read %s: %s", path, strerror(-rc));
	return rc ? NULL : json_parse(bytes, size, path, e);
}
