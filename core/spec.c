/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "core/spec.h"

#define RATE_FIRST  0.8 /* of drafts that people use, before anything is known of this text */
#define RATE_MEMORY 0.9 /* of what a guess told, after another one */
#define PASS_MEMORY 0.95
#define REST        64 /* steps between two tries where guesses do not pay */

void spec_begin(struct spec *s)
{
	*s = (struct spec) { .rate = RATE_FIRST };
}

void spec_learn(struct spec *s, uint32_t guessed, uint32_t right)
{
	uint32_t seen = right < guessed ? right + 1 : guessed;
	double old = pow(RATE_MEMORY, seen);

	if (seen)
		s->rate = old * s->rate + (1 - old) * right / seen;
}

void spec_pass(struct spec_costs *c, uint32_t n, uint64_t ns)
{
	c->weight = PASS_MEMORY * c->weight + 1;
	c->n = PASS_MEMORY * c->n + n;
	c->nn = PASS_MEMORY * c->nn + (double)n * n;
	c->t = PASS_MEMORY * c->t + (double)ns;
	c->nt = PASS_MEMORY * c->nt + (double)n * (double)ns;
}

void spec_guess(struct spec_costs *c, uint64_t ns)
{
	c->guess_ns = c->guess_ns > 0 ? 0.75 * c->guess_ns + 0.25 * (double)ns : (double)ns;
}

/* What one more token adds to a pass. Passes of one length tell nothing of that: then nothing. */
static double slope(const struct spec_costs *c)
{
	double spread = c->weight * c->nn - c->n * c->n;
	double b = spread > 1e-3 * c->n * c->n ? (c->weight * c->nt - c->n * c->t) / spread : 0;

	return b > 0 ? b : 0;
}

/* Tokens per time with d guesses, of one text's part of a step. */
static double speed(double rate, uint32_t d, double step_ns, double guess_ns)
{
	double tokens = 1, chance = 1;

	for (uint32_t i = 0; i < d; i++) {
		chance *= rate;
		tokens += chance;
	}
	return tokens / (step_ns + d * guess_ns);
}

uint32_t spec_length(struct spec *s, const struct spec_costs *c, uint32_t n_texts, uint32_t most)
{
	double row = slope(c), step, guess, best;
	uint32_t length = 0;

	if (c->weight <= 0 || c->guess_ns <= 0 || n_texts == 0)
		return most;
	/* The part of a pass that no token adds is shared by all texts */
	step = (c->t - row * c->n) / c->weight / n_texts + row;
	guess = c->guess_ns / n_texts + row;
	if (step <= 0)
		return most;
	best = speed(s->rate, 0, step, guess);
	for (uint32_t d = 1; d <= most; d++) {
		double v = speed(s->rate, d, step, guess);

		if (v > best) {
			best = v;
			length = d;
		}
	}
	s->rested = length ? 0 : s->rested + 1;
	if (s->rested < REST)
		return length;
	s->rested = 0;
	return most < 2 ? most : 2;
}
