/* SPDX-License-Identifier: MIT */
#include "vram-planner/beside.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define ROUNDS 4 /* an adapter moves layers, which moves the adapter: it settles or does not fit */

/* How the layers lie: adapters follow them. */
static bool same_layers(const struct plan *a, const struct plan *b)
{
	if (a->n_devices != b->n_devices || a->host.layers != b->host.layers)
		return false;
	for (uint32_t i = 0; i < a->n_devices; i++) {
		if (a->devices[i].layers != b->devices[i].layers ||
		    strcmp(a->devices[i].pci, b->devices[i].pci) != 0)
			return false;
	}
	return true;
}

int beside_decide(struct plan *p, const struct model *m, const struct devices *d,
		  const struct wish *w, const struct extras *x, bool hashed, struct err *e)
{
	own_free struct devices *left = malloc(sizeof(*left));
	struct plan before = { 0 };
	int rc = left ? 0 : err_set(e, -ENOMEM, "no memory");

	for (int i = 0; i < ROUNDS && !rc; i++) {
		*left = *d;
		extras_reserve(x, left, i ? p : NULL);
		before = *p;
		rc = (hashed ? plan_make : plan_decide)(p, m, left->places, left->n, &left->host, w,
							e);
		if (i && !rc && same_layers(&before, p))
			break;
	}
	if (!rc)
		extras_charge(x, p, d);
	return rc;
}

static int add_file(struct extras *x, const char *kind, const char *path, const struct model *main,
		    const struct devices *d, const struct wish *w, struct err *e)
{
	struct model *m;
	int rc = model_open(&m, path, e);

	return rc ? rc : extras_add(x, kind, path, m, main, d, w, e);
}

int plan_make_beside(struct plan *p, const struct model *m, const struct place *places,
		     uint32_t n_places, const struct host_place *host, const struct wish *w,
		     const struct plan_beside *b, struct err *e)
{
	own_free struct devices *d = calloc(1, sizeof(*d));
	own_free struct extras *x = calloc(1, sizeof(*x));
	int rc = 0;

	if (!b->draft && !b->n_loras)
		return plan_make(p, m, places, n_places, host, w, e);
	if (!d || !x)
		return err_set(e, -ENOMEM, "no memory");
	if (b->n_loras + 1 > EXTRAS_MAX)
		return err_set(e, -EINVAL, "%u adapters; at most %d", b->n_loras, EXTRAS_MAX - 1);
	for (uint32_t i = 0; i < n_places && d->n < PROBE_GPUS_MAX; i++)
		d->places[d->n++] = places[i];
	d->host = *host;
	if (b->draft)
		rc = add_file(x, "draft", b->draft, m, d, w, e);
	for (uint32_t i = 0; i < b->n_loras && rc == 0; i++)
		rc = add_file(x, "lora", b->loras[i], m, d, w, e);
	if (rc == 0)
		rc = beside_decide(p, m, d, w, x, true, e);
	extras_close(x);
	return rc;
}
