/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/telem.h"
#include "core/batch_priv.h"
#include "core/slots.h"

static uint32_t wants(const struct slot *s)
{
	return s->request && !s->parked ? s->n_tokens - s->n_cached : 0;
}

/*
 * Who generates waits for one pass of the engine, so it must not be a long one; when nobody does, a
 * larger batch lets several devices work on it one after the other; one device alone has nothing of
 * that, and each prompt its first token as soon as it is computed. Between two passes only is there
 * time for a word from outside, too: stop, or a client that left.
 */
static uint32_t budget_of(const struct batch *b)
{
	const struct engine_facts *f = &b->facts;
	uint32_t generating = 0, room;

	if (f->embeds)
		return f->n_ubatch < f->n_outputs ? f->n_ubatch : f->n_outputs;
	for (uint32_t i = 0; i < b->n_slots; i++)
		generating += wants(&b->slots[i]) == 1;
	if (!generating)
		return slots_patience(b->token_ns, SLOT_STOP_NS, f->n_ubatch,
				      b->o.plan->n_devices > 1 ? f->n_batch : f->n_ubatch);
	/* With those who generate in one pass, not a second one for the few that are too many */
	room = f->n_ubatch > generating ? f->n_ubatch - generating : f->n_ubatch;
	generating += slots_patience(b->token_ns, SLOT_WAIT_NS, f->n_ubatch, room);
	return generating < f->n_batch ? generating : f->n_batch;
}

static void divide(struct batch *b)
{
	struct slot_need need[BATCH_SLOTS_MAX];
	uint32_t got[BATCH_SLOTS_MAX];

	for (uint32_t i = 0; i < b->n_slots; i++)
		need[i] = (struct slot_need) { wants(&b->slots[i]), b->slots[i].begun_ns };
	if (b->facts.embeds)
		slots_divide_whole(need, b->n_slots, budget_of(b), got);
	else
		slots_divide(need, b->n_slots, budget_of(b), got);
	for (uint32_t i = 0; i < b->n_slots; i++)
		b->slots[i].part = got[i];
}

/* The newest batch counts for a quarter; those of a few tokens tell of weights, not of tokens. */
static void learn(struct batch *b, uint32_t n, uint64_t ns)
{
	if (n >= 16)
		b->token_ns = b->token_ns ? (3 * b->token_ns + ns / n) / 4 : ns / n;
}

/* Guesses go in after the token that they follow, as far as there is room. */
static uint32_t compose_guesses(struct batch *b, struct slot *s, uint32_t n, uint32_t *room)
{
	if (s->output < 0 && s->n_guess) {
		s->n_guess = 0;
		draft_keep(b, s, s->n_tokens);
	}
	if (s->n_guess > *room)
		s->n_guess = *room;
	*room -= s->n_guess;
	for (uint32_t k = 0; k < s->n_guess; k++)
		b->inputs[n++] = (struct engine_input) { .token = s->guess[k],
							 .pos = s->n_tokens + k,
							 .seq = (uint32_t)(s - b->slots),
							 .output = true };
	return n;
}

static uint32_t compose(struct batch *b)
{
	uint32_t n = 0, room = b->facts.n_batch;

	for (uint32_t i = 0; i < b->n_slots; i++)
		room -= b->slots[i].part;

	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		s->output = -1;
		for (uint32_t k = 0; k < s->part; k++) {
			uint32_t at = s->n_cached + k;

			b->inputs[n] = (struct engine_input) { .token = s->tokens[at],
							       .pos = at,
							       .seq = i,
							       .output = at + 1 == s->n_tokens };
			if (b->inputs[n].output)
				s->output = (int32_t)n;
			n++;
		}
		n = compose_guesses(b, s, n, &room);
	}
	return n;
}

static bool drop_idle(struct batch *b)
{
	struct slot *oldest = NULL;

	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		if (!s->request && s->n_cached && (!oldest || s->used_ns < oldest->used_ns))
			oldest = s;
	}
	if (!oldest)
		return false;
	oldest->n_cached = oldest->n_tokens = engine_cut(b->o.engine, (uint32_t)(oldest - b->slots),
							 0);
	draft_keep(b, oldest, 0);
	return true;
}

/*
 * A cache that all share is full. What nobody needs goes first; then whoever came last gives up its
 * part, to compute it again when another has ended; and who is alone has all there is.
 */
static void make_room(struct batch *b)
{
	struct slot *youngest = NULL;
	uint32_t n = 0;

	if (drop_idle(b))
		return;
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		if (!s->request || s->parked)
			continue;
		n++;
		if (!youngest || s->begun_ns >= youngest->begun_ns)
			youngest = s;
	}
	if (!youngest)
		return;
	if (n == 1) {
		if (youngest->request->kind == REQUEST_EMBED)
			slot_fail(b, youngest, REQUEST_TOO_LONG, "the cache has no room for it");
		else
			slot_end(b, youngest, REQUEST_CONTEXT);
		return;
	}
	youngest->n_cached = engine_cut(b->o.engine, (uint32_t)(youngest - b->slots), 0);
	youngest->parked = true;
}

static uint32_t fullest(const struct batch *b, uint64_t *sum)
{
	uint32_t most = 0;

	*sum = 0;
	for (uint32_t i = 0; i < b->n_slots; i++) {
		uint32_t n = b->slots[i].n_cached;

		*sum += n;
		if (b->slots[i].request && n > most)
			most = n;
	}
	return most;
}

/* The time of a batch belongs to prompts and to generation as its tokens do. */
static void count(struct batch *b, uint32_t n, uint32_t generated, uint64_t ns)
{
	struct batch_stats *s = &b->stats;
	uint64_t of_generated = n ? ns * generated / n : 0;
	struct page_counts now;

	pthread_mutex_lock(&b->lock);
	s->steps++;
	s->counts.prompt_tokens += n - generated;
	s->counts.generated_ns += of_generated;
	s->counts.prompt_ns += ns - of_generated;
	s->ctx_used_max = fullest(b, &s->ctx_used_sum);
	now = (struct page_counts) { .all = s->counts,
				     .ctx_used = s->ctx_used_max,
				     .queue = s->queued,
				     .busy = s->busy,
				     .n_seq = b->n_slots };
	pthread_mutex_unlock(&b->lock);
	for (uint32_t i = 0; i < now.n_seq; i++)
		now.seq_tokens[i] = b->slots[i].n_cached;
	page_count(b->o.page, &now);
}

static void fail_all(struct batch *b, const char *sentence)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		if (b->slots[i].request)
			slot_fail(b, &b->slots[i], REQUEST_ENGINE, sentence);
		b->slots[i].n_cached = b->slots[i].n_tokens = b->slots[i].n_drafted = 0;
	}
}

/*
 * The token that the model says next; and as long as it says what was guessed, the one after that, whose
 * logits are there, too. This is what it would have said without guesses: every token is drawn from its
 * own logits, after those before it.
 */
static void output_slot(struct batch *b, struct slot *s)
{
	uint32_t n_tokens = s->n_tokens, n_computed = s->n_cached + s->n_guess, right;

	s->request->drafted_tokens += s->n_guess;
	do {
		right = s->n_right;
		slot_output(b, s);
		if (s->request && s->n_right > right) {
			s->n_cached++;
			s->output++;
		}
	} while (s->request && s->n_right > right);
	if (!s->n_guess)
		return;
	spec_learn(&s->spec, s->n_guess, s->n_right);
	pthread_mutex_lock(&b->lock);
	b->stats.counts.drafted_tokens += s->n_guess;
	b->stats.counts.accepted_tokens += s->n_right;
	pthread_mutex_unlock(&b->lock);
	if (s->n_cached < n_computed)
		s->n_cached = engine_cut(b->o.engine, (uint32_t)(s - b->slots), s->n_cached);
	if (s->request)
		draft_keep(b, s, n_tokens + s->n_right);
	else
		s->n_tokens = s->n_cached;
	s->n_guess = s->n_right = 0;
}

/* Every slot whose last token was in the batch has an output. */
static void outputs(struct batch *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		s->n_cached += s->part;
		if (s->request && s->output >= 0)
			output_slot(b, s);
	}
}

/* The inputs of texts that are being generated, their guesses among them. */
static uint32_t count_generated(const struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->slots[i].part && b->slots[i].first_ns)
			n += b->slots[i].part + b->slots[i].n_guess;
	return n;
}

/* A pass; when there is no room for it, one without guesses. */
static enum failure compute(struct batch *b, uint32_t *n, bool *full, struct err *e)
{
	enum failure f;
	uint32_t with = *n = compose(b);

	*full = false;
	f = *n ? engine_compute(b->o.engine, b->inputs, *n, full, e) : FAILURE_NONE;
	if (f || !*full || !b->o.draft)
		return f;
	draft_drop(b);
	*n = compose(b);
	return *n == with ? f : engine_compute(b->o.engine, b->inputs, *n, full, e);
}

enum failure batch_step(struct batch *b, struct err *e)
{
	uint64_t start = telem_now_ns(), pass;
	uint32_t n = 0, generated;
	enum failure f = b->o.draft ? draft_guess(b, e) : FAILURE_NONE;
	bool full;

	pass = telem_now_ns();
	divide(b);
	if (f == FAILURE_NONE)
		f = compute(b, &n, &full, e);
	if (f) {
		fail_all(b, e->text);
		return f;
	}
	if (n == 0)
		return FAILURE_NONE;
	generated = count_generated(b);
	if (full)
		make_room(b);
	else
		outputs(b);
	if (!full)
		learn(b, n, telem_now_ns() - pass);
	if (!full && n == generated)
		spec_pass(&b->costs, n, telem_now_ns() - pass);
	count(b, full ? 0 : n, full ? 0 : generated, telem_now_ns() - start);
	return FAILURE_NONE;
}
