/* SPDX-License-Identifier: MIT */
/*
 * The engine, libllama, behind our own structs: engine*.c alone see its header. Everything here may end the process: the engine aborts when a device disappears, which is
 * why it lives in a process of its own.
 */
#ifndef BERTH_CORE_ENGINE_H
#define BERTH_CORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"
#include "core/adapters.h"
#include "core/device.h"
#include "core/enginelog.h"
#include "core/event.h"
#include "core/request.h"

struct engine;

#define ENGINE_NO_BACKENDS UINT32_MAX

/*
 * Check the engine's version and load its backends from `lib_dir` (absolute): the CPU's and those in
 * `backends` (names of rows of backends.c; n 0: all
 * there are, ENGINE_NO_BACKENDS: none). `echo`: repeat the engine's log on
 * stderr, from 2 on its debug lines too. FAILURE_NONE, or the failure with *e filled. engine_close() when done.
 */
enum failure engine_open(struct engine **out, const char *lib_dir, const char *const *backends,
			 uint32_t n, int echo, struct err *e);
void engine_close(struct engine *g);

/*
 * Another model in the same process, opened without backends of its own; close it before g. While one
 * of the two is loaded or computes, what the engine logs is that one's.
 */
enum failure engine_beside(struct engine **out, struct engine *g, struct err *e);

const char *engine_version(void); /* of the library that runs: "v0.5.0" */

/* Fill at most CORE_DEVICES_MAX; the CPU is among them. Returns the count. */
uint32_t engine_devices(const struct engine *g, struct engine_device devices[CORE_DEVICES_MAX]);
uint64_t engine_free_bytes(const struct engine *g, uint32_t device);

struct engine_load {
	const struct plan *plan;
	const uint32_t *index; /* the engine's device for each device of the plan */
	uint32_t threads;
	/*
	 * Allocate nothing and read no weights: the log then has the sizes that a run would have, but
	 * those of weights. The CPU's own forms of weights (AMX, repacked) are left out: their sizes
	 * are not known before they are made.
	 */
	bool measure;
	/* Called now and then with 0..1; false stops the load (FAILURE_NONE, *stopped). */
	bool (*progress)(void *arg, float part);
	void *arg;
};

/* Load the model and make the context, exactly as the plan says. */
enum failure engine_load(struct engine *g, const struct engine_load *how, bool *stopped,
			 struct err *e);

/*
 * Load a model of our own (tiny.h), all of it on one device, and compute a batch and one token with it: what a first run makes the driver set up is there then.
 */
enum failure engine_run_tiny(struct engine *g, uint32_t device, struct err *e);

/* Of all tensors that the engine would load, as stored. */
uint64_t engine_weights_bytes(const struct engine *g);

const struct enginelog *engine_log(const struct engine *g);
uint32_t engine_n_ctx(const struct engine *g); /* tokens one sequence may have */

/* Tokens of a prompt, special tokens added; *tokens is the caller's to free. The count or -errno. */
long engine_tokenize(const struct engine *g, const char *text, int32_t **tokens, struct err *e);

/* The same of n bytes; `special`: add special tokens and take their names for them. */
long engine_tokens(const struct engine *g, const char *text, size_t n, bool special,
		   int32_t **tokens, struct err *e);

/*
 * What asks a model to fill the gap between two texts, in the order prefix, suffix, middle. -ENOSYS: it was
 * not trained to (facts.fills).
 */
long engine_gap(const struct engine *g, const char *prefix, const char *suffix, int32_t **tokens,
		struct err *e);

/* Give the model's memory back; engine_load may follow. The log begins anew. */
void engine_unload(struct engine *g);

/* What the model and its context are. */
struct engine_facts {
	char name[120], arch[48], quant[48];
	uint64_t size_bytes, n_params;
	uint32_t n_ctx, n_ctx_train, n_embd, n_layer, n_vocab;
	uint32_t n_seq, n_batch, n_ubatch;
	uint32_t n_outputs; /* of one batch */
	uint32_t n_window;  /* tokens that stay of a sequence in the layers that slide; 0: all */
	bool rewinds;       /* a sequence can be cut anywhere; recurrent states cannot */
	bool unified;       /* sequences share one cache, so that a full one may be others' fault */
	bool embeds;        /* the run is for vectors */
	bool pools; /* ... of a whole text, by the model's own rule; otherwise one a token */
	bool ranks; /* ... a text for a question: a number, no vector */
	bool fills; /* gaps in a text */
	const char *template; /* NULL: none; lives as long as the model is loaded */
};

void engine_facts(const struct engine *g, struct engine_facts *f);

/*
 * Change the model by LoRA adapters, and steer it by control vectors, which
 * add up. Once after each engine_load.
 */
enum failure engine_adapt(struct engine *g, const struct adapters *loras,
			  const struct adapters *vectors, struct err *e);

/*
 * The text of a conversation as the model was trained on it, up to where its answer begins; malloc'd.
 * `template`: a template's text or the name of one the engine knows. 0, -ENOENT it is none of those
 * the engine knows, or -ENOMEM.
 */
int engine_chat(const char *template, const struct request_message *messages, size_t n,
		char **text);

/* --- sequences: several texts in one context --- */

struct engine_input {
	int32_t token;
	uint32_t pos, seq;
	bool output; /* its logits are wanted */
};

/*
 * Compute one batch, at most n_batch inputs. *full: the cache has no room for it; nothing was
 * computed then.
 */
enum failure engine_compute(struct engine *g, const struct engine_input *in, uint32_t n, bool *full,
			    struct err *e);

/* Forget what a sequence has from position n on. The count it has now: n, or 0 where it cannot. */
uint32_t engine_cut(struct engine *g, uint32_t seq, uint32_t n);

/* Make `to` have the first n tokens of `from`. The count it has now: n, or 0. */
uint32_t engine_share(struct engine *g, uint32_t from, uint32_t to, uint32_t n);

/*
 * The vector of a sequence after engine_compute; or, where the engine does not pool, of the token at
 * `index` of the batch. n_embd numbers, the engine's until the next batch; NULL: there is none.
 */
const float *engine_vector(struct engine *g, uint32_t seq, int32_t index);

/* --- drawing tokens --- */

struct engine_draw;

/*
 * For what a request asks. 0; -EINVAL with *e: a number out of range, or a grammar that does not
 * parse; -ENOMEM.
 */
int engine_draw_new(struct engine_draw **out, const struct engine *g, const struct request *r,
		    struct err *e);
void engine_draw_free(struct engine_draw *d);

/* Tokens that were there before: penalties count them. */
void engine_draw_seen(struct engine_draw *d, const int32_t *tokens, size_t n);

/*
 * Draw from the logits of the batch's input `index`. `told` (may be NULL) gets the probabilities, with
 * n_top alternatives. Or one of those below.
 */
#define ENGINE_NOTHING   (-1) /* the grammar allows nothing more */
#define ENGINE_TOO_SLOW  (-2) /* the grammar takes too long; nothing more can be drawn */
#define ENGINE_NO_THREAD (-3)
#define ENGINE_SLOW_GRAMMAR \
	"the grammar takes too long: a text must not be able to come about in so many ways"
int32_t engine_draw_next(struct engine_draw *d, struct engine *g, int32_t index,
			 struct request_token *told, uint32_t n_top);

/* The likeliest token of those logits, and how likely it is. */
int32_t engine_likeliest(struct engine *g, int32_t index, float *chance);

/* Whether both models mean the same by each token. 0, or -EINVAL with *e: what `draft` means otherwise. */
int engine_same_tokens(const struct engine *g, const struct engine *draft, struct err *e);

/* --- one sequence, without any of this: for `core --prompt` --- */

/* Temperature 0 takes the likeliest token; else the seeded draw. Once, before engine_sample. */
enum failure engine_sampler(struct engine *g, double temperature, uint32_t seed, struct err *e);

/* Compute n tokens (at most the plan's n_batch); the last one's logits are kept for engine_sample. */
enum failure engine_decode(struct engine *g, int32_t *tokens, uint32_t n, struct err *e);
int32_t engine_sample(struct engine *g);
bool engine_is_end(const struct engine *g, int32_t token);

/* The bytes of a token, at most `size`; may be a part of a character. */
size_t engine_piece(const struct engine *g, int32_t token, char *buf, size_t size);

#endif
