/* SPDX-License-Identifier: MIT */
/*
 * libllama and ggml as engine*.c know them: this header alone includes llama.h, and no other file
 * includes this header.
 */
#ifndef BERTH_CORE_ENGINE_PRIV_H
#define BERTH_CORE_ENGINE_PRIV_H

#include <pthread.h>

#include <llama.h>

#include "core/engine.h"

struct engine {
	struct engine *first; /* itself, or the one that this is beside */
	struct engine *heard; /* of the first: whose log it is now */
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

/* What is logged from now on is this one's. */
void engine_hear(struct engine *g);

/* The next step begins: errors so far were survived. */
void engine_calm(struct engine *g);

/* Fill *e from what the engine logged last. `f`, or FAILURE_OOM when it said that memory was short. */
enum failure engine_failed(const struct engine *g, enum failure f, const char *what, struct err *e);

int32_t engine_n_vocab(const struct engine *g);

#endif
