/* SPDX-License-Identifier: MIT */
/*
 * The engine's thread: it alone computes. Requests wait in a queue; each gets a slot, which is a
 * sequence of the engine, and every step computes one batch with a token of every slot that generates
 * and a fair part of the prompts of those that begin. A slot keeps its tokens after its request ended,
 * so that a prompt that begins alike, in any slot, need not compute that beginning again.
 *
 * All functions but batch_run may be called from any thread.
 */
#ifndef BERTH_CORE_BATCH_H
#define BERTH_CORE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"
#include "core/account.h"
#include "core/control.h"
#include "core/event.h"
#include "core/page.h"
#include "core/request.h"

struct batch;
struct engine;

/*
 * Queue a request; the batch takes its own reference. 0; -EAGAIN the queue is full (429 or 503);
 * -ESHUTDOWN the core stops (503). Whatever else is wrong with it ends the request.
 */
int batch_submit(struct batch *b, struct request *r);

/* request_cancel, and the engine's thread looks at once. */
void batch_cancel(struct batch *b, struct request *r);

enum batch_state {
	BATCH_LOADING, /* the model is being loaded (again): requests wait */
	BATCH_READY,
	BATCH_ASLEEP, /* unloaded; the next request loads it */
	BATCH_STOPPING,
};

#define BATCH_DEVICES_MAX 17

/* For /metrics, /health and /api/ps. Counters only grow. */
struct batch_stats {
	enum batch_state state;
	uint32_t slots, busy, queued, queue_max;
	uint32_t ctx_tokens, ctx_used_max; /* of one sequence; of the fullest */
	uint64_t ctx_used_sum;             /* of all sequences */
	struct telem_counts counts;
	uint64_t cancelled, steps;
	uint64_t loads;         /* of the model: 1, and each time after a sleep */
	uint64_t load_ns;       /* the last one took */
	uint64_t idle_since_ns; /* CLOCK_BOOTTIME; 0: at work */
	uint32_t n_devices;     /* the host is the last */
	struct {
		char name[48], pci[24];
		uint64_t weights_bytes, kv_bytes, compute_bytes;
	} devices[BATCH_DEVICES_MAX];
};

void batch_stats(struct batch *b, struct batch_stats *s);

/* What is known of the model from the moment it is loaded first; it stays there. */
struct batch_model {
	char path[1024];
	char name[120]; /* general.name of the file, or the file's name */
	char arch[48];
	char quant[48]; /* as the engine describes the file: "Q4_K - Medium" */
	uint64_t size_bytes, n_params;
	uint32_t n_ctx, n_ctx_train, n_embd, n_layer;
	uint64_t modified_s; /* of the file, seconds since 1970 */
	char digest[65];     /* hex SHA-256 of the file's header: not of the whole file */
	bool embeds; /* the run is for vectors: REQUEST_EMBED works, REQUEST_GENERATE does not */
	bool chats;  /* messages work */
	bool fills;  /* a suffix works */
	const char *template; /* the model's own chat template; NULL: it has none */
};

const struct batch_model *batch_model(const struct batch *b);

/* --- the engine's thread --- */

struct batch_options {
	struct engine *engine;         /* loaded */
	struct engine *draft;          /* loaded, too: guesses what comes next; NULL: nobody does */
	uint32_t draft_max, draft_min; /* tokens at once; min: even where that does not pay */
	const struct plan *plan;
	const struct account *account; /* read again after each load */
	struct control *control;
	struct page *page;
	uint32_t queue_max;        /* requests waiting */
	uint32_t sleep_s;          /* unload after so long without a request; 0: never */
	const char *chat_template; /* instead of the model's: a text or a name; NULL */
	uint64_t load_ns;          /* that `engine` took to be loaded */
	/* Load the model again, as it was loaded before. */
	enum failure (*load)(void *arg, struct err *e);
	void *arg;
};

/* What the options point to must outlive it. 0, or -ENOMEM and the like with *e. */
int batch_open(struct batch **b, const struct batch_options *o, struct err *e);

/*
 * Answer requests until the control line says stop, or, with `drain`, until none is left. Requests
 * that are left when it returns have ended as REQUEST_UNAVAILABLE, and no more are taken.
 */
enum failure batch_run(struct batch *b, bool drain, struct err *e);

/* Nobody may use it any more. NULL is fine. */
void batch_close(struct batch *b);

#endif
