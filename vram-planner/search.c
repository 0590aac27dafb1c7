/* SPDX-License-Identifier: MIT */
/*
 * What the wish leaves open, closed for its goal. Candidates are tried from the least loss to the most;
 * a context is found by halving, as more of it never needs less memory.
 */
#include <string.h>

#include "vram-planner/search_priv.h"

#define STEP 256 /* the engine pads contexts to this */

/* A way to store the cache, and how many tokens are computed at once. */
struct setting {
	uint32_t type_k, type_v, n_ubatch;
};

#define SETTINGS_MAX 12

/* The types in the order of what they lose; K and V alike, as the engine's kernels want them. */
static const char *const types[] = { "f16", "q8_0", "q4_0" };

static uint32_t list_settings(const struct wish *w, const struct ask *a, struct setting *out)
{
	static const uint32_t quick[] = { 2048, 1024, 512, 128 }, small[] = { 512, 256, 128 };
	const uint32_t *batches = w->want == WANT_SPEED ? quick : small;
	uint32_t n_batches = w->n_ubatch ? 1 : w->want == WANT_SPEED ? 4 : 3, n = 0;

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		struct setting s = { a->type_k, a->type_v, a->n_ubatch };

		if (!w->type_k[0])
			quant_from_name(types[t], &s.type_k);
		if (!w->type_v[0])
			quant_from_name(types[t], &s.type_v);
		for (uint32_t b = 0; b < n_batches; b++) {
			if (!w->n_ubatch)
				s.n_ubatch = batches[b];
			out[n++] = s;
		}
		if (w->type_k[0] && w->type_v[0])
			break;
	}
	return n;
}

static struct ask with(const struct ask *a, const struct setting *s, uint32_t n_ctx)
{
	struct ask b = *a;

	b.n_ctx = n_ctx;
	b.type_k = s->type_k;
	b.type_v = s->type_v;
	b.n_ubatch = s->n_ubatch;
	if (b.n_batch < b.n_ubatch)
		b.n_batch = b.n_ubatch;
	return b;
}

static bool fast_enough(const struct search *s, const struct placing *p)
{
	return !s->fast_enough || s->fast_enough(s->arg, p);
}

/* Whether this is within what the wish accepts. */
static bool reaches(struct search *s, const struct wish *w, const struct pinned *pin,
		    const struct ask *a)
{
	struct placing p;

	if (s->n_seats && fill_devices(s, a, pin, &p))
		return fast_enough(s, &p);
	if (w->accept == ACCEPT_GPU)
		return false;
	return fill_best(s, a, pin, &p, NULL) == 0 && placing_runs(&p) &&
	       (w->accept == ACCEPT_CPU || (p.n && p.ask.n_gpu_layers)) && fast_enough(s, &p);
}

/* The longest context within [least, most] that is reached, or 0. */
static uint32_t longest(struct search *s, const struct wish *w, const struct pinned *pin,
			const struct ask *a, const struct setting *set, uint32_t least,
			uint32_t most)
{
	struct ask try = with(a, set, most);
	uint32_t low = (least + STEP - 1) / STEP, high = most / STEP;

	if (reaches(s, w, pin, &try))
		return most;
	if (least >= most || high <= low)
		return 0;
	try = with(a, set, low * STEP);
	if (!reaches(s, w, pin, &try))
		return 0;
	while (low + 1 < high) {
		uint32_t mid = low + (high - low) / 2;

		try = with(a, set, mid * STEP);
		if (reaches(s, w, pin, &try))
			low = mid;
		else
			high = mid;
	}
	return low * STEP;
}

bool search_settings(struct search *s, const struct wish *w, const struct pinned *pin,
		     uint32_t n_ctx_train, struct ask *a)
{
	struct setting settings[SETTINGS_MAX];
	uint32_t n = list_settings(w, a, settings), pinned = a->n_ctx,
		 most = w->n_ctx ? pinned : n_ctx_train;
	uint32_t least = w->n_ctx ? pinned : w->min_ctx ? w->min_ctx : STEP, best = 0;
	struct setting chosen = { 0 };

	/* A tiny context without loss is no answer to those who want quality. */
	if (w->want == WANT_QUALITY && !w->n_ctx && !w->min_ctx)
		least = most < WISH_CTX_DEFAULT ? most : WISH_CTX_DEFAULT;
	if (most < least)
		most = least;
	/* For speed a context that suffices will do: what it takes is read for every token. */
	if (w->want == WANT_SPEED && !w->n_ctx)
		most = least = w->min_ctx                ? w->min_ctx
			       : most < WISH_CTX_DEFAULT ? most
							 : WISH_CTX_DEFAULT;
	for (uint32_t i = 0; i < n; i++) {
		/* Only a longer context is worth a further loss; for the other goals the first will do. */
		uint32_t floor = best + STEP > least ? best + STEP : least;
		uint32_t n_ctx = floor > most ? 0
					      : longest(s, w, pin, a, &settings[i], floor, most);

		if (n_ctx <= best)
			continue;
		best = n_ctx;
		chosen = settings[i];
		if (best >= most || w->want != WANT_CONTEXT)
			break;
	}
	if (!best)
		return false;
	*a = with(a, &chosen, best);
	return true;
}
