/* SPDX-License-Identifier: MIT */
/*
 * Rows of the measured truth, as the planner would be asked for them: tests/models/truth has them for
 * each model and backend, one configuration a line.
 */
#ifndef BERTH_TESTS_TRUTH_ROWS_H
#define BERTH_TESTS_TRUTH_ROWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/unit/harness.h"
#include "vram-planner/placement.h"

#define LAVAPIPE_RANGE (UINT64_C(128) << 20) /* its maxStorageBufferRange */

/* The measured backends, and the row of backends[] whose rules they follow. */
static const struct {
	const char *name, *backend;
	uint64_t max_buffer_bytes;
} measured[] = {
	{ "sim", "cuda", 0 }, /* a simulated device with CUDA's rules */
	{ "rpc", "rpc", 0 },    { "vulkan", "vulkan", LAVAPIPE_RANGE }, { "cpu", "cpu", 0 },
	{ "flags", "cuda", 0 }, /* the simulated device with overrides, predictions, rollback */
};

static inline int64_t job_int(const json_t *job, const char *key, int64_t fallback)
{
	const char *s = json_string_value(json_object_get(job, key));

	return s ? strtoll(s, NULL, 10) : fallback;
}

static inline const char *job_text(const json_t *job, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(job, key));

	return s ? s : fallback;
}

/* "PATTERN=CPU;PATTERN=CPU" */
static inline void read_overrides(struct ask *a, const char *list)
{
	while (*list && a->n_overrides < ASK_OVERRIDES_MAX) {
		struct plan_tensors *o = &a->overrides[a->n_overrides++];
		const char *end = strstr(list, "=CPU");

		assert_non_null(end);
		snprintf(o->pattern, sizeof(o->pattern), "%.*s", (int)(end - list), list);
		o->device = -1;
		list = end + (end[4] == ';' ? 5 : 4);
	}
}

static inline void read_ask(struct ask *a, const json_t *job, const struct shape *s)
{
	char list[256], *at = list, *share;
	struct err e;

	ask_default(a);
	a->measuring = true;
	a->n_ctx = (uint32_t)job_int(job, "c", 0);
	a->n_batch = (uint32_t)job_int(job, "b", 2048);
	a->n_ubatch = (uint32_t)job_int(job, "ub", 512);
	a->n_seq = (uint32_t)job_int(job, "np", 1);
	a->n_outputs = (uint32_t)job_int(job, "nout", 0);
	a->n_rs_seq = (uint32_t)job_int(job, "nrs", 0);
	a->unified = job_int(job, "kvu", 0) != 0;
	a->swa_full = job_int(job, "swafull", 0) != 0;
	a->cache_on_host = job_int(job, "kvo", 1) == 0;
	a->flash_attn = strcmp(job_text(job, "fa", "auto"), "off") != 0;
	a->mtp = job_int(job, "mtp", 0) != 0;
	a->embeddings = job_int(job, "emb", 0) != 0;
	a->op_offload = job_int(job, "opo", 1) != 0;
	a->extra_buffers = job_int(job, "xb", 0) != 0;
	a->n_gpu_layers = (uint32_t)job_int(job, "ngl", 99);
	a->n_cpu_moe = (uint32_t)job_int(job, "ncmoe", 0);
	snprintf(list, sizeof(list), "%s", job_text(job, "ts", "1"));
	for (uint32_t i = 0; i < PLAN_DEVICES_MAX && (share = strsep(&at, ",")); i++)
		a->split[i] = strtof(share, NULL);
	read_overrides(a, job_text(job, "ot", ""));
	assert_true(quant_from_name(job_text(job, "ctk", "f16"), &a->type_k));
	assert_true(quant_from_name(job_text(job, "ctv", "f16"), &a->type_v));
	assert_int_equal(ask_settle(a, s->n_ctx_train, s->causal, &e), 0);
}

struct row {
	const json_t *job, *buft, *log;
	const char *model, *measured;
};

/* A device's buffer has a name of its own on RPC; a host's is listed by its name. */
static inline int64_t part_of(const struct row *r, const char *buffer, const char *part)
{
	const char *name;
	json_t *b;

	json_object_foreach((json_t *)(uintptr_t)r->buft, name, b)
	{
		const char *dev = json_string_value(json_object_get(b, "dev"));

		if (strcmp(name, buffer) == 0 ||
		    (dev && strcmp(dev, buffer) == 0 && strncmp(name, "RPC", 3) == 0))
			return json_integer_value(json_object_get(b, part));
	}
	return 0;
}

/* The host has one compute buffer, in whichever kind of memory. */
static inline int64_t host_compute(const struct row *r)
{
	const char *name;
	json_t *b;
	int64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)r->buft, name, b)
	{
		if (json_integer_value(json_object_get(b, "host")))
			sum += json_integer_value(json_object_get(b, "compute"));
	}
	return sum;
}

static inline uint32_t read_targets(const struct row *r, size_t m, struct target *targets,
				    char devices[][24])
{
	char list[256], *at = list, *name;
	uint32_t n = 0;

	snprintf(list, sizeof(list), "%s", job_text(r->job, "dev", "none"));
	while (strcmp(list, "none") != 0 && (name = strsep(&at, ","))) {
		targets[n] = (struct target) { .backend = backend_find(measured[m].backend),
					       .max_buffer_bytes = measured[m].max_buffer_bytes };
		snprintf(devices[n++], sizeof(devices[0]), "%s", name);
	}
	return n;
}

static inline const char *models_dir(void)
{
	static char dir[512];
	const char *build = getenv("BUILD");

	snprintf(dir, sizeof(dir), "%s/tests/models", build ? build : "build");
	return dir;
}

#endif
