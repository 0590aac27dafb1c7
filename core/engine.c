/* SPDX-License-Identifier: MIT */
/* The engine opened and closed, its log, and the devices it finds. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ggml-backend.h>

#include "base/text.h"
#include "core/backends.h"
#include "core/engine_priv.h"

#ifndef ENGINE_VERSION
#error "ENGINE_VERSION names the engine whose headers these are; the Makefile gives it"
#endif

static void on_log(enum ggml_log_level level, const char *text, void *arg)
{
	struct engine *first = arg, *g;

	pthread_mutex_lock(&first->lock);
	g = first->heard;
	/* CONT goes on with the level before it */
	if (level != GGML_LOG_LEVEL_CONT) {
		g->log_was_error = level == GGML_LOG_LEVEL_ERROR;
		g->log_was_debug = level == GGML_LOG_LEVEL_DEBUG;
	}
	enginelog_feed(&g->log, g->log_was_error, text);
	if (first->echo > g->log_was_debug)
		fputs(text, stderr);
	pthread_mutex_unlock(&first->lock);
}

/* Of the process, as the callback for its end is: it is told no more than the words. */
static struct engine *aborting;

/* Some aborts have no words of their own, as those of memory refused: what was logged before tells. */
static void on_abort(const char *message)
{
	struct engine *g = aborting;

	/* Whoever holds the lock may be another thread that waits for us */
	if (g && !g->echo && pthread_mutex_trylock(&g->lock) == 0) {
		if (g->heard->log.last_error[0])
			fprintf(stderr, "%s\n", g->heard->log.last_error);
		pthread_mutex_unlock(&g->lock);
	}
	fprintf(stderr, "%s\n", message);
}

void engine_calm(struct engine *g)
{
	pthread_mutex_lock(&g->first->lock);
	enginelog_calm(&g->log);
	pthread_mutex_unlock(&g->first->lock);
}

void engine_hear(struct engine *g)
{
	pthread_mutex_lock(&g->first->lock);
	g->first->heard = g;
	pthread_mutex_unlock(&g->first->lock);
}

const char *engine_version(void)
{
	return llama_version();
}

/* The struct layouts change without a new SONAME: other headers than the library's would corrupt. */
static enum failure check_version(struct err *e)
{
	const char *have = llama_version();
	const char *want = ENGINE_VERSION;

	if (strcmp(have[0] == 'v' ? have + 1 : have, want[0] == 'v' ? want + 1 : want) == 0)
		return FAILURE_NONE;
	err_set(e, -ENOEXEC,
		"built for engine %s, but the library says %s; run `make deps` and rebuild", want,
		have);
	return FAILURE_VERSION;
}

static enum failure load_backends(struct engine *g, const char *dir, const char *const *names,
				  uint32_t n, struct err *e)
{
	const char *all[BACKEND_FILES_MAX];
	bool every = n == 0;
	char path[4096];

	if (backend_cpu_file(dir, path, sizeof(path), e))
		return FAILURE_LOAD;
	if (!ggml_backend_load(path)) {
		err_set(e, -ENOEXEC, "the engine's CPU backend does not load: %s",
			g->log.last_error);
		return FAILURE_LOAD;
	}
	if (every) {
		names = all;
		n = (uint32_t)backend_list(dir, all);
	}
	for (uint32_t i = 0; n != ENGINE_NO_BACKENDS && i < n; i++) {
		int rc = backend_file(dir, names[i], path, sizeof(path), e);

		if (rc)
			return rc == -EINVAL ? FAILURE_PLAN : FAILURE_DEVICE;
		if (!ggml_backend_load(path) && !every) {
			err_set(e, -ENODEV, "the engine's %s backend does not load: %s", names[i],
				g->log.last_error);
			return FAILURE_DEVICE;
		}
	}
	return FAILURE_NONE;
}

enum failure engine_open(struct engine **out, const char *lib_dir, const char *const *backends,
			 uint32_t n, int echo, struct err *e)
{
	enum failure f = check_version(e);
	struct engine *g;

	*out = NULL;
	if (f)
		return f;
	g = calloc(1, sizeof(*g));
	if (!g) {
		err_set(e, -ENOMEM, "out of memory");
		return FAILURE_OOM;
	}
	pthread_mutex_init(&g->lock, NULL);
	enginelog_init(&g->log);
	g->first = g->heard = g;
	g->echo = echo;
	llama_log_set(on_log, g);
	aborting = g;
	ggml_set_abort_callback(on_abort);
	llama_backend_init();
	f = load_backends(g, lib_dir, backends, n, e);
	if (f) {
		engine_close(g);
		return f;
	}
	*out = g;
	return FAILURE_NONE;
}

enum failure engine_beside(struct engine **out, struct engine *g, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	if (!*out) {
		err_set(e, -ENOMEM, "out of memory");
		return FAILURE_OOM;
	}
	(*out)->first = g->first;
	enginelog_init(&(*out)->log);
	return FAILURE_NONE;
}

void engine_unload(struct engine *g)
{
	engine_draw_free(g->draw);
	g->draw = NULL;
	if (g->batch.token)
		llama_batch_free(g->batch);
	g->batch = (struct llama_batch) { 0 };
	free(g->candidates);
	g->candidates = NULL;
	if (g->context)
		llama_free(g->context);
	g->context = NULL;
	if (g->pool)
		g->pool_free(g->pool);
	g->pool = NULL;
	if (g->model) /* its adapters go with it */
		llama_model_free(g->model);
	g->model = NULL;
	pthread_mutex_lock(&g->first->lock);
	enginelog_init(&g->log);
	pthread_mutex_unlock(&g->first->lock);
}

void engine_close(struct engine *g)
{
	if (!g)
		return;
	engine_unload(g);
	engine_hear(g->first);
	if (g->first != g) {
		free(g);
		return;
	}
	llama_backend_free();
	llama_log_set(NULL, NULL);
	ggml_set_abort_callback(NULL);
	aborting = NULL;
	pthread_mutex_destroy(&g->lock);
	free(g);
}

const struct enginelog *engine_log(const struct engine *g)
{
	return &g->log;
}

enum failure engine_failed(const struct engine *g, enum failure f, const char *what, struct err *e)
{
	const char *why = g->log.error[0] ? g->log.error : "it gave no reason";

	err_set(e, -EIO, "%s: %s", what, why);
	return g->log.no_memory ? FAILURE_OOM : f;
}

static const char *type_name(enum ggml_backend_dev_type t)
{
	static const char *const names[] = {
		[GGML_BACKEND_DEVICE_TYPE_CPU] = "cpu",
		[GGML_BACKEND_DEVICE_TYPE_GPU] = "gpu",
		[GGML_BACKEND_DEVICE_TYPE_IGPU] = "igpu",
		[GGML_BACKEND_DEVICE_TYPE_ACCEL] = "accel",
		[GGML_BACKEND_DEVICE_TYPE_META] = "meta",
	};

	return (unsigned)t < sizeof(names) / sizeof(names[0]) ? names[t] : "other";
}

uint32_t engine_devices(const struct engine *g, struct engine_device devices[CORE_DEVICES_MAX])
{
	uint32_t n = 0;

	(void)g; /* the registry is the process's */
	for (size_t i = 0; i < ggml_backend_dev_count() && n < CORE_DEVICES_MAX; i++) {
		struct engine_device *d = &devices[n++];
		struct ggml_backend_dev_props p;
		ggml_backend_dev_t dev = ggml_backend_dev_get(i);

		memset(d, 0, sizeof(*d));
		ggml_backend_dev_get_props(dev, &p);
		text_copy(d->name, sizeof(d->name), p.name);
		text_copy(d->description, sizeof(d->description),
			  p.description ? p.description : "");
		text_copy(d->backend, sizeof(d->backend),
			  ggml_backend_reg_name(ggml_backend_dev_backend_reg(dev)));
		for (char *c = d->backend; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		text_clean(d->name);
		text_clean(d->description);
		device_pci(d->pci, p.device_id ? p.device_id : "");
		text_copy(d->type, sizeof(d->type), type_name(p.type));
		d->total_bytes = p.memory_total;
		d->free_bytes = p.memory_free;
	}
	return n;
}

uint64_t engine_free_bytes(const struct engine *g, uint32_t device)
{
	size_t free_bytes = 0, total = 0;

	(void)g;
	ggml_backend_dev_memory(ggml_backend_dev_get(device), &free_bytes, &total);
	return free_bytes;
}
