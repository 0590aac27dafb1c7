/* SPDX-License-Identifier: MIT */
#include "vram-planner/safetensors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/json.h"
#include "base/own.h"

static int read_shape(struct st_tensor *t, const json_t *shape, struct err *e)
{
	uint64_t product = 1;

	if (!json_is_array(shape) || json_array_size(shape) > 4)
		return err_set(e, -EBADMSG,
			       "the shape of tensor '%.80s' is no list of up to 4 numbers",
			       t->name);
	t->n_dims = (uint32_t)json_array_size(shape);
	for (uint32_t i = 0; i < t->n_dims; i++) {
		json_int_t v = json_integer_value(json_array_get(shape, i));

		if (v <= 0 || __builtin_mul_overflow(product, (uint64_t)v, &product) ||
		    product > INT64_MAX / 8)
			return err_set(e, -EBADMSG, "the shape of tensor '%.80s' is absurd",
				       t->name);
		t->shape[i] = (uint64_t)v;
	}
	return 0;
}

static int each_tensor(const json_t *all, const struct st_reader *r, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)all, name, v)
	{
		struct st_tensor t = { .name = name, .dtype = "" };
		const char *dtype = json_string_value(json_object_get(v, "dtype"));

		if (strcmp(name, "__metadata__") == 0)
			continue;
		t.dtype = dtype ? dtype : "";
		int rc = read_shape(&t, json_object_get(v, "shape"), e);

		if (!rc)
			rc = r->tensor(r->arg, &t, e);
		if (rc)
			return rc;
	}
	return 0;
}

int safetensors_header(const char *json, uint64_t n, const struct st_reader *r, struct err *e)
{
	json_t *o = json_parse(json, n, "a safetensors header", e);

	if (!o)
		return -EBADMSG;
	int rc = each_tensor(o, r, e);

	json_decref(o);
	return rc;
}

/* Shards come once each: those of the names before are remembered in a set. */
static int each_name(const json_t *map, const struct st_reader *r, struct err *e)
{
	json_t *seen = json_object(), *v;
	const char *name;
	int rc = 0;

	json_object_foreach((json_t *)map, name, v)
	{
		struct st_tensor t = { .name = name, .dtype = "", .n_dims = UINT32_MAX };
		const char *file = json_string_value(v);

		if (!file || !*file || strchr(file, '/') || file[0] == '.') {
			rc = err_set(e, -EBADMSG, "the index names no file for tensor '%.80s'",
				     name);
			break;
		}
		rc = r->tensor(r->arg, &t, e);
		if (!rc && r->file && !json_object_get(seen, file)) {
			json_object_set_new(seen, file, json_true());
			rc = r->file(r->arg, file, e);
		}
		if (rc)
			break;
	}
	json_decref(seen);
	return rc;
}

int safetensors_index(const char *json, uint64_t n, const struct st_reader *r, struct err *e)
{
	json_t *o = json_parse(json, n, "a safetensors index", e);
	const json_t *map = json_object_get(o, "weight_map");
	int rc = -EBADMSG;

	if (o && !json_is_object(map))
		err_set(e, -EBADMSG, "the safetensors index has no weight_map");
	else if (o)
		rc = each_name(map, r, e);
	json_decref(o);
	return rc;
}

int safetensors_file(const char *path, const struct st_reader *r, struct err *e)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t n = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "%s is not a regular file", path);
	if (io_read(fd, &n, sizeof(n)) != (long)sizeof(n))
		return err_set(e, -EBADMSG, "%s is cut short: no safetensors header", path);
	if (n < 2 || n > SAFETENSORS_HEADER_MAX || n > (uint64_t)st.st_size - sizeof(n))
		return err_set(e, -EBADMSG,
			       "%s is cut short or no safetensors file: a header of %" PRIu64
			       " bytes, and %" PRIu64 " are there",
			       path, n, (uint64_t)st.st_size - sizeof(n));
	own_free char *json = malloc(n);

	if (!json)
		return err_set(e, -ENOMEM, "no memory for a header of %" PRIu64 " bytes", n);
	if (io_read(fd, json, n) != (long)n)
		return err_set(e, -EBADMSG, "%s is cut short", path);
	int rc = safetensors_header(json, n, r, e);

	return rc ? err_at(e, rc, "%s", path) : 0;
}
