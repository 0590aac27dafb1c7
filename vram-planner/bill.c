/* SPDX-License-Identifier: MIT */
/* From a settled configuration to buffers: placed, built as a graph, and added up by kind of memory. */
#include "vram-planner/bill.h"

#include <stdlib.h>
#include <string.h>

#include "vram-planner/bound.h"
#include "vram-planner/cache.h"
#include "vram-planner/compute.h"
#include "vram-planner/family_priv.h"
#include "vram-planner/placement.h"
#include "vram-planner/refusal.h"

struct biller {
	const struct engine *engine;
	struct shape shape;
	struct placement placement;
	struct compute *compute;
	int8_t *forced; /* of each tensor: where an override puts it */
};

int biller_open(struct biller **out, const struct model *m, const struct engine *engine,
		struct err *e)
{
	struct biller *b = calloc(1, sizeof(*b));
	int rc;

	*out = NULL;
	if (!b)
		return err_set(e, -ENOMEM, "no memory");
	b->engine = engine;
	rc = shape_read(&b->shape, m, e);
	/*
	 * Without rules there may be a bound; when there is none, the first reason stands. A tensor that
	 * a known architecture does not have is no case for one: the engine refuses such a file.
	 */
	if (rc == -ENOTSUP && !family_find(model_arch(m)) &&
	    shape_read_bound(&b->shape, m, NULL) == 0)
		rc = 0;
	if (rc) {
		free(b);
		return rc;
	}
	b->forced = calloc(model_n_tensors(m) + 1, sizeof(*b->forced));
	if (!b->forced || compute_open(&b->compute, &b->shape)) {
		biller_close(b);
		return err_set(e, -ENOMEM, "no memory");
	}
	*out = b;
	return 0;
}

void biller_close(struct biller *b)
{
	if (!b)
		return;
	placement_fini(&b->placement);
	compute_close(b->compute);
	shape_fini(&b->shape);
	free(b->forced);
	free(b);
}

const struct shape *biller_shape(const struct biller *b)
{
	return &b->shape;
}

const struct placement *biller_placement(const struct biller *b)
{
	return &b->placement;
}

const struct bill_part *bill_part(const struct bill *b, enum bill_kind kind, uint32_t device)
{
	for (uint32_t i = 0; i < b->n; i++) {
		const struct bill_part *p = &b->parts[i];

		if (p->kind == kind && (kind > BILL_PINNED || p->device == device))
			return p;
	}
	return NULL;
}

/* --- the parts --- */

static struct bill_part *part_of(struct bill *b, enum bill_kind kind, uint32_t device)
{
	struct bill_part *p = (struct bill_part *)bill_part(b, kind, device);

	if (p)
		return p;
	b->parts[b->n] = (struct bill_part) { .kind = kind, .device = device };
	return &b->parts[b->n++];
}

static void add_weights(struct bill *out, const struct biller *b)
{
	static const enum bill_kind kinds[HOST_KINDS] = {
		[HOST_PLAIN] = BILL_CPU,
		[HOST_PINNED] = BILL_PINNED,
		[HOST_AMX] = BILL_AMX,
		[HOST_REPACK] = BILL_REPACK,
	};
	const struct placement *p = &b->placement;
	struct weights w;

	placement_weights(p, &b->shape, &w);
	for (uint32_t i = 0; i < p->n_devices; i++)
		part_of(out, BILL_DEVICE, i)->weights_bytes = w.device[i];
	for (uint32_t k = 0; k < HOST_KINDS; k++) {
		uint32_t device = k == HOST_PINNED && p->pinned > 0 ? (uint32_t)p->pinned : 0;

		if (w.host[k])
			part_of(out, kinds[k], device)->weights_bytes = w.host[k];
	}
}

static void add_caches(struct bill *out, const struct biller *b, const struct ask *a)
{
	struct caches c;

	caches_sum(&b->placement, &b->shape, a, &c);
	for (uint32_t i = 0; i < b->placement.n_devices; i++)
		part_of(out, BILL_DEVICE, i)->kv_bytes = c.device[i];
	if (c.host)
		part_of(out, BILL_CPU, 0)->kv_bytes = c.host;
}

/* Behind a device's pinned buffer; the engine does not tell of it when it only measures. */
static uint64_t host_padding(const struct placement *p, const struct ask *a, int device)
{
	return a->measuring ? 0 : p->devices[device].backend->host_padding;
}

static void add_compute(struct bill *out, const struct biller *b, const struct ask *a,
			const struct compute_bytes *c)
{
	const struct placement *p = &b->placement;
	int last = p->unit[b->shape.n_layer];

	for (uint32_t i = 0; i < p->n_devices; i++)
		part_of(out, BILL_DEVICE, i)->compute_bytes = c->device[i];
	part_of(out, c->pinned ? BILL_PINNED : BILL_CPU, 0)->compute_bytes =
		c->host + (c->pinned ? host_padding(p, a, 0) : 0);
	/* What the caller reads is in memory that the output's device reaches. */
	if (last >= 0 && p->devices[last].backend->host_alignment)
		part_of(out, BILL_PINNED, (uint32_t)last)->output_bytes = c->output +
									  host_padding(p, a, last);
	else
		part_of(out, BILL_CPU, 0)->output_bytes = c->output;
}

/* --- the bill --- */

static bool on_host(const struct placement *p, const struct shape *s)
{
	uint32_t n = model_n_tensors(s->model);

	for (uint32_t i = 0; i < n; i++) {
		if (p->home[i] <= HOME_HOST && p->fate[i] != FATE_INPUT)
			return true;
	}
	return p->n_host > 0;
}

static int place(struct biller *b, const struct ask *a, const struct target *targets, uint32_t n,
		 struct bill *out, struct err *e)
{
	struct placement *p = &b->placement;
	int rc = a->n_overrides ? overrides_resolve(b->forced, &b->shape, a, e) : 0;

	if (!rc)
		rc = placement_make(p, &b->shape, a, targets, n, a->n_overrides ? b->forced : NULL,
				    e);
	if (rc)
		return rc;
	memcpy(out->units, p->units, sizeof(out->units));
	out->n_host = p->n_host;
	out->host_weights = on_host(p, &b->shape);
	out->unverified = b->shape.unverified;
	out->refused = refusal_find(&b->shape, a, p);
	return 0;
}

/* Whether the model has a graph at all: one of its plainest batch, on the processor. */
static bool is_sound(struct biller *b)
{
	struct compute_bytes c;
	struct ask a;

	ask_default(&a);
	a.n_ctx = a.n_ubatch = 256;
	return ask_settle(&a, b->shape.n_ctx_train, b->shape.causal, NULL) == 0 &&
	       placement_make(&b->placement, &b->shape, &a, NULL, 0, NULL, NULL) == 0 &&
	       compute_bytes(b->compute, &a, &b->placement, b->engine, &c) == 0;
}

/* A graph that cannot be: the header's fault, or what the engine would abort on. */
static int judge(struct biller *b, const struct ask *a, int rc, const struct compute_bytes *c,
		 struct bill *out, struct err *e)
{
	if (!rc)
		out->refused = refusal_of_graph(&b->shape, a, &b->placement, c->n_nodes,
						c->n_leaves);
	else if (c->fault && (rc == -ENOTSUP || is_sound(b)))
		out->refused = c->fault;
	else if (c->fault)
		return err_set(e, rc, "%s", c->fault);
	else
		return err_set(e, rc, "no memory");
	return 0;
}

/* The compute buffers, or for a family whose graph is not known a bound on them. */
static int compute(struct biller *b, const struct ask *a, struct compute_bytes *c, struct bill *out,
		   struct err *e)
{
	int rc = b->shape.unverified ? -ENOTSUP
				     : compute_bytes(b->compute, a, &b->placement, b->engine, c);

	if (b->shape.unverified || (rc == -ENOTSUP && !c->fault)) {
		out->unverified = true;
		rc = compute_bound(&b->shape, a, &b->placement, c);
		return rc ? err_set(e, rc, "%s", c->fault) : 0;
	}
	return judge(b, a, rc, c, out, e);
}

int biller_bill(struct biller *b, struct ask *a, const struct target *targets, uint32_t n,
		struct bill *out, struct err *e)
{
	struct compute_bytes c = { 0 };
	int rc = ask_settle(a, b->shape.n_ctx_train, b->shape.causal, e);

	*out = (struct bill) { 0 };
	if (!rc)
		rc = place(b, a, targets, n, out, e);
	if (rc || out->refused)
		return rc;
	rc = compute(b, a, &c, out, e);
	if (rc || out->refused)
		return rc;
	for (uint32_t i = 0; i < n; i++)
		part_of(out, BILL_DEVICE, i);
	add_weights(out, b);
	add_caches(out, b, a);
	add_compute(out, b, a, &c);
	return 0;
}

int biller_units(struct biller *b, const struct ask *a, const struct target *target,
		 struct bill_units *out, struct err *e)
{
	struct unit_sums sums;
	int rc = a->n_overrides ? overrides_resolve(b->forced, &b->shape, a, e) : 0;

	*out = (struct bill_units) { 0 };
	if (rc)
		return rc;
	units_sum(&b->shape, a, target, a->n_overrides ? b->forced : NULL, &sums);
	memcpy(out->before, sums.before, sizeof(out->before));
	out->once = sums.once;
	return 0;
}
