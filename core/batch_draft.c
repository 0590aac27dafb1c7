/* SPDX-License-Identifier: MIT */
/*
 * Guesses of a draft model. Each text that is being generated gets some before a step; the step checks
 * them all in one pass (batch_step.c). The draft's cache follows the texts: what it has of them is
 * computed when it is first asked, and cut back to what turned out right.
 */
#include <string.h>

#include "base/telem.h"
#include "core/batch_priv.h"

/* A draft that is less sure than this is wrong more often than a guess may be. */
#define SURE 0.4F
#define REST 64 /* steps without guesses, after there was no room for them */

/* The slots that still guess, and where the draft's last pass has their outputs. */
struct guessing {
	struct slot *slots[BATCH_SLOTS_MAX];
	int32_t output[BATCH_SLOTS_MAX];
	uint32_t n;
};

static uint32_t id_of(const struct batch *b, const struct slot *s)
{
	return (uint32_t)(s - b->slots);
}

void draft_keep(struct batch *b, struct slot *s, uint32_t n)
{
	if (s->n_drafted > n)
		s->n_drafted = engine_cut(b->o.draft, id_of(b, s), n);
}

void draft_follow(struct batch *b, const struct slot *from, struct slot *to)
{
	uint32_t n = from->n_drafted < to->n_cached ? from->n_drafted : to->n_cached;

	if (!b->o.draft)
		return;
	if (n == 0) /* whatever an earlier batch may have left there, too */
		to->n_drafted = engine_cut(b->o.draft, id_of(b, to), 0);
	else if (from == to)
		draft_keep(b, to, n);
	else
		to->n_drafted = engine_share(b->o.draft, id_of(b, from), id_of(b, to), n);
}

static bool generates(const struct slot *s)
{
	return s->request && !s->parked && s->first_ns && s->n_tokens - s->n_cached == 1;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* So many that each could still be said, and has a place in both caches. */
static uint32_t most_guesses(const struct batch *b, const struct slot *s)
{
	const struct request *r = s->request;
	uint32_t n_ctx = least(b->facts.n_ctx, b->draft_facts.n_ctx);
	uint32_t most = least(b->o.draft_max, PLAN_DRAFT_MAX);

	if (s->n_tokens >= n_ctx)
		return 0;
	most = least(most, n_ctx - s->n_tokens);
	if (r->max_tokens)
		most = least(most, r->max_tokens - r->generated_tokens - 1);
	return most;
}

/* What the draft cannot know of a text ends its part in it. */
static bool knows_all(const struct batch *b, const struct slot *s)
{
	for (uint32_t i = s->n_drafted; i < s->n_tokens; i++)
		if ((uint32_t)s->tokens[i] >= b->draft_facts.n_vocab)
			return false;
	return true;
}

static void choose_lengths(struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_slots; i++)
		n += generates(&b->slots[i]);
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];
		uint32_t most;

		s->n_guess = s->n_right = s->n_wanted = 0;
		if (!generates(s) || !knows_all(b, s))
			continue;
		most = most_guesses(b, s);
		s->n_wanted = spec_length(&s->spec, &b->costs, n, most);
		if (s->n_wanted < b->o.draft_min)
			s->n_wanted = least(b->o.draft_min, most);
	}
}

/* What the draft does not have yet of the texts; whose rest does not fit in the batch guesses later. */
static uint32_t compose_texts(struct batch *b, struct guessing *g)
{
	uint32_t n = 0, room = least(b->draft_facts.n_batch, b->facts.n_batch);

	g->n = 0;
	for (uint32_t i = 0; i < b->n_slots && n < room; i++) {
		struct slot *s = &b->slots[i];
		uint32_t part = least(s->n_tokens - s->n_drafted, room - n);

		if (!s->n_wanted)
			continue;
		for (uint32_t k = 0; k < part; k++, n++) {
			uint32_t at = s->n_drafted + k;

			b->inputs[n] = (struct engine_input) { s->tokens[at], at, i,
							       at + 1 == s->n_tokens };
		}
		s->n_drafted += part;
		if (s->n_drafted == s->n_tokens) {
			g->output[g->n] = (int32_t)n - 1;
			g->slots[g->n++] = s;
		}
	}
	return n;
}

/* The last guess of each goes in for the next one. */
static uint32_t compose_guesses(struct batch *b, struct guessing *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		struct slot *s = g->slots[i];

		b->inputs[i] = (struct engine_input) { s->guess[s->n_guess - 1], s->n_drafted++,
						       id_of(b, s), true };
		g->output[i] = (int32_t)i;
	}
	return g->n;
}

/* One guess for each; who has enough, or is not sure of more, drops out. */
static void take_guesses(struct batch *b, struct guessing *g)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		struct slot *s = g->slots[i];
		float chance;
		int32_t token = engine_likeliest(b->o.draft, g->output[i], &chance);

		if ((uint32_t)token >= b->facts.n_vocab ||
		    (chance < SURE && s->n_guess >= b->o.draft_min))
			continue;
		s->guess[s->n_guess++] = token;
		if (s->n_guess < s->n_wanted && !engine_is_end(b->o.engine, token))
			g->slots[left++] = s;
	}
	g->n = left;
}

/*
 * Its cache is full. It has what the model's has and the guesses, so the model's is about to be: nothing
 * is gained by fitting them in, and computing the texts again each time would cost much.
 */
static void forget(struct batch *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		b->slots[i].n_guess = 0;
		b->slots[i].n_drafted = engine_cut(b->o.draft, i, 0);
	}
	b->draft_rest = REST;
}

enum failure draft_guess(struct batch *b, struct err *e)
{
	struct guessing g;
	enum failure f = FAILURE_NONE;
	uint32_t n;

	if (b->draft_rest) {
		b->draft_rest--;
		return FAILURE_NONE;
	}
	choose_lengths(b);
	n = compose_texts(b, &g);
	while (n && !f) {
		uint64_t start = telem_now_ns();
		bool full, only_guesses = n == g.n;

		f = engine_compute(b->o.draft, b->inputs, n, &full, e);
		if (!f && full) {
			forget(b);
			return FAILURE_NONE;
		}
		if (!f)
			take_guesses(b, &g);
		if (only_guesses)
			spec_guess(&b->costs, telem_now_ns() - start);
		n = f ? 0 : compose_guesses(b, &g);
	}
	return f;
}

void draft_drop(struct batch *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		s->n_guess = s->n_right = 0;
		draft_keep(b, s, s->n_tokens);
	}
}
