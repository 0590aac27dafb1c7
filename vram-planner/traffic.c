/* SPDX-License-Identifier: MIT */
#include "vram-planner/traffic.h"

#include "vram-planner/cache.h"

static struct home_traffic *at_home(struct traffic *t, int home)
{
	return home >= 0 ? &t->device[home] : &t->host;
}

/* How much of a layer's tensor one token goes through. */
static double share_of(const struct shape *s, const struct tensor *w)
{
	const struct layer *l = &s->layers[w->layer];
	enum slot slot;
	enum part part;

	if (!slot_find(w, &slot, &part))
		return 1;
	switch (slot) {
	case SLOT_FFN_UP_EXPS:
	case SLOT_FFN_DOWN_EXPS:
	case SLOT_FFN_GATE_EXPS:
	case SLOT_FFN_GATE_UP_EXPS:
		return s->n_expert && l->n_used < s->n_expert ? (double)l->n_used / s->n_expert : 1;
	case SLOT_FFN_GATE_TID2EID:
	case SLOT_NEXTN_EMBED_TOKENS:
		return 0; /* a row */
	default:
		return 1;
	}
}

/* Tables of which a token reads one row. */
static bool is_table(const struct tensor *w)
{
	enum global g;
	enum part part;

	if (!global_find(w, &g, &part))
		return false;
	return g == GLOBAL_TOKEN_EMBD || g == GLOBAL_POSITION_EMBD || g == GLOBAL_TOKEN_TYPES ||
	       g == GLOBAL_PER_LAYER_TOKEN_EMBD;
}

/* Arithmetic is done by matrices only: two operations a weight. */
static double flops_of(const struct tensor *w)
{
	return w->n_dims < 2 || w->ne[1] < 2
		       ? 0
		       : 2.0 * (double)w->ne[0] * (double)w->ne[1] * (double)w->ne[2];
}

static void add_weight(struct traffic *t, const struct tensor *w, int home, double share)
{
	struct home_traffic *h = at_home(t, home);

	h->all_bytes += (double)w->bytes;
	h->token_bytes += (double)w->bytes * share;
	h->token_flops += flops_of(w) * share;
}

static void add_weights(struct traffic *t, const struct shape *s, const struct placement *p)
{
	const struct tensor *embd = shape_global(s, GLOBAL_TOKEN_EMBD);

	for (uint32_t i = 0; i < model_n_tensors(s->model); i++) {
		const struct tensor *w = model_tensor(s->model, i);
		bool of_layer = w->layer >= 0 && (uint32_t)w->layer < s->n_layer;

		if (p->home[i] == HOME_NONE || (!of_layer && is_table(w)))
			continue;
		double share = of_layer ? share_of(s, w) : 1;

		if (share < 1 && share > 0)
			t->routed = true;
		add_weight(t, w, p->home[i], share);
	}
	if (s->tied && embd)
		add_weight(t, embd, p->output, 1);
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* Rows of a layer's cache that one token looks at. */
static double rows_read(const struct shape *s, uint32_t il, enum cache_kind kind, double depth)
{
	const struct layer *l = &s->layers[il];
	bool sparse = s->indexer_top_k && (s->memory == MEMORY_DSA || s->memory == MEMORY_DSV4);

	if (kind == CACHE_INDEXER)
		return l->compress ? depth / l->compress : depth;
	if (kind == CACHE_COMPRESSED)
		return sparse ? least(depth / (l->compress ? l->compress : 1), s->indexer_top_k)
			      : depth;
	if (l->slides && s->window)
		return least(depth, s->window);
	return sparse && s->memory == MEMORY_DSA ? least(depth, s->indexer_top_k) : depth;
}

static bool is_state(enum cache_kind kind)
{
	return kind != CACHE_K && kind != CACHE_V && kind != CACHE_INDEXER &&
	       kind != CACHE_COMPRESSED;
}

static double cache_read(const struct shape *s, const struct ask *a, uint32_t il, uint32_t owner,
			 double depth)
{
	struct cache_tensor c[CACHE_TENSORS_MAX];
	uint32_t n = cache_tensors(s, a, owner, c);
	double sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		double rows = (double)c[i].ne[1] * (double)c[i].ne[2];

		if (is_state(c[i].kind))
			sum += (double)c[i].bytes / a->n_seq;
		else if (rows > 0)
			sum += (double)c[i].bytes / rows *
			       least(rows_read(s, il, c[i].kind, depth), (double)c[i].ne[1]);
	}
	return sum;
}

static void add_caches(struct traffic *t, const struct shape *s, const struct placement *p,
		       const struct ask *a, double depth)
{
	for (uint32_t il = 0; il < s->n_run; il++) {
		const struct layer *l = &s->layers[il];
		/* A layer without a cache of its own reads that of an earlier one. */
		uint32_t owner = l->cache >= 0 && l->cache < (int32_t)il ? (uint32_t)l->cache : il;
		struct home_traffic *h = at_home(t, cache_home(p, a, owner));
		double bytes = cache_read(s, a, il, owner, depth);

		h->cache_bytes += bytes;
		h->token_bytes += bytes;
		if (layer_attends(l)) {
			double rows = rows_read(s, il, CACHE_K, depth);

			h->token_flops += 2.0 * rows * l->n_head * ((double)l->head_k + l->head_v);
		}
	}
}

/* A token's vector moves where the home of a layer changes, and to experts elsewhere and back. */
static void count_hops(struct traffic *t, const struct shape *s, const struct placement *p)
{
	int home = HOME_HOST; /* the embedding is looked up there */

	for (uint32_t il = 0; il < s->n_run; il++) {
		const struct tensor *up = shape_weight(s, il, SLOT_FFN_UP_EXPS);

		t->hops += p->unit[il] != home;
		home = p->unit[il];
		if (up && p->home[shape_index(s, up)] != home)
			t->hops += 2;
	}
	t->hops += (p->output != home) + (p->output >= 0);
}

void traffic_of(struct traffic *t, const struct shape *s, const struct placement *p,
		const struct ask *a, uint32_t depth)
{
	*t = (struct traffic) { 0 };
	add_weights(t, s, p);
	add_caches(t, s, p, a, depth);
	count_hops(t, s, p);
}

double traffic_token_bytes(const struct traffic *t)
{
	double sum = t->host.token_bytes;

	for (uint32_t i = 0; i < PLAN_DEVICES_MAX; i++)
		sum += t->device[i].token_bytes;
	return sum;
}
