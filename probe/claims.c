/* SPDX-License-Identifier: MIT */
/* Claims on GPUs, made one list a GPU. Pure. */
#include "probe/claims.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

/* An opening that was handed on is its user's, not its broker's; else the lowest pid's, the opener's. */
static bool belongs_rather(const struct claim *mine, const struct claim *theirs)
{
	return mine->broker != theirs->broker ? theirs->broker : mine->pid < theirs->pid;
}

static void keep_larger(struct fact *to, const struct fact *from)
{
	bool more = fact_known(from) && (!fact_known(to) || from->v > to->v);

	if (more || (!fact_known(to) && !to->why))
		*to = *from;
}

static bool same_opening(const struct claim *a, const struct claim *b)
{
	if (a->gpu != b->gpu || a->of != b->of || a->has_client != b->has_client)
		return false;
	return a->has_client ? a->client == b->client : a->pid == b->pid;
}

bool claims_add(struct claims *c, const struct claim *claim)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct claim *old = &c->v[i];

		if (!same_opening(old, claim))
			continue;
		if (belongs_rather(claim, old)) {
			old->pid = claim->pid;
			old->broker = claim->broker;
			memcpy(old->name, claim->name, sizeof(old->name));
		}
		/* Counters may run backwards between two reads. */
		keep_larger(&old->vram, &claim->vram);
		keep_larger(&old->host, &claim->host);
		old->engines |= claim->engines;
		return true;
	}
	if (c->n == CLAIMS_MAX)
		return false;
	if (c->n == c->room) {
		uint32_t room = c->room ? c->room * 2 : 32;
		void *more = realloc(c->v, room * sizeof(*c->v));

		if (!more)
			return false;
		c->v = more;
		c->room = room;
	}
	c->v[c->n++] = *claim;
	return true;
}

void claims_fini(struct claims *c)
{
	free(c->v);
	*c = (struct claims) { 0 };
}

static void add_up(struct fact *to, const struct fact *from)
{
	int64_t sum;

	if (!fact_known(to)) {
		if (to->why != WHY_GARBLED)
			*to = *from;
	} else if (fact_known(from)) {
		*to = __builtin_add_overflow(to->v, from->v, &sum) ? fact_unknown(WHY_GARBLED)
								   : fact_of(sum, to->src);
	}
}

struct holder {
	struct gpu_proc p;
	uint32_t engines;
};

static struct holder *holder_of(struct holder *all, uint32_t *n, const struct claim *c)
{
	for (uint32_t i = 0; i < *n; i++)
		if (all[i].p.pid == c->pid)
			return &all[i];
	struct holder *h = &all[(*n)++];

	*h = (struct holder) { .p = { .pid = c->pid } };
	memcpy(h->p.name, c->name, sizeof(h->p.name));
	return h;
}

static int64_t known_or(const struct fact *f, int64_t otherwise)
{
	return fact_known(f) ? f->v : otherwise;
}

static int largest_first(const void *a_, const void *b_)
{
	const struct gpu_proc *a = &((const struct holder *)a_)->p;
	const struct gpu_proc *b = &((const struct holder *)b_)->p;
	int64_t x = known_or(&a->vram, -1), y = known_or(&b->vram, -1);

	if (x == y) {
		x = known_or(&a->host, -1);
		y = known_or(&b->host, -1);
	}
	if (x != y)
		return x < y ? 1 : -1;
	return (a->pid > b->pid) - (a->pid < b->pid);
}

/* What its descriptors say, added up; then what its driver says of it. */
static void account(struct holder *h, const struct claim *c)
{
	void (*put)(struct fact *, const struct fact *) = c->of == CLAIM_FD ? add_up : keep_larger;

	put(&h->p.vram, &c->vram);
	put(&h->p.host, &c->host);
	h->engines |= c->engines;
}

void claims_of_gpu(const struct claims *c, uint32_t gpu, struct holders *h)
{
	static const enum claim_of order[] = { CLAIM_FD, CLAIM_TOTAL };
	own_free struct holder *all = calloc(c->n + 1, sizeof(*all));
	uint32_t n = 0;

	h->n_procs = h->n_left_out = 0;
	if (!all)
		return;
	for (size_t k = 0; k < ARRAY_LEN(order); k++)
		for (uint32_t i = 0; i < c->n; i++)
			if (c->v[i].gpu == gpu && c->v[i].of == order[k])
				account(holder_of(all, &n, &c->v[i]), &c->v[i]);
	qsort(all, n, sizeof(*all), largest_first);
	for (uint32_t i = 0; i < n && i < PROCS_MAX; i++) {
		h->procs[i] = all[i].p;
		h->procs[i].engines = engines_text(all[i].engines, SRC_PROC);
		/* Of a sleeping device's client nothing was read. */
		if (!all[i].engines && all[i].p.vram.why == WHY_ASLEEP)
			h->procs[i].engines = fact_text_unknown(WHY_ASLEEP);
	}
	h->n_procs = n < PROCS_MAX ? n : PROCS_MAX;
	h->n_left_out = n - h->n_procs;
}
