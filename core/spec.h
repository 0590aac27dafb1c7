/* SPDX-License-Identifier: MIT */
/*
 * How many tokens a draft model should guess for a text, by what its guesses were worth so far and by
 * what they cost. A guess costs a pass of the draft, and a row of the model's next pass; it pays when
 * it is right, and every one before it was. Pure: times are told, no clock is read.
 */
#ifndef BERTH_CORE_SPEC_H
#define BERTH_CORE_SPEC_H

#include <stdint.h>

/* Of one text. */
struct spec {
	double rate;     /* that a guess is right, if those before it were */
	uint32_t rested; /* steps without a guess, since guesses did not pay */
};

/* What passes take, the newest counting most: the model's is a line over its tokens. */
struct spec_costs {
	double weight, n, nn, t, nt; /* sums over the model's passes */
	double guess_ns;             /* one pass of the draft; 0: none was seen */
};

void spec_begin(struct spec *s);

/*
 * Guesses for a text, 0 to `most`, when n_texts are generated at once. Where they do not pay now, two
 * are made once in a while, to see whether they would by then.
 */
uint32_t spec_length(struct spec *s, const struct spec_costs *c, uint32_t n_texts, uint32_t most);

/* So many were checked: those that were right, and the first that was not. */
void spec_learn(struct spec *s, uint32_t guessed, uint32_t right);

/* A pass of the model over n tokens, each of which generates; one of the draft. */
void spec_pass(struct spec_costs *c, uint32_t n, uint64_t ns);
void spec_guess(struct spec_costs *c, uint64_t ns);

#endif
