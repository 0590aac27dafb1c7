/* SPDX-License-Identifier: MIT */
/* The plan as "berth.plan/1": written, read back, named. docs/formats.md is the specification. */
#include "base/planfile.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/field.h"
#include "base/hash.h"
#include "base/own.h"
#include "base/text.h"

#define PLAN_FILE_MAX (1 << 20)
#define LAYERS_MAX    4096 /* llama.cpp's own bound is 512; a plan for a later one may have more */

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct field model_rows[] = {
	FIELD_KEY(struct plan, model_path, "path", FIELD_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct plan, model_size_bytes, "size_bytes", FIELD_U64, UNIT_BYTES, NULL),
	FIELD_KEY(struct plan, header_sha256, "header_sha256", FIELD_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct plan, model_name, "name", FIELD_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct plan, arch, "arch", FIELD_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct plan, n_layer, "n_layer", FIELD_U32, UNIT_NONE, NULL),
};

static const struct field flag_rows[] = {
	FIELD(struct plan_flags, n_ctx, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_flags, n_batch, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_flags, n_ubatch, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_flags, n_seq_max, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_flags, n_gpu_layers, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_flags, type_k, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_flags, type_v, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_flags, flash_attn, FIELD_BOOL, UNIT_NONE, NULL),
	FIELD(struct plan_flags, kv_unified, FIELD_BOOL, UNIT_NONE, NULL),
};

/* Absent in plans of earlier versions. */
static const struct field late_rows[] = {
	FIELD(struct plan_flags, n_outputs_max, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_flags, n_cpu_moe, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_flags, no_kv_offload, FIELD_BOOL, UNIT_NONE, NULL),
	FIELD(struct plan_flags, swa_full, FIELD_BOOL, UNIT_NONE, NULL),
	FIELD(struct plan_flags, embeddings, FIELD_BOOL, UNIT_NONE, NULL),
	FIELD(struct plan_flags, load_mtp, FIELD_BOOL, UNIT_NONE, NULL),
};

static const struct field buffer_rows[] = {
	FIELD(struct plan_buffers, weights_bytes, FIELD_U64, UNIT_BYTES, NULL),
	FIELD(struct plan_buffers, kv_bytes, FIELD_U64, UNIT_BYTES, NULL),
	FIELD(struct plan_buffers, compute_bytes, FIELD_U64, UNIT_BYTES, NULL),
	FIELD(struct plan_buffers, overhead_bytes, FIELD_U64, UNIT_BYTES, NULL),
};

static const struct field device_rows[] = {
	FIELD(struct plan_device, pci, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_device, uuid, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_device, name, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_device, backend, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_device, engine_name, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_device, layers, FIELD_U32, UNIT_NONE, NULL),
};

static const struct field draft_rows[] = {
	FIELD(struct plan_draft, path, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_draft, size_bytes, FIELD_U64, UNIT_BYTES, NULL),
	FIELD(struct plan_draft, header_sha256, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_draft, name, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct plan_draft, n_layer, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_draft, n_max, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct plan_draft, host_bytes, FIELD_U64, UNIT_BYTES, NULL),
};

/* --- writing --- */

static void put_memory(json_t *o, const struct plan_buffers *b, const struct fact *free_bytes,
		       int64_t left)
{
	json_t *buffers = json_object();

	fields_to_json(buffers, buffer_rows, N_OF(buffer_rows), b);
	json_object_set_new(o, "buffers", buffers);
	json_put_fact(o, "free_bytes", free_bytes);
	if (fact_known(free_bytes))
		json_put_int(o, "left_bytes", left);
	else
		json_put_null(o, "left_bytes");
}

static json_t *devices_to_json(const struct plan *p)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];
		json_t *o = json_object();

		fields_to_json(o, device_rows, N_OF(device_rows), d);
		put_memory(o, &d->buffers, &d->free_bytes, d->left_bytes);
		json_array_append_new(all, o);
	}
	return all;
}

/* An index into devices[]; null is the host. */
static void put_device(json_t *o, int32_t device)
{
	if (device < 0)
		json_put_null(o, "device");
	else
		json_put_int(o, "device", device);
}

static json_t *tensors_to_json(const struct plan *p)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < p->n_tensors; i++) {
		const struct plan_tensors *t = &p->tensors[i];
		json_t *o = json_object();

		json_put_text(o, "pattern", t->pattern);
		put_device(o, t->device);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *flags_to_json(const struct plan_flags *f)
{
	json_t *o = json_object();

	fields_to_json(o, flag_rows, N_OF(flag_rows), f);
	fields_to_json(o, late_rows, N_OF(late_rows), f);
	return o;
}

static json_t *draft_to_json(const struct plan_draft *d)
{
	json_t *o = json_object(), *buffers = json_object();

	fields_to_json(o, draft_rows, N_OF(draft_rows), d);
	put_device(o, d->device);
	json_object_set_new(o, "flags", flags_to_json(&d->flags));
	fields_to_json(buffers, buffer_rows, N_OF(buffer_rows), &d->buffers);
	json_object_set_new(o, "buffers", buffers);
	return o;
}

static json_t *nearest_to_json(const struct plan *p)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < p->n_nearest; i++) {
		const struct plan_nearest *n = &p->nearest[i];
		json_t *o = json_object();

		json_put_text(o, "change", n->change);
		json_put_text(o, "options", n->options);
		json_put_text(o, "loss", n->loss);
		if (n->model[0])
			json_put_text(o, "model", n->model);
		json_put_text(o, "verdict", verdict_name(n->verdict));
		json_array_append_new(all, o);
	}
	return all;
}

static void put_texts(json_t *o, const char *key, const char *texts, size_t size, uint32_t n)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < n; i++) {
		char copy[256];

		text_copy(copy, sizeof(copy), texts + i * size);
		json_array_append_new(all, json_string(text_clean(copy)));
	}
	json_object_set_new(o, key, all);
}

json_t *plan_to_json(const struct plan *p)
{
	json_t *o = json_answer("berth.plan/1");
	json_t *model = json_object(), *host = json_object();

	json_put_text(o, "verdict", verdict_name(p->verdict));
	json_put_text(o, "accept", accept_name(p->accept));
	if (p->unverified)
		json_put_bool(o, "unverified", true);
	json_put_text(o, "decided_by", p->decided_by);
	json_put_text_or_null(o, "nearest_yes", p->nearest_yes);
	if (p->n_nearest)
		json_object_set_new(o, "nearest", nearest_to_json(p));
	fields_to_json(model, model_rows, N_OF(model_rows), p);
	json_object_set_new(o, "model", model);
	json_put_text(o, "engine", p->engine);
	json_object_set_new(o, "flags", flags_to_json(&p->flags));
	if (p->n_tensors)
		json_object_set_new(o, "tensors", tensors_to_json(p));
	json_object_set_new(o, "devices", devices_to_json(p));
	json_put_int(host, "layers", p->host.layers);
	put_memory(host, &p->host.buffers, &p->host.free_bytes, p->host.left_bytes);
	json_object_set_new(o, "host", host);
	if (p->draft.n_max)
		json_object_set_new(o, "draft", draft_to_json(&p->draft));
	put_texts(o, "overrides", p->overrides[0], sizeof(p->overrides[0]), p->n_overrides);
	put_texts(o, "assumed", p->assumed[0], sizeof(p->assumed[0]), p->n_assumed);
	return o;
}

/* --- reading --- */

static int bad(struct err *e, const char *where, const char *key, const char *wants)
{
	return err_set(e, -EBADMSG, "the plan's %s%s%s must be %s", where, *where ? "." : "", key,
		       wants);
}

static int get_field(const json_t *o, const struct field *r, void *obj, const char *where,
		     struct err *e)
{
	const json_t *v = json_object_get(o, r->key);
	char *at = (char *)obj + r->offset;

	switch (r->kind) {
	case FIELD_TEXT:
		*at = '\0';
		if (json_is_null(v))
			return 0;
		if (!json_is_string(v) || !text_copy(at, r->size, json_string_value(v)))
			return bad(e, where, r->key, "a string that is not too long");
		/* Shown to a terminal; only the path must stay what it is, or it names another file. */
		if (strcmp(r->key, "path") != 0)
			text_clean(at);
		return 0;
	case FIELD_BOOL:
		if (!json_is_boolean(v))
			return bad(e, where, r->key, "true or false");
		*(bool *)at = json_is_true(v);
		return 0;
	case FIELD_U32:
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > UINT32_MAX)
			return bad(e, where, r->key, "a number from 0 to 4294967295");
		*(uint32_t *)at = (uint32_t)json_integer_value(v);
		return 0;
	case FIELD_U64:
		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return bad(e, where, r->key, "a number that is not negative");
		*(uint64_t *)at = (uint64_t)json_integer_value(v);
		return 0;
	default:
		return 0;
	}
}

static int get_fields(const json_t *o, const struct field *rows, size_t n, void *obj,
		      const char *where, struct err *e)
{
	if (!json_is_object(o))
		return bad(e, "", where, "an object");
	for (size_t i = 0; i < n; i++) {
		int rc = get_field(o, &rows[i], obj, where, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int get_flags(const json_t *o, struct plan_flags *f, struct err *e)
{
	int first = get_fields(o, flag_rows, N_OF(flag_rows), f, "flags", e);

	if (first)
		return first;
	for (size_t i = 0; i < N_OF(late_rows); i++) {
		int rc = 0;

		if (json_object_get(o, late_rows[i].key))
			rc = get_field(o, &late_rows[i], f, "flags", e);
		if (rc)
			return rc;
	}
	return 0;
}

static int get_memory(const json_t *o, struct plan_buffers *b, struct fact *free_bytes,
		      int64_t *left, const char *where, struct err *e)
{
	char inner[48];

	snprintf(inner, sizeof(inner), "%s.buffers", where);
	*free_bytes = json_get_fact(o, "free_bytes");
	*left = json_integer_value(json_object_get(o, "left_bytes"));
	return get_fields(json_object_get(o, "buffers"), buffer_rows, N_OF(buffer_rows), b, inner,
			  e);
}

static int get_device(const json_t *o, struct plan_device *d, uint32_t i, struct err *e)
{
	char where[32];

	snprintf(where, sizeof(where), "devices[%" PRIu32 "]", i);
	int rc = get_fields(o, device_rows, N_OF(device_rows), d, where, e);

	if (rc)
		return rc;
	/* As the kernel writes it: it becomes a path below /sys. */
	for (char *c = d->pci; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (!d->pci[0] && !d->engine_name[0])
		return err_set(e, -EBADMSG,
			       "the plan's %s names no device: it needs pci or engine_name", where);
	return get_memory(o, &d->buffers, &d->free_bytes, &d->left_bytes, where, e);
}

static int get_devices(struct plan *p, const json_t *all, struct err *e)
{
	size_t n = json_array_size(all);

	if (!json_is_array(all) || n > PLAN_DEVICES_MAX)
		return err_set(e, -EBADMSG, "the plan's devices must be a list of at most %d",
			       PLAN_DEVICES_MAX);
	p->n_devices = (uint32_t)n;
	for (uint32_t i = 0; i < p->n_devices; i++) {
		int rc = get_device(json_array_get(all, i), &p->devices[i], i, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int get_device_index(const struct plan *p, const json_t *o, int32_t *device,
			    const char *where, struct err *e)
{
	const json_t *d = json_object_get(o, "device");

	*device = -1;
	if (json_is_null(d))
		return 0;
	if (!json_is_integer(d) || json_integer_value(d) < 0 ||
	    json_integer_value(d) >= p->n_devices)
		return bad(e, where, "device", "the index of one of its devices, or null");
	*device = (int32_t)json_integer_value(d);
	return 0;
}

/* Each of its guesses is an output of the model, and each row of outputs was planned for. */
static int check_draft(const struct plan *p, struct err *e)
{
	uint64_t rows = (uint64_t)p->flags.n_seq_max * (1 + (uint64_t)p->draft.n_max);

	if (p->draft.n_max == 0 || p->draft.n_max > PLAN_DRAFT_MAX)
		return err_set(e, -EBADMSG, "the plan's draft.n_max is %" PRIu32 "; 1 to %d",
			       p->draft.n_max, PLAN_DRAFT_MAX);
	if (p->draft.n_layer > LAYERS_MAX)
		return err_set(e, -EBADMSG, "the plan's draft.n_layer is %" PRIu32 "; at most %d",
			       p->draft.n_layer, LAYERS_MAX);
	if (p->flags.n_outputs_max < rows)
		return err_set(e, -EBADMSG,
			       "the plan's draft guesses %" PRIu32 " tokens of %" PRIu32
			       " sequences, which wants n_outputs_max %" PRIu64 "; it is %" PRIu32,
			       p->draft.n_max, p->flags.n_seq_max, rows, p->flags.n_outputs_max);
	return 0;
}

/* After flags and devices. */
static int get_draft(struct plan *p, const json_t *o, struct err *e)
{
	int rc;

	if (!o)
		return 0;
	rc = get_fields(o, draft_rows, N_OF(draft_rows), &p->draft, "draft", e);
	if (!rc)
		rc = get_flags(json_object_get(o, "flags"), &p->draft.flags, e);
	if (!rc)
		rc = get_fields(json_object_get(o, "buffers"), buffer_rows, N_OF(buffer_rows),
				&p->draft.buffers, "draft.buffers", e);
	if (!rc)
		rc = get_device_index(p, o, &p->draft.device, "draft", e);
	return rc ? rc : check_draft(p, e);
}

/* After the devices, as they are named by index. */
static int get_tensors(struct plan *p, const json_t *all, struct err *e)
{
	size_t n = json_array_size(all);

	if (all && (!json_is_array(all) || n > PLAN_TENSORS_MAX))
		return err_set(e, -EBADMSG, "the plan's tensors must be a list of at most %d",
			       PLAN_TENSORS_MAX);
	for (p->n_tensors = 0; p->n_tensors < n; p->n_tensors++) {
		const json_t *o = json_array_get(all, p->n_tensors);
		struct plan_tensors *t = &p->tensors[p->n_tensors];
		const char *pattern = json_string_value(json_object_get(o, "pattern"));

		if (!pattern || !*pattern || !text_copy(t->pattern, sizeof(t->pattern), pattern))
			return bad(e, "tensors", "pattern", "a regular expression");
		text_clean(t->pattern);
		int rc = get_device_index(p, o, &t->device, "tensors", e);

		if (rc)
			return rc;
	}
	return 0;
}

static int get_name(const json_t *o, const char *key, const char *const *names, int n, int *v,
		    struct err *e)
{
	const char *s = json_string_value(json_object_get(o, key));

	for (int i = 0; s && i < n; i++) {
		if (strcmp(names[i], s) == 0) {
			*v = i;
			return 0;
		}
	}
	return bad(e, "", key, "one of the names in 'berth schema plan'");
}

static void get_texts(const json_t *o, const char *key, char *texts, size_t size, uint32_t *n)
{
	const json_t *all = json_object_get(o, key), *v;
	size_t i;

	*n = 0;
	json_array_foreach(all, i, v)
	{
		if (*n == PLAN_ASSUMED_MAX || !json_is_string(v))
			continue;
		text_copy(texts + size * *n, size, json_string_value(v));
		text_clean(texts + size * (*n)++);
	}
}

static int get_host(struct plan *p, const json_t *o, struct err *e)
{
	static const struct field layers = FIELD(struct plan_host, layers, FIELD_U32, UNIT_NONE,
						 NULL);
	int rc = get_fields(o, &layers, 1, &p->host, "host", e);

	if (rc)
		return rc;
	return get_memory(o, &p->host.buffers, &p->host.free_bytes, &p->host.left_bytes, "host", e);
}

/* The layers must add up, or the engine would be asked for a placement that no plan meant. */
static int check_layers(const struct plan *p, struct err *e)
{
	uint64_t on_gpus = 0, all = (uint64_t)p->n_layer + 1;

	if (p->n_layer > LAYERS_MAX)
		return err_set(e, -EBADMSG, "the plan's model.n_layer is %" PRIu32 "; at most %d",
			       p->n_layer, LAYERS_MAX);
	if (p->verdict == VERDICT_UNKNOWN || p->verdict == VERDICT_NO ||
	    p->verdict == VERDICT_REFUSED)
		return 0;
	for (uint32_t i = 0; i < p->n_devices; i++)
		on_gpus += p->devices[i].layers;
	if (on_gpus != p->flags.n_gpu_layers || on_gpus + p->host.layers != all)
		return err_set(e, -EBADMSG,
			       "the plan's layers do not add up: %" PRIu64 " on devices, %" PRIu32
			       " on the host, n_gpu_layers %" PRIu32 ", but the model has %" PRIu64
			       " with its output",
			       on_gpus, p->host.layers, p->flags.n_gpu_layers, all);
	return 0;
}

int plan_from_json(struct plan *p, const json_t *o, struct err *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	int verdict = 0, accept = 0;

	*p = (struct plan) { 0 };
	if (!schema || strcmp(schema, "berth.plan/1") != 0)
		return err_set(
			e, -EBADMSG,
			"the schema is not berth.plan/1; give a plan that 'berth plan --json' wrote");
	int rc = get_name(o, "verdict", verdict_names, VERDICT_REFUSED + 1, &verdict, e);

	if (!rc)
		rc = get_name(o, "accept", accept_choices, ACCEPT_CPU + 1, &accept, e);
	p->verdict = (enum verdict)verdict;
	p->accept = (enum accept)accept;
	if (!rc)
		rc = get_fields(json_object_get(o, "model"), model_rows, N_OF(model_rows), p,
				"model", e);
	if (!rc)
		rc = get_flags(json_object_get(o, "flags"), &p->flags, e);
	if (!rc)
		rc = get_devices(p, json_object_get(o, "devices"), e);
	if (!rc)
		rc = get_tensors(p, json_object_get(o, "tensors"), e);
	if (rc)
		return rc;
	rc = get_host(p, json_object_get(o, "host"), e);
	if (!rc)
		rc = get_draft(p, json_object_get(o, "draft"), e);
	if (rc)
		return rc;
	json_get_text(o, "engine", p->engine, sizeof(p->engine));
	p->unverified = json_is_true(json_object_get(o, "unverified"));
	json_get_text(o, "decided_by", p->decided_by, sizeof(p->decided_by));
	json_get_text(o, "nearest_yes", p->nearest_yes, sizeof(p->nearest_yes));
	get_texts(o, "overrides", p->overrides[0], sizeof(p->overrides[0]), &p->n_overrides);
	get_texts(o, "assumed", p->assumed[0], sizeof(p->assumed[0]), &p->n_assumed);
	return check_layers(p, e);
}

int plan_read(struct plan *p, const char *path, struct err *e)
{
	json_t *o = json_read_file(path, PLAN_FILE_MAX, e);

	if (!o)
		return e && e->rc ? e->rc : -EBADMSG;
	int rc = plan_from_json(p, o, e);

	json_decref(o);
	return rc ? err_at(e, rc, "%s", path) : 0;
}

/* --- on disk --- */

static int write_all(const json_t *o, int fd)
{
	own_file FILE *f = fdopen(fd, "w");
	int rc = f ? json_print(o, f) : -errno;

	if (!f)
		close(fd);
	return rc;
}

/* By way of another file and rename: a reader never sees half a plan. */
static int replace_file(const json_t *o, const char *path, struct err *e)
{
	char tmp[1100];

	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		return err_set(e, -ENAMETOOLONG, "the plan's path is too long");
	int fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
	int rc = fd < 0 ? -errno : write_all(o, fd);

	if (fd >= 0 && !rc && rename(tmp, path) < 0)
		rc = -errno;
	if (fd >= 0 && rc)
		unlink(tmp);
	return rc ? err_set(e, rc, "cannot write the plan to %s: %s", path, strerror(-rc)) : 0;
}

int plan_write_json(const json_t *o, const char *path, struct err *e)
{
	struct stat st;

	/* Root could rename a file over /dev/null; a pipe or a device is written to instead. */
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return replace_file(o, path, e);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : write_all(o, fd);

	return rc ? err_set(e, rc, "cannot write the plan to %s: %s", path, strerror(-rc)) : 0;
}

int plan_write(const struct plan *p, const char *path, struct err *e)
{
	json_t *o = plan_to_json(p);
	int rc = plan_write_json(o, path, e);

	json_decref(o);
	return rc;
}

void plan_id(const struct plan *p, char id[65])
{
	struct plan timeless = *p;

	/* What was free at the time of planning is no part of what was decided. */
	timeless.host.free_bytes = fact_unknown(WHY_NONE);
	for (uint32_t i = 0; i < p->n_devices; i++)
		timeless.devices[i].free_bytes = fact_unknown(WHY_NONE);
	json_t *o = plan_to_json(&timeless);
	own_free char *s = NULL;

	json_object_del(o, "decided_by");
	json_object_del(o, "nearest");
	json_object_del(o, "assumed");
	s = json_dumps(o, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(o);
	hash_sha256(s ? s : "", s ? strlen(s) : 0, id);
}
