/* SPDX-License-Identifier: MIT */
/*
 * What the wish leaves open, closed for its goal. Candidates are tried from the least loss to the most;
 * a context is found by halving, as more of it never needs less memory.
 */
#include <string.h>

#include "vram-planner/search_priv.h"

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

/*
 * How far a search goes for its goal. Spilling is accepted to reach what is asked for, not to grow
 * without end in host memory: beyond the devices it stops at the floor.
 */
enum level {
	LEVEL_DEVICES, /* all on devices */
	LEVEL_EXPERTS, /* every layer on devices, experts on the host */
	LEVEL_ANY,     /* whatever is accepted */
	LEVELS
};

/* One search: what is asked, and how far it goes at the moment. */
struct hunt {
	struct search *search;
	const struct wish *wish;
	const struct pinned *pin;
	const struct ask *ask; /* what is pinned, and defaults */
	enum level level;
};

static bool fast_enough(const struct search *s, const struct placing *p)
{
	return !s->fast_enough || s->fast_enough(s->arg, p);
}

/* Whether this is within what the wish accepts and the level goes to. */
static bool reaches(const struct hunt *h, const struct ask *a)
{
	struct search *s = h->search;
	struct placing p;

	switch (h->level) {
	case LEVEL_DEVICES:
		return fill_devices(s, a, h->pin, &p) && fast_enough(s, &p);
	case LEVEL_EXPERTS:
		if (!fill_with_host_experts(s, a, h->pin, &p))
			return false;
		/* With fewer of them there it is faster. */
		return fast_enough(s, &p) ||
		       (!fill_best(s, a, h->pin, &p, NULL) && !p.bill.n_host && placing_runs(&p) &&
			fast_enough(s, &p));
	default:
		return !fill_best(s, a, h->pin, &p, NULL) && placing_runs(&p) &&
		       (h->wish->accept == ACCEPT_CPU || (p.n && p.ask.n_gpu_layers)) &&
		       fast_enough(s, &p);
	}
}

/* The longest context within [least, most] that is reached, or nearly; 0: none. */
static uint32_t longest(const struct hunt *h, const struct setting *set, uint32_t least,
			uint32_t most)
{
	struct ask try = with(h->ask, set, most);
	uint32_t low = (least + CTX_STEP - 1) / CTX_STEP, high = most / CTX_STEP;

	if (reaches(h, &try))
		return most;
	if (least >= most || high <= low)
		return 0;
	try = with(h->ask, set, low * CTX_STEP);
	if (!reaches(h, &try))
		return 0;
	/* Within a hundredth is near enough: nobody needs the last 256 of a million tokens. */
	while (low + 1 + low / 100 < high) {
		uint32_t mid = low + (high - low) / 2;

		try = with(h->ask, set, mid * CTX_STEP);
		if (reaches(h, &try))
			low = mid;
		else
			high = mid;
	}
	return low * CTX_STEP;
}

/* The contexts to look among. */
struct bounds {
	uint32_t least, most;
};

static struct bounds bounds_of(const struct hunt *h, uint32_t n_ctx_train)
{
	const struct wish *w = h->wish;
	uint32_t usual = n_ctx_train < WISH_CTX_DEFAULT ? n_ctx_train : WISH_CTX_DEFAULT;
	struct bounds b = { w->min_ctx ? w->min_ctx : usual, n_ctx_train };

	if (w->n_ctx)
		return (struct bounds) { h->ask->n_ctx, h->ask->n_ctx };
	/* A longer context is what is wanted; a shorter one than usual is better than none. */
	if (w->want == WANT_CONTEXT && !w->min_ctx && h->level < LEVEL_ANY)
		b.least = CTX_STEP;
	/* For speed what suffices will do: what a context takes is read for every token. */
	if (w->want == WANT_SPEED || h->level == LEVEL_ANY || b.most < b.least)
		b.most = b.least;
	return b;
}

static bool reaches_with(const struct hunt *h, const struct setting *set, uint32_t n_ctx)
{
	struct ask a = with(h->ask, set, n_ctx);

	return reaches(h, &a);
}

/*
 * The longest context, but not at any price: of settings that come within a tenth of it the one that
 * loses least.
 */
static uint32_t longest_of_all(const struct hunt *h, const struct setting *settings, uint32_t n,
			       struct bounds b, uint32_t *chosen)
{
	uint32_t max, enough;

	for (*chosen = 0; *chosen < n; ++*chosen) {
		if (reaches_with(h, &settings[*chosen], b.most))
			return b.most;
	}
	max = longest(h, &settings[n - 1], b.least, b.most);
	enough = max - max / 10;
	if (enough < b.least)
		enough = b.least;
	for (*chosen = 0; max && *chosen + 1 < n; ++*chosen) {
		uint32_t n_ctx = longest(h, &settings[*chosen], enough, max);

		if (n_ctx)
			return n_ctx;
	}
	*chosen = n - 1;
	return max;
}

/* The first setting that reaches what is wanted, and how far it does. */
static uint32_t longest_of_first(const struct hunt *h, const struct setting *settings, uint32_t n,
				 struct bounds b, uint32_t *chosen)
{
	uint32_t n_ctx = 0;

	for (*chosen = 0; *chosen < n; ++*chosen) {
		n_ctx = longest(h, &settings[*chosen], b.least, b.most);
		if (n_ctx)
			break;
	}
	return n_ctx;
}

static bool hunt_at(struct hunt *h, uint32_t n_ctx_train, struct ask *found)
{
	struct setting settings[SETTINGS_MAX];
	uint32_t n = list_settings(h->wish, h->ask, settings), i, n_ctx;
	struct bounds b = bounds_of(h, n_ctx_train);

	if (h->wish->want == WANT_CONTEXT)
		n_ctx = longest_of_all(h, settings, n, b, &i);
	else
		n_ctx = longest_of_first(h, settings, n, b, &i);
	if (!n_ctx)
		return false;
	*found = with(h->ask, &settings[i], n_ctx);
	return true;
}

bool search_settings(struct search *s, const struct wish *w, const struct pinned *pin,
		     uint32_t n_ctx_train, struct ask *a)
{
	const struct ask asked = *a;
	struct hunt h = { s, w, pin, &asked, LEVEL_DEVICES };

	for (; h.level < LEVELS; h.level++) {
		if (h.level < LEVEL_ANY && !s->n_seats)
			continue;
		if (h.level > LEVEL_DEVICES && w->accept == ACCEPT_GPU)
			break;
		if (h.level == LEVEL_EXPERTS && !biller_shape(s->biller)->n_expert)
			continue;
		if (hunt_at(&h, n_ctx_train, a))
			return true;
	}
	return false;
}
