/* SPDX-License-Identifier: MIT */
/* Recurrent states, as llama.cpp's graphs gather and store them (build_rs; engine.h says what changed). */
#include "vram-planner/states.h"

/* Sequences that are not in the batch. */
static int64_t idle(const struct build *b)
{
	return (int64_t)b->a->n_seq - b->n_seqs;
}

struct states b_states(struct build *b)
{
	struct graph *g = b->g;
	int64_t n = b->a->n_seq, rest = b->engine->gathers_all_states ? n - 1 : idle(b);
	int rows = g_input(g, GT_I32, n, 1, 1, 1);

	return (struct states) {
		.rows = rows,
		.batch = g_view_1d(g, rows, b->n_seqs),
		.rest = g_view_1d(g, rows, rest),
	};
}

int64_t b_snapshots(const struct build *b)
{
	return b->s->keeps_rollback ? 1 + (int64_t)b->a->n_rs_seq : 1;
}

int64_t b_snapshots_kept(const struct build *b)
{
	int64_t n = b_snapshots(b);

	return n < b->n_seq_tokens ? n : b->n_seq_tokens;
}

/* All rows, one of them made zero: that of sequences that begin. */
int b_state_all(struct build *b, int cache)
{
	struct graph *g = b->g;
	int all = g_reshape_2d(g, cache, g_ne(g, cache, 0), g_ne(g, cache, 1));

	g_expand(g, g_scale_inplace(g, g_view_1d(g, all, g_ne(g, cache, 0))));
	return all;
}

/* Rows of sequences that are not in the batch go behind those that are. */
static void store_rest(struct build *b, int cache, int rest)
{
	struct graph *g = b->g;
	int to = g_view_2d(g, cache, g_ne(g, cache, 0), g_ne(g, rest, 1), g_nb(g, cache, 1));

	g_expand(g, g_cpy(g, rest, to));
}

int b_state_used(struct build *b, const struct states *st, int cache, int all, int result)
{
	struct graph *g = b->g;
	int rest;

	g_expand(g, result);
	rest = g_get_rows(g, all, st->rest);
	if (b->engine->gathers_all_states)
		rest = g_view_2d(g, rest, g_ne(g, rest, 0), idle(b), g_nb(g, rest, 1));
	store_rest(b, cache, rest);
	return result;
}

int b_state_rows(struct build *b, const struct states *st, int cache)
{
	struct graph *g = b->g;
	int all = b_state_all(b, cache), rows, batch;
	int64_t width = g_ne(g, cache, 0);

	if (!b->engine->gathers_all_states)
		return b_state_used(b, st, cache, all, g_get_rows(g, all, st->batch));
	rows = g_get_rows(g, all, st->rows);
	batch = g_expand(g, g_view_2d(g, rows, width, b->n_seqs, g_nb(g, rows, 1)));
	store_rest(b, cache, g_view_2d(g, rows, width, idle(b), g_nb(g, rows, 1)));
	return batch;
}

void b_state_store(struct build *b, int cache, int piece)
{
	struct graph *g = b->g;
	int64_t width = g_ne(g, cache, 0), n = width ? g_elements(g, piece) / width : 0;

	g_expand(g, g_cpy(g, piece, g_view_2d(g, cache, width, n, g_nb(g, cache, 1))));
}
