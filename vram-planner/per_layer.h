/* SPDX-License-Identifier: MIT */
/* Embeddings of a token for each layer apart, as Gemma 3n and Gemma 4 have them. */
#ifndef BERTH_PER_LAYER_H
#define BERTH_PER_LAYER_H

#include "vram-planner/build.h"

/*
 * The token's rows of the table for all layers, not scaled yet: [n_embd_per_layer * n_layer,
 * n_tokens].
 */
int b_per_layer_rows(struct build *b);

/*
 * From those rows, scaled and [n_embd_per_layer, n_layer, n_tokens], and the token's embedding x,
 * what goes into the layers: [n_embd_per_layer, n_tokens, n_layer].
 */
int b_per_layer_inputs(struct build *b, int rows, int x);

/* A layer's own embedding, gated by x and brought to the width of the stream; normed. */
int b_per_layer(struct build *b, int layer, int x, int own);

/* One plane of a tensor of three dimensions. */
int b_plane(struct build *b, int x);

/* The query of a layer that reads another layer's cache: [head, heads, tokens]. */
int b_query(struct build *b, int layer, int x);

#endif
