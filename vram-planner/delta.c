/* SPDX-License-Identifier: MIT */
#include "vram-planner/delta.h"

int b_unit_rows(struct graph *g, int x)
{
	return g_scale(g, g_rms_norm(g, x));
}

int b_conv_input(struct build *b, const struct states *st, int cache, int x, int64_t width)
{
	struct graph *g = b->g;
	int64_t kept = (int64_t)b->s->ssm_conv - 1;
	int last = b_state_rows(b, st, cache);
	int in;

	last = g_reshape_3d(g, last, kept, width, b->n_seqs);
	in = g_concat(g, last, g_transpose(g, x), 0);
	for (int64_t i = b_snapshots(b); i > 0 && in; i--)
		b_state_store(
			b, cache,
			g_view_3d(g, in, kept, width, b->n_seqs, g_nb(g, in, 1), g_nb(g, in, 2)));
	return in;
}

int b_delta_rule(struct build *b, const struct delta *d, int cache)
{
	struct graph *g = b->g;
	int64_t head = g_ne(g, d->v, 0), heads = g_ne(g, d->v, 1), tokens = g_ne(g, d->v, 2);
	int64_t states = b->n_seqs * b_snapshots_kept(b);
	uint64_t row = g_row_bytes(g, GT_F32, head);
	int all = g_gated_delta_net(g, d->q, d->k, d->v, d->gate, d->beta, d->state,
				    b_snapshots(b));

	/* Behind the result, in the same memory, lie the states. */
	b_state_store(b, cache,
		      g_view_4d(g, all, head, head, heads, states, row, row * (uint64_t)head,
				row * (uint64_t)head * (uint64_t)heads));
	return g_view_4d(g, all, head, heads, tokens, b->n_seqs, row, row * (uint64_t)heads,
			 row * (uint64_t)heads * (uint64_t)tokens);
}
