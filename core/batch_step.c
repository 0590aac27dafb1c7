/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/batch_priv.h"
#include "core/slots.h"

static uint32_t wants(const struct slot *s)
{
	return s->request && !s->parked ? s->n_tokens - s->n_cached : 0;
}

/* A text for a vector goes in whole, or waits. */
static void divide_whole(const struct slot_need *need, uint32_t n, uint32_t budget, uint32_t *got)
{
	for (uint32_t i = 0; i < n; i++) {
		got[i] = need[i].n <= budget ? need[i].n : 0;
		budget -= got[i];
	}
}

/*
 * Who generates waits for one pass of the engine, so it must not be a long one; when nobody does, a
 * larger batch lets several devices work on it one after the other. But between two passes only is
 * there time for a word from outside: stop, or a client that left.
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
		return slots_patience(b->token_ns, SLOT_STOP_NS, f->n_ubatch, f->n_batch);
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
		divide_whole(need, b->n_slots, budget_of(b), got);
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

static uint32_t compose(struct batch *b)
{
	uint32_t n = 0;

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
		b->slots[i].n_cached = b->slots[i].n_tokens = 0;
	}
}

/* Every slot whose last token was in the batch has an output. */
static void outputs(struct batch *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		s->n_cached += s->part;
		if (s->request && s->output >= 0)
			slot_output(b, s);
	}
}

enum failure batch_step(struct batch *b, struct err *e)
{
	uint64_t start = batch_now_ns();
	uint32_t n, generated = 0;
	enum failure f;
	bool full;

	divide(b);
	n = compose(b);
	if (n == 0)
		return FAILURE_NONE;
	for (uint32_t i = 0; i < b->n_slots; i++)
		generated += b->slots[i].part && b->slots[i].first_ns;
	f = engine_compute(b->o.engine, b->inputs, n, &full, e);
	if (f) {
		fail_all(b, e->text);
		return f;
	}
	if (full)
		make_room(b);
	else
		outputs(b);
	if (!full)
		learn(b, n, batch_now_ns() - start);
	count(b, full ? 0 : n, full ? 0 : generated, batch_now_ns() - start);
	return FAILURE_NONE;
}
