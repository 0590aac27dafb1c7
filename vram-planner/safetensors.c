/* SPDX-License-Identifier: MIT */
#include "vram-planner/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

/* All n bytes from `at`. */
static int read_all(struct reader *file, uint64_t at, void *buf, uint64_t n, struct err *e)
{
	uint64_t got = 0, k;
	int rc = 0;

	for (; got < n && !rc; got += k) {
		rc = file->read(file, at + got, (char *)buf + got, n - got, &k, e);
		if (!rc && k == 0)
			rc = err_set(e, -EBADMSG,
				     "the file is cut short: %" PRIu64 " bytes of a header",
				     at + got);
	}
	return rc;
}

int safetensors_file(struct reader *file, const struct st_reader *r, struct err *e)
{
	uint64_t n = 0;
	int rc = read_all(file, 0, &n, sizeof(n), e);

	if (rc)
		return rc;
	if (n < 2 || n > SAFETENSORS_HEADER_MAX || n > file->size - sizeof(n))
		return err_set(e, -EBADMSG,
			       "the file is cut short, or no safetensors file: a header of %" PRIu64
			       " bytes, and the whole has %" PRIu64,
			       n, file->size);
	own_free char *json = malloc(n);

	if (!json)
		return err_set(e, -ENOMEM, "no memory for a header of %" PRIu64 " bytes", n);
	rc = read_all(file, sizeof(n), json, n, e);
	return rc ? rc : safetensors_header(json, n, r, e);
}
