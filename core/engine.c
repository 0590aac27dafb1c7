/* SPDX-License-Identifier: MIT */
/* libllama and ggml. No other file knows them. */
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>

#include "base/own.h"
#include "base/text.h"
#include "core/backends.h"
#include "core/engine.h"
#include "core/probs.h"
#include "core/steer.h"
#include "core/tiny.h"

#ifndef ENGINE_VERSION
#error "ENGINE_VERSION names the engine whose headers these are; the Makefile gives it"
#endif

struct engine {
	pthread_mutex_t lock; /* of log: the engine logs from its worker threads too */
	struct enginelog log;
	int echo; /* 1: all but debug lines go to stderr; 2: those too */
	bool log_was_error, log_was_debug;
	struct llama_model *model;
	struct llama_context *context;
	struct llama_batch batch;
	llama_token_data *candidates; /* one for each token of the vocabulary */
	struct engine_draw *draw;     /* of engine_sample */
	uint32_t n_outputs;
	bool slides, unified, embeds;
	struct ggml_threadpool *pool;
	void (*pool_free)(struct ggml_threadpool *);
};

static void on_log(enum ggml_log_level level, const char *text, void *arg)
{
	struct engine *g = arg;

	pthread_mutex_lock(&g->lock);
	/* CONT goes on with the level before it */
	if (level != GGML_LOG_LEVEL_CONT) {
		g->log_was_error = level == GGML_LOG_LEVEL_ERROR;
		g->log_was_debug = level == GGML_LOG_LEVEL_DEBUG;
	}
	enginelog_feed(&g->log, g->log_was_error, text);
	if (g->echo > g->log_was_debug)
		fputs(text, stderr);
	pthread_mutex_unlock(&g->lock);
}

/* The next step begins: errors so far were survived. */
static void calm(struct engine *g)
{
	pthread_mutex_lock(&g->lock);
	enginelog_calm(&g->log);
	pthread_mutex_unlock(&g->lock);
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
	g->echo = echo;
	llama_log_set(on_log, g);
	llama_backend_init();
	f = load_backends(g, lib_dir, backends, n, e);
	if (f) {
		engine_close(g);
		return f;
	}
	*out = g;
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
	pthread_mutex_lock(&g->lock);
	enginelog_init(&g->log);
	pthread_mutex_unlock(&g->lock);
}

void engine_close(struct engine *g)
{
	if (!g)
		return;
	engine_unload(g);
	llama_backend_free();
	llama_log_set(NULL, NULL);
	pthread_mutex_destroy(&g->lock);
	free(g);
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

static enum failure failed(const struct engine *g, enum failure f, const char *what, struct err *e)
{
	const char *why = g->log.error[0] ? g->log.error : "it gave no reason";

	err_set(e, -EIO, "%s: %s", what, why);
	return g->log.no_memory ? FAILURE_OOM : f;
}

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
	return failed(g, FAILURE_LOAD, "the engine could not load the model", e);
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

static int32_t vocab_size(const struct engine *g)
{
	return llama_vocab_n_tokens(llama_model_get_vocab(g->model));
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
		return failed(g, FAILURE_CONTEXT, "the engine could not make a context", e);
	if (how->measure)
		return FAILURE_NONE;
	make_pool(g, how->threads);
	g->batch = llama_batch_init((int32_t)llama_n_batch(g->context), 0, 1);
	g->candidates = calloc((size_t)vocab_size(g), sizeof(*g->candidates));
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

	calm(g);
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
		calm(g);
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

	calm(g);
	mp.devices = list;
	mp.n_gpu_layers = TINY_LAYERS + 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && tiny_write(path))
		g->model = llama_model_load_from_file(path, mp);
	if (!g->model)
		return failed(g, FAILURE_LOAD, "the engine could not load a small model", e);
	cp.n_ctx = 2 * TINY_BATCH;
	cp.n_batch = cp.n_ubatch = TINY_BATCH;
	cp.n_threads = cp.n_threads_batch = 1;
	g->context = llama_init_from_model(g->model, cp);
	if (!g->context)
		return failed(g, FAILURE_CONTEXT, "the engine could not make a context", e);
	f = engine_decode(g, tokens, TINY_BATCH, e);
	if (f == FAILURE_NONE)
		f = engine_decode(g, tokens, 1, e);
	llama_synchronize(g->context);
	return f;
}

uint64_t engine_weights_bytes(const struct engine *g)
{
	return llama_model_size(g->model);
}

const struct enginelog *engine_log(const struct engine *g)
{
	return &g->log;
}

uint32_t engine_n_ctx(const struct engine *g)
{
	return llama_n_ctx_seq(g->context);
}

long engine_tokens(const struct engine *g, const char *text, size_t length, bool special,
		   int32_t **tokens, struct err *e)
{
	const struct llama_vocab *vocab = llama_model_get_vocab(g->model);
	int32_t n;

	*tokens = NULL;
	if (length > INT32_MAX / 2)
		return err_set(e, -E2BIG, "the prompt has %zu bytes, too many", length);
	/* The answer to "how many" is negative */
	n = -llama_tokenize(vocab, text, (int32_t)length, NULL, 0, special, special);
	if (n <= 0)
		return 0;
	*tokens = calloc((size_t)n, sizeof(**tokens));
	if (!*tokens)
		return err_set(e, -ENOMEM, "out of memory");
	return llama_tokenize(vocab, text, (int32_t)length, *tokens, n, special, special);
}

long engine_tokenize(const struct engine *g, const char *text, int32_t **tokens, struct err *e)
{
	return engine_tokens(g, text, strlen(text), true, tokens, e);
}

enum failure engine_sampler(struct engine *g, double temperature, uint32_t seed, struct err *e)
{
	struct request r = { .sampling = { .temperature = (float)temperature,
					   .top_p = 1,
					   .typical_p = 1,
					   .repeat_penalty = 1,
					   .seed = seed,
					   .seeded = true } };

	return engine_draw_new(&g->draw, g, &r, e) ? FAILURE_OOM : FAILURE_NONE;
}

enum failure engine_decode(struct engine *g, int32_t *tokens, uint32_t n, struct err *e)
{
	int32_t rc = llama_decode(g->context, llama_batch_get_one(tokens, (int32_t)n));

	if (rc == 0)
		return FAILURE_NONE;
	if (rc == 1) {
		err_set(e, -ENOSPC, "the context of %u tokens is full", engine_n_ctx(g));
		return FAILURE_CONTEXT;
	}
	return failed(g, FAILURE_DECODE, "the engine failed while computing", e);
}

int32_t engine_sample(struct engine *g)
{
	return engine_draw_next(g->draw, g, -1, NULL, 0);
}

bool engine_is_end(const struct engine *g, int32_t token)
{
	return llama_vocab_is_eog(llama_model_get_vocab(g->model), token);
}

size_t engine_piece(const struct engine *g, int32_t token, char *buf, size_t size)
{
	int32_t n = llama_token_to_piece(llama_model_get_vocab(g->model), token, buf, (int32_t)size,
					 0, false);

	return n > 0 ? (size_t)n : 0;
}

static void meta(const struct engine *g, const char *key, char *buf, size_t size)
{
	buf[0] = 0;
	llama_model_meta_val_str(g->model, key, buf, size);
	text_clean(buf);
}

void engine_facts(const struct engine *g, struct engine_facts *f)
{
	const struct llama_model *m = g->model;

	memset(f, 0, sizeof(*f));
	meta(g, "general.name", f->name, sizeof(f->name));
	meta(g, "general.architecture", f->arch, sizeof(f->arch));
	text_copy(f->quant, sizeof(f->quant), llama_ftype_name(llama_model_ftype(m)));
	f->size_bytes = llama_model_size(m);
	f->n_params = llama_model_n_params(m);
	f->n_ctx = engine_n_ctx(g);
	f->n_ctx_train = (uint32_t)llama_model_n_ctx_train(m);
	f->n_embd = (uint32_t)llama_model_n_embd_out(m);
	f->n_layer = (uint32_t)llama_model_n_layer(m);
	f->n_vocab = (uint32_t)vocab_size(g);
	f->n_seq = llama_n_seq_max(g->context);
	f->n_batch = llama_n_batch(g->context);
	f->n_ubatch = llama_n_ubatch(g->context);
	f->n_outputs = g->n_outputs;
	f->n_window = g->slides ? (uint32_t)llama_model_n_swa(m) : 0;
	f->rewinds = !llama_model_is_recurrent(m) && !llama_model_is_hybrid(m);
	f->unified = g->unified;
	f->embeds = g->embeds;
	f->pools = llama_pooling_type(g->context) != LLAMA_POOLING_TYPE_NONE;
	f->ranks = llama_pooling_type(g->context) == LLAMA_POOLING_TYPE_RANK;
	f->template = llama_model_chat_template(m, NULL);
}

static enum failure add_loras(struct engine *g, const struct adapters *loras, struct err *e)
{
	struct llama_adapter_lora *list[ADAPTERS_MAX];
	float scales[ADAPTERS_MAX];

	for (uint32_t i = 0; i < loras->n; i++) {
		char what[PATH_MAX + 64];

		calm(g);
		snprintf(what, sizeof(what), "the LoRA adapter %s does not load", loras->v[i].path);
		list[i] = llama_adapter_lora_init(g->model, loras->v[i].path); /* the model's */
		if (!list[i])
			return failed(g, FAILURE_LOAD, what, e);
		scales[i] = loras->v[i].scale;
	}
	if (loras->n && llama_set_adapters_lora(g->context, list, loras->n, scales))
		return failed(g, FAILURE_LOAD, "the engine refuses the LoRA adapters", e);
	return FAILURE_NONE;
}

static enum failure add_vectors(struct engine *g, const struct adapters *vectors, struct err *e)
{
	uint32_t n_embd = (uint32_t)llama_model_n_embd(g->model);
	uint32_t n_layer = (uint32_t)llama_model_n_layer(g->model);
	size_t size = (size_t)n_embd * (n_layer - 1);
	own_free float *sum = calloc(size + 1, sizeof(*sum));

	if (!sum) {
		err_set(e, -ENOMEM, "out of memory");
		return FAILURE_OOM;
	}
	for (uint32_t i = 0; i < vectors->n; i++) {
		if (steer_add(sum, vectors->v[i].path, vectors->v[i].scale, n_layer, n_embd, e))
			return FAILURE_LOAD;
	}
	if (llama_set_adapter_cvec(g->context, sum, size, (int32_t)n_embd, 1, (int32_t)n_layer))
		return failed(g, FAILURE_LOAD, "the engine refuses the control vector", e);
	return FAILURE_NONE;
}

enum failure engine_adapt(struct engine *g, const struct adapters *loras,
			  const struct adapters *vectors, struct err *e)
{
	enum failure f = add_loras(g, loras, e);

	return f || !vectors->n ? f : add_vectors(g, vectors, e);
}

int engine_chat(const char *template, const struct request_message *messages, size_t n, char **text)
{
	own_free struct llama_chat_message *list = calloc(n + 1, sizeof(*list));
	int32_t length;

	*text = NULL;
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct llama_chat_message) { messages[i].role, messages[i].content };
	length = llama_chat_apply_template(template, list, n, true, NULL, 0);
	if (length < 0)
		return -ENOENT;
	*text = calloc((size_t)length + 1, 1);
	if (!*text)
		return -ENOMEM;
	llama_chat_apply_template(template, list, n, true, *text, length);
	return 0;
}

enum failure engine_compute(struct engine *g, const struct engine_input *in, uint32_t n, bool *full,
			    struct err *e)
{
	struct llama_batch *b = &g->batch;
	int32_t rc;

	b->n_tokens = (int32_t)n;
	for (uint32_t i = 0; i < n; i++) {
		b->token[i] = in[i].token;
		b->pos[i] = (llama_pos)in[i].pos;
		b->n_seq_id[i] = 1;
		b->seq_id[i][0] = (llama_seq_id)in[i].seq;
		b->logits[i] = in[i].output || g->embeds;
	}
	rc = llama_decode(g->context, *b);
	*full = rc == 1;
	if (rc == 0 || rc == 1)
		return FAILURE_NONE;
	return failed(g, FAILURE_DECODE, "the engine failed while computing", e);
}

uint32_t engine_cut(struct engine *g, uint32_t seq, uint32_t n)
{
	llama_memory_t mem = llama_get_memory(g->context);
	llama_seq_id id = (llama_seq_id)seq;

	if (!mem) /* encoders remember nothing */
		return 0;
	if (n && llama_memory_seq_rm(mem, id, (llama_pos)n, -1)) {
		/* A sliding layer forgets: what token n looks at must still be there, all of it */
		llama_pos first = llama_memory_seq_pos_min(mem, id);
		int32_t window = g->slides ? llama_model_n_swa(g->model) : 0;
		llama_pos needed = window && (llama_pos)n > window ? (llama_pos)n - window + 1 : 0;

		if (llama_memory_seq_pos_max(mem, id) + 1 == (llama_pos)n &&
		    (first <= needed || (!window && first < (llama_pos)n)))
			return n;
	}
	llama_memory_seq_rm(mem, id, -1, -1);
	return 0;
}

uint32_t engine_share(struct engine *g, uint32_t from, uint32_t to, uint32_t n)
{
	llama_memory_t mem = llama_get_memory(g->context);

	if (!mem)
		return 0;
	llama_memory_seq_rm(mem, (llama_seq_id)to, -1, -1);
	/* Between caches of their own only the whole can be copied */
	llama_memory_seq_cp(mem, (llama_seq_id)from, (llama_seq_id)to, -1, -1);
	return engine_cut(g, to, n);
}

const float *engine_vector(struct engine *g, uint32_t seq, int32_t index)
{
	if (llama_pooling_type(g->context) == LLAMA_POOLING_TYPE_NONE)
		return llama_get_embeddings_ith(g->context, index);
	return llama_get_embeddings_seq(g->context, (llama_seq_id)seq);
}

struct engine_draw {
	struct llama_sampler *chain, *grammar;
};

/* The engine asserts on some of these, and a NaN compares as nothing. */
static int check_sampling(const struct request *r, int32_t n_vocab, struct err *e)
{
	const struct request_sampling *s = &r->sampling;
	const struct {
		const char *name;
		float v, min, max;
	} rows[] = {
		{ "temperature", s->temperature, -1e6f, 1e6f },
		{ "top_p", s->top_p, 0, 1 },
		{ "min_p", s->min_p, 0, 1 },
		{ "typical_p", s->typical_p, 0, 1 },
		{ "repeat_penalty", s->repeat_penalty, 1e-3f, 1e3f },
		{ "frequency_penalty", s->frequency_penalty, -100, 100 },
		{ "presence_penalty", s->presence_penalty, -100, 100 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!(rows[i].v >= rows[i].min && rows[i].v <= rows[i].max))
			return err_set(e, -EINVAL, "%s is %g; it must be from %g to %g",
				       rows[i].name, (double)rows[i].v, (double)rows[i].min,
				       (double)rows[i].max);
	}
	for (size_t i = 0; i < r->n_bias; i++) {
		if (r->bias[i].token < 0 || r->bias[i].token >= n_vocab ||
		    r->bias[i].bias != r->bias[i].bias)
			return err_set(e, -EINVAL,
				       "logit_bias names token %d; the model has 0 to %d",
				       r->bias[i].token, n_vocab - 1);
	}
	return 0;
}

static void add_bias(struct llama_sampler *chain, const struct request *r, int32_t n_vocab)
{
	llama_logit_bias bias[REQUEST_BIAS_MAX];
	size_t n = r->n_bias < REQUEST_BIAS_MAX ? r->n_bias : REQUEST_BIAS_MAX;

	for (size_t i = 0; i < n; i++)
		bias[i] = (llama_logit_bias) { r->bias[i].token, r->bias[i].bias };
	if (n)
		llama_sampler_chain_add(chain,
					llama_sampler_init_logit_bias(n_vocab, (int32_t)n, bias));
}

/* Neutral steps are left out: each costs a pass over the vocabulary. */
static void fill_chain(struct llama_sampler *chain, const struct engine *g, const struct request *r)
{
	const struct request_sampling *s = &r->sampling;
	int32_t last = s->repeat_last_n < 0 || s->repeat_last_n > (int32_t)engine_n_ctx(g)
			       ? (int32_t)engine_n_ctx(g)
			       : s->repeat_last_n;
	bool penalties = s->repeat_penalty != 1 || s->frequency_penalty != 0 ||
			 s->presence_penalty != 0;

	add_bias(chain, r, vocab_size(g));
	if (penalties && last)
		llama_sampler_chain_add(chain, llama_sampler_init_penalties(
						       vocab_size(g), last, s->repeat_penalty,
						       s->frequency_penalty, s->presence_penalty));
	if (s->temperature <= 0) {
		llama_sampler_chain_add(chain, llama_sampler_init_greedy());
		return;
	}
	if (s->top_k > 0)
		llama_sampler_chain_add(chain, llama_sampler_init_top_k(s->top_k));
	if (s->typical_p < 1)
		llama_sampler_chain_add(chain, llama_sampler_init_typical(s->typical_p, 1));
	if (s->top_p < 1)
		llama_sampler_chain_add(chain, llama_sampler_init_top_p(s->top_p, 1));
	if (s->min_p > 0)
		llama_sampler_chain_add(chain, llama_sampler_init_min_p(s->min_p, 1));
	llama_sampler_chain_add(chain, llama_sampler_init_temp(s->temperature));
	llama_sampler_chain_add(chain,
				llama_sampler_init_dist(s->seeded ? s->seed : LLAMA_DEFAULT_SEED));
}

int engine_draw_new(struct engine_draw **out, const struct engine *g, const struct request *r,
		    struct err *e)
{
	const struct llama_vocab *vocab = llama_model_get_vocab(g->model);
	struct engine_draw *d;
	int rc = check_sampling(r, vocab_size(g), e);

	*out = NULL;
	if (rc)
		return rc;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
	fill_chain(d->chain, g, r);
	if (r->grammar && r->grammar[0]) {
		d->grammar = llama_sampler_init_grammar(vocab, r->grammar, "root");
		if (!d->grammar) {
			engine_draw_free(d);
			return err_set(e, -EINVAL,
				       "the grammar does not parse, or has no rule named root");
		}
	}
	*out = d;
	return 0;
}

void engine_draw_free(struct engine_draw *d)
{
	if (!d)
		return;
	if (d->grammar)
		llama_sampler_free(d->grammar);
	llama_sampler_free(d->chain);
	free(d);
}

void engine_draw_seen(struct engine_draw *d, const int32_t *tokens, size_t n)
{
	for (size_t i = 0; i < n; i++)
		llama_sampler_accept(d->chain, tokens[i]);
}

static llama_token_data_array candidates(struct engine *g, const float *logits)
{
	size_t n = (size_t)vocab_size(g);

	for (size_t i = 0; i < n; i++)
		g->candidates[i] = (llama_token_data) { (llama_token)i, logits[i], 0 };
	return (llama_token_data_array) { g->candidates, n, -1, false };
}

static bool grammar_takes(struct llama_sampler *grammar, int32_t token)
{
	llama_token_data one = { token, 1, 0 };
	llama_token_data_array array = { &one, 1, -1, false };

	llama_sampler_apply(grammar, &array);
	return one.logit > -INFINITY;
}

/* Asking a grammar about one token is cheap, about the whole vocabulary it is not: draw, then ask. */
static int32_t draw_token(struct engine_draw *d, struct engine *g, const float *logits)
{
	llama_token_data_array array = candidates(g, logits);
	int32_t token;

	llama_sampler_apply(d->chain, &array);
	token = array.data[array.selected].id;
	if (!d->grammar || grammar_takes(d->grammar, token))
		return token;
	array = candidates(g, logits);
	llama_sampler_apply(d->grammar, &array);
	llama_sampler_apply(d->chain, &array);
	token = array.data[array.selected].id;
	return grammar_takes(d->grammar, token) ? token : -1;
}

static void tell(const struct engine *g, const float *logits, int32_t token,
		 struct request_token *told, uint32_t n_top)
{
	probs_tell(logits, (uint32_t)vocab_size(g), token, n_top, told);
	told->n_text = (uint8_t)engine_piece(g, token, told->text, sizeof(told->text));
	for (uint32_t i = 0; i < told->n_top; i++)
		told->top[i].n_text = (uint8_t)engine_piece(g, told->top[i].id, told->top[i].text,
							    sizeof(told->top[i].text));
}

int32_t engine_draw_next(struct engine_draw *d, struct engine *g, int32_t index,
			 struct request_token *told, uint32_t n_top)
{
	const float *logits = llama_get_logits_ith(g->context, index);
	int32_t token = draw_token(d, g, logits);

	if (token < 0)
		return token;
	llama_sampler_accept(d->chain, token);
	if (d->grammar && !engine_is_end(g, token))
		llama_sampler_accept(d->grammar, token);
	if (told)
		tell(g, logits, token, told, n_top);
	return token;
}
