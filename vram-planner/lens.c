/* SPDX-License-Identifier: MIT */
#include "vram-planner/lens.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct lens {
	const struct shape *whole;
	struct shape shape; /* of the layers kept; slots are its own, the rest is the whole's */
	struct placement placement;
	int16_t *layer_of;         /* of each tensor; -1 */
	uint16_t form[LAYERS_MAX]; /* the first layer that is built alike */
	uint16_t same[LAYERS_MAX]; /* ... and has tensors of the same types */
};

#define SLOT_PARTS (SLOTS * PARTS)

/* --- layers that are alike --- */

static bool facts_equal(const struct shape *s, uint32_t i, uint32_t j)
{
	struct layer a = s->layers[i], b = s->layers[j];

	/* Whose cache they read: as seen from each. */
	a.cache = a.cache < 0 ? -1 : (int32_t)i - a.cache;
	b.cache = b.cache < 0 ? -1 : (int32_t)j - b.cache;
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static bool tensors_equal(const struct shape *s, uint32_t i, uint32_t j, bool types)
{
	const uint32_t *a = &s->slots[(size_t)i * SLOT_PARTS];
	const uint32_t *b = &s->slots[(size_t)j * SLOT_PARTS];

	for (uint32_t k = 0; k < SLOT_PARTS; k++) {
		const struct tensor *t, *u;

		if (!a[k] != !b[k])
			return false;
		if (!a[k])
			continue;
		t = model_tensor(s->model, a[k] - 1);
		u = model_tensor(s->model, b[k] - 1);
		if (memcmp(t->ne, u->ne, sizeof(t->ne)) || (types && t->type != u->type))
			return false;
	}
	return true;
}

static uint16_t first_like(const struct shape *s, uint32_t i, const uint16_t *firsts, bool types)
{
	for (uint32_t j = 0; j < i; j++) {
		if (firsts[j] == j && facts_equal(s, i, j) && tensors_equal(s, i, j, types))
			return (uint16_t)j;
	}
	return (uint16_t)i;
}

struct lens *lens_open(const struct shape *s)
{
	uint32_t n = model_n_tensors(s->model);
	struct lens *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->whole = s;
	l->layer_of = calloc(n + 1, sizeof(*l->layer_of));
	l->shape.slots = calloc((size_t)s->n_layer * SLOT_PARTS + 1, sizeof(*l->shape.slots));
	if (!l->layer_of || !l->shape.slots) {
		lens_close(l);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		l->layer_of[i] = (int16_t)model_tensor(s->model, i)->layer;
	for (uint32_t i = 0; i < s->n_layer; i++) {
		l->form[i] = first_like(s, i, l->form, false);
		l->same[i] = first_like(s, i, l->same, true);
	}
	return l;
}

void lens_close(struct lens *l)
{
	if (!l)
		return;
	free(l->layer_of);
	free(l->shape.slots);
	free(l);
}

/* --- what can be left out --- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/*
 * Layers are of one kind when they are built alike and lie alike. Where a device fetches their weights
 * from the host, the weights' types count, too.
 */
static void layer_kinds(const struct lens *l, const struct placement *p, bool offloads,
			uint64_t *kinds)
{
	uint32_t n = model_n_tensors(l->whole->model), n_layer = l->whole->n_layer;
	bool fetched[LAYERS_MAX] = { 0 };

	for (uint32_t i = 0; i < n_layer; i++)
		kinds[i] = mix(mix(1, l->form[i]), (uint64_t)(p->unit[i] + 8));
	for (uint32_t i = 0; i < n; i++) {
		int layer = l->layer_of[i];

		if (layer < 0 || layer >= (int)n_layer || p->home[i] == p->unit[layer])
			continue;
		kinds[layer] = mix(kinds[layer], (uint64_t)(p->home[i] + 8));
		fetched[layer] |= p->home[i] == HOME_HOST;
	}
	for (uint32_t i = 0; i < n_layer; i++) {
		if (p->n_devices && offloads && (fetched[i] || p->unit[i] < 0))
			kinds[i] = mix(kinds[i], l->same[i]);
	}
}

void lens_trim(const struct lens *l, const struct placement *p, bool offloads,
	       const struct trim_care *care, struct trim *t)
{
	uint64_t kinds[LAYERS_MAX];

	/* Per-layer embeddings make one tensor of all layers. */
	if (l->whole->n_embd_per_layer) {
		trim_nothing(t, l->whole->n_run);
		return;
	}
	layer_kinds(l, p, offloads, kinds);
	trim_find(t, kinds, l->whole->n_run, care);
}

/* --- what is left --- */

/* How many of the layers before `end` are kept. */
static uint32_t kept_before(const struct trim *t, uint32_t end)
{
	uint32_t n = 0;

	while (n < t->n && t->layers[n] < end)
		n++;
	return n;
}

const struct shape *lens_shape(struct lens *l, const struct trim *t)
{
	const struct shape *w = l->whole;
	uint32_t *slots = l->shape.slots;

	if (t->n == w->n_run)
		return w;
	memcpy(&l->shape, w, offsetof(struct shape, layers));
	l->shape.n_layer = l->shape.n_run = t->n;
	l->shape.n_nextn = 0;
	l->shape.n_dense_lead = kept_before(t, w->n_dense_lead);
	l->shape.hash_layers = kept_before(t, w->hash_layers);
	l->shape.n_kv_from_start = kept_before(t, w->n_kv_from_start);
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t from = t->layers[i];

		l->shape.layers[i] = w->layers[from];
		if (w->layers[from].cache >= 0)
			l->shape.layers[i].cache = (int32_t)kept_before(
				t, (uint32_t)w->layers[from].cache);
		memcpy(&slots[(size_t)i * SLOT_PARTS], &w->slots[(size_t)from * SLOT_PARTS],
		       SLOT_PARTS * sizeof(*slots));
	}
	memcpy(l->shape.globals, w->globals, sizeof(w->globals));
	l->shape.roles = w->roles;
	l->shape.slots = slots;
	return &l->shape;
}

const struct placement *lens_placement(struct lens *l, const struct placement *p,
				       const struct trim *t)
{
	if (t->n == l->whole->n_run)
		return p;
	l->placement = *p;
	for (uint32_t i = 0; i < t->n; i++)
		l->placement.unit[i] = p->unit[t->layers[i]];
	l->placement.unit[t->n] = p->unit[l->whole->n_layer];
	return &l->placement;
}
