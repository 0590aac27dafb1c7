/* SPDX-License-Identifier: MIT */
/* A plan carried out: model and context made exactly as it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <ggml-backend.h>
#include <ggml-cpu.h>

#include "base/own.h"
#include "core/engine_priv.h"
#include "core/tiny.h"

struct progress {
	const struct engine_load *how;
	bool stopped;
};

static bool on_progress(float part, void *arg)
{
	struct progress *p = arg;

	if (p->how->progress && !p->how->progress(p->how->arg, part))
		p->stopped = true;
	return !p->stopped;
}

/* Tensors by name, in the order in which the engine tries them, and the names it keeps pointing to. */
struct by_name {
	struct llama_model_tensor_buft_override *rows; /* ends with a NULL pattern */
	char (*patterns)[64];
};

static void by_name_fini(struct by_name *b)
{
	free(b->rows);
	free(b->patterns);
}

static int by_name_init(struct by_name *b, const struct plan *p, const ggml_backend_dev_t *devices)
{
	uint32_t n = p->n_tensors, experts = p->flags.n_cpu_moe;

	if (experts > p->n_layer)
		experts = p->n_layer;
	b->rows = calloc(n + experts + 1, sizeof(*b->rows));
	b->patterns = calloc(experts + 1, sizeof(*b->patterns));
	if (!b->rows || !b->patterns)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int32_t d = p->tensors[i].device;

		b->rows[i].pattern = p->tensors[i].pattern;
		b->rows[i].buft = d < 0 ? ggml_backend_cpu_buffer_type()
					: ggml_backend_dev_buffer_type(devices[d]);
	}
	for (uint32_t i = 0; i < experts; i++) {
		snprintf(b->patterns[i], sizeof(b->patterns[i]),
			 "^blk\\.%u\\.ffn_(up|down|gate|gate_up)_(ch|)exps", i);
		b->rows[n + i].pattern = b->patterns[i];
		b->rows[n + i].buft = ggml_backend_cpu_buffer_type();
	}
	return 0;
}

static enum failure load_model(struct engine *g, const struct engine_load *how, bool *stopped,
			       struct err *e)
{
	struct llama_model_params mp = llama_model_default_params();
	const struct plan *plan = how->plan;
	ggml_backend_dev_t list[PLAN_DEVICES_MAX + 1] = { NULL };
	/* The engine reads as many as llama_max_devices(), a constant 16 in this version */
	float split[64] = { 0 };
	struct progress p = { how, false };
	struct by_name names = { 0 };

	for (uint32_t i = 0; i < plan->n_devices; i++) {
		list[i] = ggml_backend_dev_get(how->index[i]);
		split[i] = (float)plan->devices[i].layers;
	}
	mp.devices = list;
	mp.tensor_split = split;
	mp.split_mode = LLAMA_SPLIT_MODE_LAYER;
	mp.n_gpu_layers = (int32_t)plan->flags.n_gpu_layers;
	if (by_name_init(&names, plan, list)) {
		by_name_fini(&names);
		err_set(e, -ENOMEM, "out of memory");
		return FAILURE_OOM;
	}
	if (names.rows[0].pattern)
		mp.tensor_buft_overrides = names.rows;
	mp.load_mtp = plan->flags.load_mtp;
	mp.load_mode = how->measure ? LLAMA_LOAD_MODE_NONE : LLAMA_LOAD_MODE_MMAP;
	mp.no_alloc = how->measure;
	if (how->measure)
		mp.use_extra_bufts = false;
	mp.progress_callback = on_progress;
	mp.progress_callback_user_data = &p;
	g->model = llama_model_load_from_file(plan->model_path, mp);
	by_name_fini(&names);
	*stopped = p.stopped;
	if (g->model || p.stopped)
		return FAILURE_NONE;
	return engine_failed(g, FAILURE_LOAD, "the engine could not load the model", e);
}

/* GGML_TYPE_COUNT when the engine knows no such type. */
static enum ggml_type type_of(const char *name)
{
	for (int t = 0; t < GGML_TYPE_COUNT; t++) {
		const char *n = ggml_type_name((enum ggml_type)t);

		if (n && strcmp(n, name) == 0)
			return (enum ggml_type)t;
	}
	return GGML_TYPE_COUNT;
}

/*
 * Without a pool of its own this build of the engine starts its threads anew for every token, and
 * they spin while they wait; on a machine that has other work that costs most of the speed.
 */
static void make_pool(struct engine *g, uint32_t threads)
{
	struct ggml_threadpool_params tp = { .n_threads = (int)threads };
	ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
	ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(cpu);
	struct ggml_threadpool *(*make)(struct ggml_threadpool_params *);

	*(void **)&make = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
	*(void **)&g->pool_free = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free");
	if (!make || !g->pool_free)
		return;
	tp.prio = GGML_SCHED_PRIO_NORMAL;
	g->pool = make(&tp);
	if (g->pool)
		llama_attach_threadpool(g->context, g->pool, g->pool);
}

/* What reads with one half and writes with the other wants steps that we do not take. */
static bool is_two_models(const struct engine *g)
{
	return llama_model_has_encoder(g->model) && llama_model_has_decoder(g->model);
}

static enum failure make_context(struct engine *g, const struct engine_load *how, struct err *e)
{
	struct llama_context_params cp = llama_context_default_params();
	const struct plan_flags *f = &how->plan->flags;

	cp.n_ctx = f->n_ctx;
	cp.n_batch = f->n_batch;
	cp.n_ubatch = f->n_ubatch;
	cp.n_seq_max = f->n_seq_max;
	cp.n_outputs_max = f->n_outputs_max ? f->n_outputs_max : f->n_seq_max;
	cp.n_threads = (int32_t)how->threads;
	cp.n_threads_batch = (int32_t)how->threads;
	cp.type_k = type_of(f->type_k);
	cp.type_v = type_of(f->type_v);
	if (cp.type_k == GGML_TYPE_COUNT || cp.type_v == GGML_TYPE_COUNT) {
		err_set(e, -EINVAL, "the engine knows no cache type \"%s\"",
			cp.type_k == GGML_TYPE_COUNT ? f->type_k : f->type_v);
		return FAILURE_PLAN;
	}
	cp.flash_attn_type = f->flash_attn ? LLAMA_FLASH_ATTN_TYPE_ENABLED
					   : LLAMA_FLASH_ATTN_TYPE_DISABLED;
	cp.kv_unified = f->kv_unified;
	/* The library's default is whole contexts. */
	cp.swa_full = f->swa_full;
	cp.offload_kqv = !f->no_kv_offload;
	cp.embeddings = f->embeddings;
	g->context = llama_init_from_model(g->model, cp);
	if (!g->context)
		return engine_failed(g, FAILURE_CONTEXT, "the engine could not make a context", e);
	if (how->measure)
		return FAILURE_NONE;
	if (!f->embeddings && !llama_get_memory(g->context)) {
		err_set(e, -ENOSYS,
			"the model reads texts and writes none; plan it with --embeddings");
		return FAILURE_PLAN;
	}
	make_pool(g, how->threads);
	g->batch = llama_batch_init((int32_t)llama_n_batch(g->context), 0, 1);
	g->candidates = calloc((size_t)engine_n_vocab(g), sizeof(*g->candidates));
	g->n_outputs = llama_model_has_encoder(g->model) ? cp.n_batch : cp.n_outputs_max;
	g->slides = llama_model_n_swa(g->model) > 0 && !f->swa_full;
	g->unified = f->kv_unified;
	g->embeds = f->embeddings;
	if (!g->batch.token || !g->candidates) {
		err_set(e, -ENOMEM, "out of memory");
		return FAILURE_OOM;
	}
	return FAILURE_NONE;
}

enum failure engine_load(struct engine *g, const struct engine_load *how, bool *stopped,
			 struct err *e)
{
	enum failure f;

	engine_hear(g);
	engine_calm(g);
	f = load_model(g, how, stopped, e);
	if (f || *stopped)
		return f;
	if (!how->measure && is_two_models(g)) {
		err_set(e, -ENOSYS,
			"the model is an encoder with a decoder, which the core cannot "
			"run; `berth launch --engine llama-server` can");
		return FAILURE_LOAD;
	}
	f = make_context(g, how, e);
	if (f == FAILURE_NONE)
		engine_calm(g);
	return f;
}

enum failure engine_run_tiny(struct engine *g, uint32_t device, struct err *e)
{
	ggml_backend_dev_t list[] = { ggml_backend_dev_get(device), NULL };
	struct llama_model_params mp = llama_model_default_params();
	struct llama_context_params cp = llama_context_default_params();
	own_fd int fd = memfd_create("a small model", MFD_CLOEXEC);
	int32_t tokens[TINY_BATCH] = { 0 };
	char path[64];
	enum failure f;

	engine_calm(g);
	mp.devices = list;
	mp.n_gpu_layers = TINY_LAYERS + 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && tiny_write(path))
		g->model = llama_model_load_from_file(path, mp);
	if (!g->model)
		return engine_failed(g, FAILURE_LOAD, "the engine could not load a small model", e);
	cp.n_ctx = 2 * TINY_BATCH;
	cp.n_batch = cp.n_ubatch = TINY_BATCH;
	cp.n_threads = cp.n_threads_batch = 1;
	g->context = llama_init_from_model(g->model, cp);
	if (!g->context)
		return engine_failed(g, FAILURE_CONTEXT, "the engine could not make a context", e);
	f = engine_decode(g, tokens, TINY_BATCH, e);
	if (f == FAILURE_NONE)
		f = engine_decode(g, tokens, 1, e);
	llama_synchronize(g->context);
	return f;
}
