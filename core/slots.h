/* SPDX-License-Identifier: MIT */
/* Who gets which sequence, and who gets how much of a batch. Pure. */
#ifndef BERTH_CORE_SLOTS_H
#define BERTH_CORE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

struct slot_view {
	bool busy;
	const int32_t *tokens; /* computed and kept */
	uint32_t n;
	uint64_t used_ns; /* when its last request ended */
};

struct slot_choice {
	uint32_t slot; /* an idle one */
	uint32_t from; /* whose first n tokens are the prompt's; may be the same, may be busy */
	uint32_t n;    /* 0: nobody's */
};

/* Fewer tokens in common than this are not worth a copy: texts begin with the same few. */
#define SLOT_SHARE_MIN 16

/*
 * For a prompt of n tokens. In place when what would be lost of the slot is not more than what is
 * kept; otherwise the idle slot that was not used for the longest time gets a copy. At least one
 * token is left to compute. False: no slot is idle.
 */
bool slots_choose(const struct slot_view *v, uint32_t n_slots, const int32_t *prompt, uint32_t n,
		  struct slot_choice *c);

struct slot_need {
	uint32_t n;        /* tokens still to compute; 0: none */
	uint64_t since_ns; /* when its request began */
};

/*
 * Divide a batch of `budget` tokens. Who needs one, generates, and gets it. The rest is for prompts, the
 * shortest first, for that makes the fewest wait; but the oldest has a quarter of it, so that it comes
 * to an end however many short ones come.
 */
void slots_divide(const struct slot_need *need, uint32_t n, uint32_t budget, uint32_t *got);

/*
 * The same where each text goes in whole or waits: the oldest first, so that a long one does not wait for as
 * long as short ones come, then all that still fit.
 */
void slots_divide_whole(const struct slot_need *need, uint32_t n, uint32_t budget, uint32_t *got);

/* How long those who generate may wait for a part of somebody's prompt; how long anybody may. */
#define SLOT_WAIT_NS UINT64_C(250000000)
#define SLOT_STOP_NS UINT64_C(2000000000)

/*
 * How many tokens of prompts to compute in one pass of about wait_ns, at `token_ns` each (0: nobody
 * knows yet), at most `most`. Not less than a few: each pass reads all weights, and a prompt wants to
 * end as well. And `whole` at once where it is more than those: the engine computes so many at a time,
 * and what is left over would read the weights once more.
 */
uint32_t slots_patience(uint64_t token_ns, uint64_t wait_ns, uint32_t whole, uint32_t most);

#endif
