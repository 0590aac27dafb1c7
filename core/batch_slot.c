/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"
#include "core/batch_priv.h"
#include "core/probs.h"
#include "core/slots.h"

/* Computing a token takes at least as long as copying the caches of so many. */
#define COPY_WORTH 32

static uint32_t slot_id(const struct batch *b, const struct slot *s)
{
	return (uint32_t)(s - b->slots);
}

static void count_end(struct batch *b, enum request_end end)
{
	pthread_mutex_lock(&b->lock);
	b->stats.counts.requests_failed += end == REQUEST_FAILED;
	b->stats.cancelled += end == REQUEST_CANCELLED;
	pthread_mutex_unlock(&b->lock);
}

/* A request that never had a slot. */
static void refuse(struct batch *b, struct request *r, enum request_error error,
		   const char *sentence)
{
	count_end(b, REQUEST_FAILED);
	request_fail(r, error, "%s", sentence);
	request_unref(r);
}

/* Text that is ready goes out, with the tokens that it came from. */
static int emit(struct slot *s)
{
	struct request_token *told = s->told;
	int rc;

	if (s->text.n_ready == 0 && !s->n_told)
		return 0;
	rc = request_add(s->request, s->text.held, s->text.n_ready, told, s->n_told);
	if (rc)
		return rc;
	s->told = NULL;
	s->n_told = 0;
	textout_taken(&s->text);
	return 0;
}

/* Idle again; what it computed stays. */
static void release(struct batch *b, struct slot *s)
{
	struct request *r = s->request;

	engine_draw_free(s->draw);
	textout_fini(&s->text);
	request_tokens_free(s->told, s->n_told);
	s->draw = NULL;
	s->told = NULL;
	s->n_told = 0;
	s->request = NULL;
	s->parked = false;
	s->output = -1;
	s->n_tokens = s->n_cached;
	draft_keep(b, s, s->n_tokens);
	s->used_ns = telem_now_ns();
	request_unref(r);
	for (uint32_t i = 0; i < b->n_slots; i++)
		b->slots[i].parked = false;
}

static void fill_usage(struct slot *s)
{
	struct request *r = s->request;
	uint64_t now = telem_now_ns();

	r->prompt_ns = (s->first_ns ? s->first_ns : now) - s->begun_ns;
	if (s->first_ns)
		r->generated_ns = s->last_ns - s->first_ns;
}

void slot_end(struct batch *b, struct slot *s, enum request_end end)
{
	struct request *r = s->request;

	if (end != REQUEST_CANCELLED && r->kind == REQUEST_GENERATE) {
		textout_end(&s->text);
		if (emit(s)) {
			slot_fail(b, s, REQUEST_ENGINE, "out of memory");
			return;
		}
	}
	if (end == REQUEST_STOP)
		text_copy(r->stopped_by, sizeof(r->stopped_by), r->stop[s->text.stopped_by]);
	fill_usage(s);
	count_end(b, end);
	request_finish(r, end);
	release(b, s);
}

void slot_fail(struct batch *b, struct slot *s, enum request_error error, const char *sentence)
{
	fill_usage(s);
	count_end(b, REQUEST_FAILED);
	request_fail(s->request, error, "%s", sentence);
	release(b, s);
}

/* --- the beginning --- */

struct prompt {
	int32_t *tokens;
	uint32_t n;
	enum request_error error;
	struct err e;
};

static void wrong(struct prompt *p, enum request_error error, int rc, const char *text)
{
	p->error = error;
	err_set(&p->e, rc, "%s", text);
}

static long chat_tokens(struct batch *b, const struct request *r, struct prompt *p)
{
	own_free char *text = NULL;
	int rc;

	if (!b->model.chats) {
		wrong(p, REQUEST_UNSUPPORTED, -ENOSYS,
		      b->template
			      ? "the model's chat template is none of those that this engine's "
				"library knows; `berth launch --engine llama-server` runs any, "
				"and --chat-template names another"
			      : "the model has no chat template: ask for a completion of a text, "
				"or name one with --chat-template");
		return -ENOSYS;
	}
	rc = engine_chat(b->template, r->messages, r->n_messages, &text);
	if (rc) {
		wrong(p, rc == -ENOENT ? REQUEST_BAD : REQUEST_ENGINE, rc,
		      rc == -ENOENT ? "the chat template refuses these messages" : "out of memory");
		return rc;
	}
	return engine_tokens(b->o.engine, text, strlen(text), true, &p->tokens, &p->e);
}

static long given_tokens(struct batch *b, const struct request *r, struct prompt *p)
{
	for (size_t i = 0; i < r->n_tokens; i++) {
		if (r->tokens[i] < 0 || (uint32_t)r->tokens[i] >= b->facts.n_vocab) {
			p->error = REQUEST_BAD;
			return err_set(&p->e, -EINVAL,
				       "there is no token %d: the model has 0 to %u", r->tokens[i],
				       b->facts.n_vocab - 1);
		}
	}
	p->tokens = calloc(r->n_tokens + 1, sizeof(*p->tokens));
	if (!p->tokens)
		return err_set(&p->e, -ENOMEM, "out of memory");
	if (r->n_tokens)
		memcpy(p->tokens, r->tokens, r->n_tokens * sizeof(*p->tokens));
	return (long)r->n_tokens;
}

/* What there is room for: of a vector, all tokens in one batch. */
static uint32_t most_tokens(const struct batch *b)
{
	const struct engine_facts *f = &b->facts;
	uint32_t most = f->n_ctx;

	if (!f->embeds)
		return most;
	most = most < f->n_ubatch ? most : f->n_ubatch;
	return most < f->n_outputs ? most : f->n_outputs;
}

static void make_prompt(struct batch *b, const struct request *r, struct prompt *p)
{
	long n;

	if (r->messages)
		n = chat_tokens(b, r, p);
	else if (r->suffix)
		n = engine_gap(b->o.engine, r->text, r->suffix, &p->tokens, &p->e);
	else if (r->text)
		n = engine_tokens(b->o.engine, r->text, strlen(r->text), !r->raw, &p->tokens,
				  &p->e);
	else
		n = given_tokens(b, r, p);
	if (n < 0) {
		p->error = p->error ? p->error : n == -E2BIG ? REQUEST_TOO_LONG : REQUEST_ENGINE;
		return;
	}
	if (n == 0) {
		wrong(p, REQUEST_BAD, -EINVAL,
		      "the prompt is empty, and this model has no token to begin with");
		return;
	}
	if (n > (long)most_tokens(b)) {
		p->error = REQUEST_TOO_LONG;
		err_set(&p->e, -E2BIG, "the prompt has %ld tokens; there is room for %u", n,
			most_tokens(b));
		return;
	}
	p->n = (uint32_t)n;
}

static const char *cannot(const struct batch *b, const struct request *r)
{
	if (b->facts.embeds && r->kind == REQUEST_GENERATE)
		return "this run is for embeddings; it generates no text";
	if (r->suffix && !b->facts.fills)
		return "this model was not trained to fill a gap before a \"suffix\"";
	if (b->facts.ranks)
		return "this model ranks texts; it gives no vectors";
	if (!b->facts.embeds && r->kind == REQUEST_EMBED)
		return "this run generates text; one for embeddings is planned with --embeddings";
	return NULL;
}

static bool stops_too_long(const struct request *r)
{
	for (size_t i = 0; i < r->n_stop; i++) {
		if (r->stop[i][0] == 0 || strlen(r->stop[i]) > TEXTOUT_STOP_BYTES)
			return true;
	}
	return false;
}

/* Find a sequence, with as much of the prompt in it as there is anywhere. */
static struct slot *take_slot(struct batch *b, const struct request *r, const struct prompt *p)
{
	struct slot_view v[BATCH_SLOTS_MAX];
	struct slot_choice c;
	bool fresh = r->no_cache || b->facts.embeds;
	struct slot *s;

	for (uint32_t i = 0; i < b->n_slots; i++)
		v[i] = (struct slot_view) { b->slots[i].request != NULL, b->slots[i].tokens,
					    fresh ? 0 : b->slots[i].n_cached, b->slots[i].used_ns };
	if (!slots_choose(v, b->n_slots, p->tokens, p->n, &c))
		return NULL;
	s = &b->slots[c.slot];
	/* A state without a past cannot be cut: only its whole is of use */
	if (!b->facts.rewinds && c.n != b->slots[c.from].n_cached)
		c.n = 0;
	/* Between caches of their own all of it is copied, however little is meant */
	if (!b->facts.unified && c.from != c.slot && c.n < b->facts.n_ctx / COPY_WORTH)
		c.n = 0;
	if (c.n == 0 || c.from == c.slot)
		s->n_cached = engine_cut(b->o.engine, c.slot, c.n);
	else
		s->n_cached = engine_share(b->o.engine, c.from, c.slot, c.n);
	draft_follow(b, &b->slots[c.from], s);
	return s;
}

void slot_begin(struct batch *b, struct request *r)
{
	struct prompt p = { 0 };
	const char *no = cannot(b, r);
	struct engine_draw *draw = NULL;
	struct slot *s;

	if (no) {
		refuse(b, r, REQUEST_UNSUPPORTED, no);
		return;
	}
	if (stops_too_long(r)) {
		refuse(b, r, REQUEST_BAD, "a stop string is empty or too long");
		return;
	}
	r->queued_ns = telem_now_ns() - r->submitted_ns;
	make_prompt(b, r, &p);
	if (!p.error && r->kind == REQUEST_GENERATE) {
		int rc = engine_draw_new(&draw, b->o.engine, r, &p.e);

		p.error = rc == -EINVAL ? REQUEST_BAD : rc ? REQUEST_ENGINE : REQUEST_NO_ERROR;
	}
	if (p.error) {
		free(p.tokens);
		refuse(b, r, p.error, p.e.text);
		return;
	}
	s = take_slot(b, r, &p);
	memcpy(s->tokens, p.tokens, p.n * sizeof(*p.tokens));
	free(p.tokens);
	s->request = r;
	s->n_tokens = p.n;
	s->draw = draw;
	s->output = -1;
	spec_begin(&s->spec);
	s->begun_ns = telem_now_ns();
	s->first_ns = s->last_ns = 0;
	textout_init(&s->text, r->stop, r->n_stop);
	if (draw)
		engine_draw_seen(draw, s->tokens, p.n);
	r->prompt_tokens = p.n;
	r->cached_tokens = s->n_cached;
	pthread_mutex_lock(&b->lock);
	b->stats.counts.cached_tokens += s->n_cached;
	pthread_mutex_unlock(&b->lock);
}

/* --- what the engine put out --- */

static void output_vector(struct batch *b, struct slot *s)
{
	uint32_t n = b->facts.n_embd, parts = b->facts.pools ? 1 : s->part;
	float *sum = calloc(n, sizeof(*sum));

	/* Where the engine does not pool, it is the mean of the tokens' vectors */
	for (uint32_t k = 0; sum && k < parts; k++) {
		const float *v = engine_vector(b->o.engine, slot_id(b, s), s->output - (int32_t)k);

		if (!v) {
			free(sum);
			slot_fail(b, s, REQUEST_ENGINE, "the engine has no vector for this text");
			return;
		}
		for (uint32_t i = 0; i < n; i++)
			sum[i] += v[i] / (float)parts;
	}
	if (!sum) {
		slot_fail(b, s, REQUEST_ENGINE, "out of memory");
		return;
	}
	probs_normalise(sum, n);
	s->request->embedding = sum;
	s->request->n_embedding = n;
	s->first_ns = s->last_ns = telem_now_ns();
	slot_end(b, s, REQUEST_DONE);
	/* Every text has the sequence for itself */
	s->n_cached = s->n_tokens = engine_cut(b->o.engine, slot_id(b, s), 0);
}

/* Room for one more of the told; NULL: no memory. */
static struct request_token *more_told(struct slot *s)
{
	struct request_token *p = realloc(s->told, (s->n_told + 1) * sizeof(*p));

	if (!p)
		return NULL;
	s->told = p;
	memset(&p[s->n_told], 0, sizeof(*p));
	return &p[s->n_told];
}

static bool take_text(struct batch *b, struct slot *s, int32_t token)
{
	char piece[256];
	size_t n = engine_piece(b->o.engine, token, piece, sizeof(piece));
	int rc = textout_feed(&s->text, piece, n);

	/* Told tokens wait for their text */
	if (rc == 0 && s->text.n_ready)
		rc = emit(s);
	if (rc)
		slot_fail(b, s, REQUEST_ENGINE, "out of memory");
	return rc == 0;
}

/* What its client waited, from asking on. */
static void first_token(struct batch *b, struct slot *s)
{
	struct telem_counts *c = &b->stats.counts;

	s->first_ns = s->last_ns;
	pthread_mutex_lock(&b->lock);
	c->first_tokens++;
	c->last_first_token_ns = s->first_ns - s->request->submitted_ns;
	c->first_token_ns += c->last_first_token_ns;
	pthread_mutex_unlock(&b->lock);
}

static void output_token(struct batch *b, struct slot *s)
{
	struct request *r = s->request;
	struct request_token *told = r->logprobs ? more_told(s) : NULL;
	int32_t token = engine_draw_next(s->draw, b->o.engine, s->output, told, r->n_top);
	bool guessed = s->n_right < s->n_guess && token == s->guess[s->n_right];
	bool ends = token < 0 || (engine_is_end(b->o.engine, token) && !r->ignore_end);

	s->n_right += guessed;
	r->accepted_tokens += guessed;
	s->last_ns = telem_now_ns();
	if (token == ENGINE_TOO_SLOW || token == ENGINE_NO_THREAD) {
		slot_fail(b, s, token == ENGINE_TOO_SLOW ? REQUEST_BAD : REQUEST_ENGINE,
			  token == ENGINE_TOO_SLOW ? ENGINE_SLOW_GRAMMAR
						   : "there is no thread for the grammar");
		return;
	}
	if (!s->first_ns)
		first_token(b, s);
	if (ends) {
		if (told)
			free(told->top);
		slot_end(b, s, REQUEST_DONE);
		return;
	}
	s->n_told += told != NULL;
	s->tokens[s->n_tokens++] = token;
	r->generated_tokens++;
	pthread_mutex_lock(&b->lock);
	b->stats.counts.generated_tokens++;
	pthread_mutex_unlock(&b->lock);
	if (!take_text(b, s, token))
		return;
	if (s->text.stopped_by >= 0)
		slot_end(b, s, REQUEST_STOP);
	else if (r->max_tokens && r->generated_tokens >= r->max_tokens)
		slot_end(b, s, REQUEST_LENGTH);
	else if (s->n_tokens > b->facts.n_ctx)
		slot_end(b, s, REQUEST_CONTEXT);
}

void slot_output(struct batch *b, struct slot *s)
{
	if (s->request->kind == REQUEST_EMBED) {
		output_vector(b, s);
	} else if (s->request->empty) {
		s->first_ns = s->last_ns = telem_now_ns();
		slot_end(b, s, REQUEST_LENGTH);
	} else {
		output_token(b, s);
	}
}
