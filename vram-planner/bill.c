/* SPDX-License-Identifier: MIT */
/* From a settled configuration to buffers: who gets which units, and what that costs. */
#include "vram-planner/bill.h"

#include <stdlib.h>

#include "vram-planner/cost_priv.h"

struct biller {
	const struct model *model;
	struct shape whole;
	struct oldshape shape;
	struct costs costs;
};

int biller_open(struct biller **out, const struct model *m, const struct engine *engine,
		struct err *e)
{
	struct biller *b = calloc(1, sizeof(*b));

	*out = NULL;
	if (!b)
		return err_set(e, -ENOMEM, "no memory");
	(void)engine;
	b->model = m;
	int rc = oldshape_read(&b->shape, m, e);

	if (!rc)
		rc = shape_read(&b->whole, m, e);
	if (rc) {
		free(b);
		return rc;
	}
	*out = b;
	return 0;
}

void biller_close(struct biller *b)
{
	if (b)
		shape_fini(&b->whole);
	free(b);
}

const struct shape *biller_shape(const struct biller *b)
{
	return &b->whole;
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

/* The share of each device; without one by hand, its free memory. */
static void shares(const struct ask *a, const struct target *targets, uint32_t n, float *split)
{
	float sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += a->split[i];
	for (uint32_t i = 0; i < n; i++)
		split[i] = sum > 0 ? a->split[i] : (float)targets[i].memory_bytes;
	for (uint32_t i = 0; i < n && sum <= 0; i++)
		sum += split[i];
	if (sum <= 0 && n)
		split[0] = 1;
}

static int prepare(struct biller *b, const struct ask *a, const struct target *targets, uint32_t n,
		   struct err *e)
{
	const struct backend *backends[PLAN_DEVICES_MAX];

	if (ask_overrides(a) || a->mtp || a->embeddings || a->extra_buffers)
		return err_set(e, -ENOTSUP,
			       "experts on the host, prediction layers, embeddings and repacked "
			       "weights are not planned yet");
	for (uint32_t i = 0; i < n; i++)
		backends[i] = targets[i].backend;
	return costs_prepare(&b->costs, b->model, &b->shape, a, backends, n, e);
}

static void add(struct bill *b, enum bill_kind kind, uint32_t device,
		const struct plan_buffers *costs)
{
	b->parts[b->n++] = (struct bill_part) {
		kind, device, costs->weights_bytes, costs->kv_bytes, costs->compute_bytes, 0
	};
}

static void fill(struct bill *out, const struct biller *b, const struct target *targets, uint32_t n)
{
	struct berthing berths[PLAN_DEVICES_MAX] = { 0 };
	struct plan_buffers costs;
	uint32_t used = 0, first = out->n_host;

	for (uint32_t i = 0; i < n; i++) {
		berths[i] = (struct berthing) { targets[i].backend, first, out->units[i] };
		first += out->units[i];
		used += out->units[i] > 0;
	}
	bool pipeline = costs_pipeline(&b->costs, berths, used, out->n_host);

	for (uint32_t i = 0; i < n; i++) {
		costs_device(&b->costs, &berths[i], i == 0, pipeline, out->n_host, &costs);
		add(out, BILL_DEVICE, i, &costs);
	}
	costs_host(&b->costs, berths, used, out->n_host, &costs);
	add(out, BILL_CPU, 0, &costs);
}

int biller_units(struct biller *b, const struct ask *a, const struct target *target,
		 struct bill_units *out, struct err *e)
{
	int rc = prepare(b, a, target, 1, e);

	*out = (struct bill_units) { 0 };
	if (rc)
		return rc;
	const struct tally *y = &b->costs.tallies[b->costs.n_tallies - 1];

	for (uint32_t i = 0; i < b->shape.n_layer + 2; i++) {
		out->before[i] = y->weights[i] + (a->cache_on_host ? 0 : y->kv[i]);
		if (i == b->shape.n_layer + 1)
			out->before[i] += y->tied;
	}
	out->once = y->every;
	return 0;
}

int biller_bill(struct biller *b, struct ask *a, const struct target *targets, uint32_t n,
		struct bill *out, struct err *e)
{
	float split[PLAN_DEVICES_MAX] = { 0 };
	uint32_t n_layer = b->shape.n_layer, n_gpu = n ? a->n_gpu_layers : 0;
	int rc = ask_settle(a, b->shape.n_ctx_train, true, e);

	*out = (struct bill) { 0 };
	if (rc)
		return rc;
	out->refused = oldrefusal_find(&b->shape, a);
	if (out->refused)
		return 0;
	rc = prepare(b, a, targets, n, e);
	if (rc)
		return rc;
	shares(a, targets, n, split);
	split_units(n_layer, n_gpu, split, n, out->units);
	out->n_host = n_layer + 1;
	for (uint32_t i = 0; i < n; i++)
		out->n_host -= out->units[i];
	out->host_weights = out->n_host > 0;
	fill(out, b, targets, n);
	return 0;
}
