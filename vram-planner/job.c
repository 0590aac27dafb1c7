/* SPDX-License-Identifier: MIT */
/* A line of --jobs: from JSON to numbers. */
#include "vram-planner/job.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "vram-planner/backend.h"
#include "vram-planner/gpus.h"
#include "vram-planner/plan.h"

enum flag_kind {
	FLAG_U32,
	FLAG_BOOL,
	FLAG_NOT,
	FLAG_TYPE,
	FLAG_FA,
	FLAG_LAYERS,
	FLAG_SPLIT,
	FLAG_TENSORS
};

/* The engine's flags, in the engine's short names or those of its own test lists. */
/* clang-format off */
static const struct flag {
	const char *key;
	enum flag_kind kind;
	size_t offset;
	uint32_t max;
} flags[] = {
	{ "c",       FLAG_U32,    offsetof(struct ask, n_ctx), INT32_MAX },
	{ "b",       FLAG_U32,    offsetof(struct ask, n_batch), INT32_MAX },
	{ "ub",      FLAG_U32,    offsetof(struct ask, n_ubatch), INT32_MAX },
	{ "np",      FLAG_U32,    offsetof(struct ask, n_seq), ASK_SEQ_MAX },
	{ "nout",    FLAG_U32,    offsetof(struct ask, n_outputs), INT32_MAX },
	{ "nrs",     FLAG_U32,    offsetof(struct ask, n_rs_seq), 1024 },
	{ "ncmoe",   FLAG_U32,    offsetof(struct ask, n_cpu_moe), INT32_MAX },
	{ "ngl",     FLAG_LAYERS, offsetof(struct ask, n_gpu_layers), INT32_MAX },
	{ "ctk",     FLAG_TYPE,   offsetof(struct ask, type_k), 0 },
	{ "ctv",     FLAG_TYPE,   offsetof(struct ask, type_v), 0 },
	{ "fa",      FLAG_FA,     offsetof(struct ask, flash_attn), 0 },
	{ "kvu",     FLAG_BOOL,   offsetof(struct ask, unified), 0 },
	{ "kvo",     FLAG_NOT,    offsetof(struct ask, cache_on_host), 0 },
	{ "swafull", FLAG_BOOL,   offsetof(struct ask, swa_full), 0 },
	{ "emb",     FLAG_BOOL,   offsetof(struct ask, embeddings), 0 },
	{ "mtp",     FLAG_BOOL,   offsetof(struct ask, mtp), 0 },
	{ "opo",     FLAG_BOOL,   offsetof(struct ask, op_offload), 0 },
	{ "xb",      FLAG_BOOL,   offsetof(struct ask, extra_buffers), 0 },
	{ "ot",      FLAG_TENSORS, 0, 0 },
	{ "ts",      FLAG_SPLIT,  offsetof(struct ask, split), 0 },
};
/* clang-format on */

static int bad(struct err *e, const char *key, const char *value, const char *want)
{
	char shown[48];

	text_copy(shown, sizeof(shown), value);
	return err_set(e, -EBADMSG, "%s is '%s'; it takes %s", key, text_clean(shown), want);
}

static int read_type(const char *key, const char *s, uint32_t *type, struct err *e)
{
	for (const char *const *known = cache_types; *known; known++) {
		if (strcmp(s, *known) == 0 && quant_from_name(s, type))
			return 0;
	}
	return bad(e, key, s, "a cache type: f16, q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl, bf16, f32");
}

static int read_number(const struct flag *f, const char *s, uint32_t *v, struct err *e)
{
	char want[48];
	uint64_t n;

	if (text_parse_u64(s, &n) == 0 && n <= f->max) {
		*v = (uint32_t)n;
		return 0;
	}
	snprintf(want, sizeof(want), "a whole number up to %" PRIu32, f->max);
	return bad(e, f->key, s, want);
}

static int read_bool(const struct flag *f, const char *s, bool *v, struct err *e)
{
	bool on = strcmp(s, "1") == 0;

	if (!on && strcmp(s, "0") != 0)
		return bad(e, f->key, s, "0 or 1");
	*v = f->kind == FLAG_NOT ? !on : on;
	return 0;
}

static int read_fa(const struct flag *f, const char *s, bool *v, struct err *e)
{
	static const char *const words[] = { "off", "0", "on", "1", "auto", "-1" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(s, words[i]) == 0) {
			*v = i >= 2;
			return 0;
		}
	}
	return bad(e, f->key, s, "on, off or auto");
}

/* "REGEX=CPU,REGEX=SIM1": parted by commas, as the engine's -ot, or by semicolons. */
static int read_tensors(struct job *j, const struct flag *f, const char *s, struct err *e)
{
	struct wish w = { 0 };
	char copy[1024];

	if (!text_copy(copy, sizeof(copy), s))
		return bad(e, f->key, s, "at most 1023 bytes");
	for (char *c = copy; *c; c++)
		*c = (char)(*c == ';' ? ',' : *c);
	if (!wish_tensors(&w, copy))
		return bad(e, f->key, s, "REGEX=CPU or REGEX=NAME-OF-A-GPU");
	j->ask.n_overrides = w.n_tensors;
	for (uint32_t i = 0; i < w.n_tensors; i++) {
		struct plan_tensors *t = &j->ask.overrides[i];

		memcpy(t->pattern, w.tensors[i].pattern, sizeof(t->pattern));
		t->device = -1;
		for (uint32_t g = 0; g < j->n_gpus; g++) {
			if (strcmp(j->gpus[g].name, w.tensors[i].where) == 0)
				t->device = (int32_t)g;
		}
		if (t->device < 0 && strcmp(w.tensors[i].where, "CPU") != 0)
			return bad(e, f->key, w.tensors[i].where,
				   "CPU or the name of one of the gpus");
	}
	return 0;
}

static int read_flag(struct job *j, const struct flag *f, const char *s, struct err *e)
{
	void *to = (char *)&j->ask + f->offset;

	switch (f->kind) {
	case FLAG_U32:
		return read_number(f, s, to, e);
	case FLAG_BOOL:
	case FLAG_NOT:
		return read_bool(f, s, to, e);
	case FLAG_TYPE:
		return read_type(f->key, s, to, e);
	case FLAG_FA:
		return read_fa(f, s, to, e);
	case FLAG_SPLIT:
		return shares_parse(to, s) ? 0 : bad(e, f->key, s, "shares such as 3,1, not all 0");
	case FLAG_TENSORS:
		return read_tensors(j, f, s, e);
	case FLAG_LAYERS:
		if (strcmp(s, "-1") == 0 || strcmp(s, "all") == 0) {
			*(uint32_t *)to = ASK_ALL_LAYERS;
			return 0;
		}
		return read_number(f, s, to, e);
	}
	return 0;
}

/* A flag's value as the text that a command line would have: a string, a number or a truth. */
static const char *value_text(const json_t *v, char *buf, size_t size)
{
	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_boolean(v))
		return json_is_true(v) ? "1" : "0";
	if (!json_is_integer(v))
		return NULL;
	snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	return buf;
}

static int read_flags(struct job *j, const json_t *o, struct err *e)
{
	const char *key;
	json_t *v;

	if (o && !json_is_object(o))
		return err_set(e, -EBADMSG, "flags is no object");
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		char number[24], shown[32];
		const char *s = value_text(v, number, sizeof(number));
		int rc = -ENOENT;

		for (size_t i = 0; s && rc == -ENOENT && i < sizeof(flags) / sizeof(flags[0]);
		     i++) {
			if (strcmp(key, flags[i].key) == 0)
				rc = read_flag(j, &flags[i], s, e);
		}
		text_copy(shown, sizeof(shown), key);
		if (!s)
			return err_set(e, -EBADMSG, "flags.%s is neither text nor a whole number",
				       text_clean(shown));
		if (rc == -ENOENT)
			return err_set(e, -EBADMSG, "flags.%s is no flag of the engine",
				       text_clean(shown));
		if (rc)
			return err_at(e, rc, "flags");
	}
	return 0;
}

/* A count of bytes; an absent one is left alone. */
static int read_bytes(const json_t *o, const char *key, uint64_t *v, struct err *e)
{
	const json_t *n = json_object_get(o, key);

	if (!n)
		return 0;
	if (!json_is_integer(n) || json_integer_value(n) < 0)
		return err_set(e, -EBADMSG, "%s is no whole number of bytes", key);
	*v = (uint64_t)json_integer_value(n);
	return 0;
}

/* As --gpu takes it ("936GB/s", or GB/s as a number), or bytes a second. */
static int read_bandwidth(const json_t *o, const char *key, double *v, struct err *e)
{
	const json_t *n = json_object_get(o, key);
	uint64_t rate;

	if (!n)
		return 0;
	if (json_is_string(n) && gpus_read_rate(json_string_value(n), &rate) == 0)
		*v = (double)rate;
	else if (json_is_number(n) && json_number_value(n) > 0 && json_number_value(n) < 1e15)
		*v = json_number_value(n) < 1e6 ? json_number_value(n) * 1e9 : json_number_value(n);
	else
		return err_set(e, -EBADMSG, "%s is no rate such as \"936GB/s\"", key);
	return 0;
}

static int read_gpu(struct job_gpu *g, const json_t *o, uint32_t i, struct err *e)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *backend = json_string_value(json_object_get(o, "backend"));

	if (!name || !name[0] || !text_copy(g->name, sizeof(g->name), name))
		return err_set(e, -EBADMSG, "gpus[%" PRIu32 "].name is no name", i);
	text_clean(g->name);
	g->target.backend = backend ? backend_find(backend) : NULL;
	if (!g->target.backend)
		return err_set(e, -EBADMSG,
			       "gpus[%" PRIu32 "].backend is no backend of the engine; "
			       "known are cuda, rocm, vulkan, sycl, rpc and cpu",
			       i);
	int rc = read_bytes(o, "memory_bytes", &g->target.memory_bytes, e);

	g->memory_known = json_object_get(o, "memory_bytes") != NULL;
	if (!rc)
		rc = read_bytes(o, "max_buffer_bytes", &g->target.max_buffer_bytes, e);
	return rc ? err_at(e, rc, "gpus[%" PRIu32 "]", i) : 0;
}

static int read_gpus(struct job *j, const json_t *list, struct err *e)
{
	if (list && (!json_is_array(list) || json_array_size(list) > PLAN_DEVICES_MAX))
		return err_set(e, -EBADMSG, "gpus is no list of at most %d devices",
			       PLAN_DEVICES_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		struct job_gpu *g = &j->gpus[j->n_gpus];
		int rc = read_gpu(g, o, (uint32_t)i, e);

		if (!rc)
			rc = read_bandwidth(o, "bandwidth", &j->bandwidth[j->n_gpus], e);
		if (rc)
			return rc;
		for (uint32_t k = 0; k < j->n_gpus; k++) {
			if (strcmp(j->gpus[k].name, g->name) == 0)
				return err_set(e, -EBADMSG, "two devices are called %s", g->name);
		}
		/* The CPU is there anyway; its backend as a device adds nothing. */
		if (strcmp(g->target.backend->name, "cpu") != 0)
			j->n_gpus++;
	}
	return 0;
}

static int read_fact(const json_t *o, const char *key, struct fact *f, struct err *e)
{
	uint64_t v = UINT64_MAX;
	int rc = read_bytes(o, key, &v, e);

	if (!rc && v != UINT64_MAX)
		*f = fact_of((int64_t)v, SRC_USER);
	return rc;
}

static int read_engine(struct job *j, const json_t *o, struct err *e)
{
	const json_t *v = json_object_get(o, "engine");

	j->engine = v ? NULL : engine_default();
	if (json_is_string(v))
		j->engine = engine_find(json_string_value(v));
	if (!j->engine)
		return err_set(e, -EBADMSG,
			       "engine is no version that berth has rules for, such as %s",
			       engine_default()->version);
	return 0;
}

int job_from_json(struct job *j, const json_t *o, struct err *e)
{
	const char *model = json_string_value(json_object_get(o, "model"));

	*j = (struct job) { 0 };
	ask_default(&j->ask);
	j->ask.n_gpu_layers = 99; /* what the measured lists leave out: not all of a larger model */
	if (!model || !model[0])
		return err_set(e, -EBADMSG, "model is missing: give the path of a GGUF file");
	if (!text_copy(j->model, sizeof(j->model), model))
		return err_set(e, -EBADMSG, "model is longer than a path can be");
	int rc = read_gpus(j, json_object_get(o, "gpus"), e);

	if (!rc)
		rc = read_flags(j, json_object_get(o, "flags"), e);
	if (!rc)
		rc = read_engine(j, o, e);
	if (!rc)
		rc = read_fact(o, "margin_bytes", &j->margin_bytes, e);
	if (!rc)
		rc = read_fact(o, "host_bytes", &j->host_bytes, e);
	if (!rc)
		rc = read_bandwidth(o, "host_bandwidth", &j->host_bandwidth, e);
	return rc;
}
