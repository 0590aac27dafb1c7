/* SPDX-License-Identifier: MIT */
/* Inside of the batch: batch.c has the queue and the loop, batch_slot.c one request's life,
 * batch_step.c one batch of the engine, batch_draft.c what a draft model guesses before it. */
#ifndef BERTH_CORE_BATCH_PRIV_H
#define BERTH_CORE_BATCH_PRIV_H

#include <pthread.h>

#include "core/batch.h"
#include "core/engine.h"
#include "core/spec.h"
#include "core/textout.h"

#define BATCH_SLOTS_MAX 256 /* the engine's own limit of sequences */

/* A sequence of the engine, and the request that has it. */
struct slot {
	struct request *request; /* NULL: idle */
	int32_t *tokens;         /* the prompt and what was generated; room for n_ctx + 1 */
	uint32_t n_tokens;
	uint32_t n_cached; /* of them, computed and in the engine's cache */
	uint32_t part;     /* of them, in the batch at hand */
	int32_t output;    /* index in that batch whose logits are the slot's; -1 */
	bool parked;       /* waits until another slot gives up its cache */
	uint64_t begun_ns, first_ns, last_ns, used_ns;
	struct engine_draw *draw;
	struct textout text;
	struct request_token *told; /* of tokens whose text is still held back */
	uint32_t n_told;
	/* with a draft model */
	uint32_t n_drafted;            /* of tokens, and then of guesses: in the draft's cache */
	int32_t guess[PLAN_DRAFT_MAX]; /* what may follow the tokens */
	uint32_t n_guess, n_right;     /* to be checked by the next pass; found right so far */
	uint32_t n_wanted;
	struct spec spec;
};

struct batch {
	struct batch_options o;
	struct engine_facts facts, draft_facts;
	struct spec_costs costs;
	uint32_t draft_rest; /* steps until there are guesses again */
	struct batch_model model;
	char *template;
	struct slot *slots;
	uint32_t n_slots;
	struct engine_input *inputs;
	bool loaded;
	uint32_t layers[BATCH_DEVICES_MAX]; /* of each device, as first loaded */
	int wake_fd;
	enum telem_state shown;
	uint64_t token_ns; /* of a prompt, as the last batches had it; 0: not known */

	pthread_mutex_t lock; /* of all below */
	struct request *first, **last;
	bool closed; /* nothing is queued any more */
	struct batch_stats stats;
};

/* Give a request a slot, or end it. At least one must be idle. */
void slot_begin(struct batch *b, struct request *r);

/* End a slot's request; its tokens stay for the next one that begins alike. */
void slot_end(struct batch *b, struct slot *s, enum request_end end);
void slot_fail(struct batch *b, struct slot *s, enum request_error error, const char *sentence);

/* The batch at hand has the slot's output: the next token, or the vector. */
void slot_output(struct batch *b, struct slot *s);

/* --- the draft; nothing happens where there is none --- */

/* Guesses for all slots that generate, into their guess[]. */
enum failure draft_guess(struct batch *b, struct err *e);

/* Forget the guesses that were not checked. */
void draft_drop(struct batch *b);

/* The draft's cache has at most the first n tokens of the slot from now on. */
void draft_keep(struct batch *b, struct slot *s, uint32_t n);

/* `to` has its first n_cached tokens from `from` (may be itself): so has the draft, of what it knew. */
void draft_follow(struct batch *b, const struct slot *from, struct slot *to);

/* One batch for all slots. FAILURE_NONE, or the engine failed: all requests have ended then. */
enum failure batch_step(struct batch *b, struct err *e);

#endif
