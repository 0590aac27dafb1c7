/* SPDX-License-Identifier: MIT */
/*
 * Recurrent states as blocks of the graph: each layer has one row of a state a sequence. A batch reads the
 * rows of its sequences, starts new sequences from a row of zeros, moves the rows of sequences that are not
 * in the batch, and writes the new rows back.
 */
#ifndef BERTH_STATES_H
#define BERTH_STATES_H

#include "vram-planner/build.h"

/* Which rows belong to whom: inputs of the batch, shared by its layers. */
struct states {
	int rows;  /* of all sequences, i32 */
	int batch; /* a view of it: the sequences of the batch */
	int rest;  /* the others, or all that could ever be others: all but one (engine.h) */
};

struct states b_states(struct build *b);

/* The rows of the batch's sequences, a copy: [width, n_seqs]. `cache`: CACHE_CONV or CACHE_STATE. */
int b_state_rows(struct build *b, const struct states *st, int cache);

/*
 * For an operation that finds its rows by itself: all rows, [width, rows]; then give st->batch to the
 * operation, and its result to b_state_used.
 */
int b_state_all(struct build *b, int cache);
int b_state_used(struct build *b, const struct states *st, int cache, int all, int result);

/*
 * States of a batch that are written: 1, or one for each of the last tokens when the ask keeps some for
 * rollback and the family can.
 */
int64_t b_snapshots(const struct build *b);      /* asked for */
int64_t b_snapshots_kept(const struct build *b); /* no more than a sequence has tokens */

/* Write `piece`, one row's worth of elements for each of the batch's sequences, into the cache. */
void b_state_store(struct build *b, int cache, int piece);

#endif
