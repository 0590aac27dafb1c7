/* SPDX-License-Identifier: MIT */
/* From a model, devices and wishes to a plan: bills say what it costs, fill.c and search.c choose. */
#include "vram-planner/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/backend.h"
#include "vram-planner/margin.h"
#include "vram-planner/speed.h"
#include "vram-planner/task.h"

const char *const plan_engine = "llama.cpp v0.5.0";

static void fill_head(struct plan *p, const struct task *q)
{
	*p = (struct plan) { .accept = q->wish->accept, .verdict = VERDICT_UNKNOWN };
	text_copy(p->model_path, sizeof(p->model_path), model_path(q->model));
	p->model_size_bytes = model_size_bytes(q->model);
	text_copy(p->model_name, sizeof(p->model_name), model_name(q->model));
	text_copy(p->arch, sizeof(p->arch), model_arch(q->model));
	text_copy(p->engine, sizeof(p->engine), plan_engine);
}

static void fill_flags(struct plan *p, const struct ask *a)
{
	struct plan_flags *f = &p->flags;

	f->n_ctx = a->n_ctx;
	f->n_batch = a->n_batch;
	f->n_ubatch = a->n_ubatch;
	f->n_seq_max = a->n_seq;
	f->n_outputs_max = a->n_outputs == a->n_seq ? 0 : a->n_outputs;
	f->n_cpu_moe = a->n_cpu_moe;
	f->flash_attn = a->flash_attn;
	f->kv_unified = a->unified;
	f->no_kv_offload = a->cache_on_host;
	f->swa_full = a->swa_full;
	f->embeddings = a->embeddings;
	f->load_mtp = a->mtp;
	text_copy(f->type_k, sizeof(f->type_k), quant_name(a->type_k));
	text_copy(f->type_v, sizeof(f->type_v), quant_name(a->type_v));
	p->n_tensors = a->n_overrides;
	memcpy(p->tensors, a->overrides, sizeof(p->tensors));
}

/* --- the devices --- */

static void add_seat(struct search *s, const struct seat *seat)
{
	uint32_t at = s->n_seats++;

	for (; at > 0 && s->seats[at - 1].free_bytes < seat->free_bytes; at--)
		s->seats[at] = s->seats[at - 1];
	s->seats[at] = *seat;
}

static uint64_t size_of(const struct place *p)
{
	const struct fact *f = fact_known(&p->total_bytes) && p->total_bytes.v > 0 ? &p->total_bytes
										   : &p->free_bytes;

	return (uint64_t)f->v;
}

/* As measured here, or else what the backend takes elsewhere. */
static uint64_t overhead_of(const struct place *p, const struct backend *b)
{
	bool measured = fact_known(&p->overhead_bytes) && p->overhead_bytes.v >= 0;

	return measured ? (uint64_t)p->overhead_bytes.v : b->overhead_bytes;
}

static void read_places(struct task *q)
{
	struct search *s = &q->search;
	uint32_t most = q->wish->split_mode == SPLIT_NONE ? 1 : PLAN_DEVICES_MAX;

	q->unjudged = q->n_places;
	for (uint32_t i = 0; i < q->n_places; i++) {
		const struct place *p = &q->places[i];
		const struct backend *b = backend_find(p->backend);
		struct seat seat = { .place = i, .target = { .backend = b } };

		if (!fact_known(&p->free_bytes) || p->free_bytes.v < 0 || !b) {
			/* A device that shares the host's memory has none of its own to judge. */
			if (p->free_bytes.why != WHY_NOT_APPLICABLE && q->unjudged == q->n_places)
				q->unjudged = i;
			continue;
		}
		if (s->n_seats == PLAN_DEVICES_MAX)
			continue;
		seat.free_bytes = (uint64_t)p->free_bytes.v;
		seat.target.memory_bytes = seat.free_bytes;
		if (fact_known(&p->bandwidth_bytes_s))
			seat.bandwidth = (double)p->bandwidth_bytes_s.v;
		if (fact_known(&p->max_buffer_bytes) && p->max_buffer_bytes.v > 0)
			seat.target.max_buffer_bytes = (uint64_t)p->max_buffer_bytes.v;
		seat.taken_bytes = overhead_of(p, b) +
				   margin_bytes(&q->wish->margin_bytes, size_of(p));
		add_seat(s, &seat);
	}
	if (s->n_seats > most)
		s->n_seats = most;
	s->host_free = q->host->free_bytes;
	s->host_taken = margin_bytes(&q->wish->margin_bytes, 0);
}

/* --- the verdict --- */

static enum verdict verdict_of(const struct task *q)
{
	const struct placing *p = &q->placing;

	if (p->bill.refused)
		return VERDICT_REFUSED;
	/* The bound is shown, but nobody has measured it: whether to trust it is the user's choice. */
	if (p->bill.unverified && !q->wish->accept_unverified)
		return VERDICT_UNKNOWN;
	if (!placing_runs(p))
		return VERDICT_NO;
	if (!bill_spills(&p->bill))
		return VERDICT_FITS;
	return fact_known(&q->search.host_free) ? VERDICT_SPILLS : VERDICT_UNKNOWN;
}

static void fill_device(struct plan_device *d, const struct task *q, uint32_t i)
{
	const struct placing *g = &q->placing;
	const struct place *from = &q->places[q->search.seats[g->seat[i]].place];
	const struct bill_part *part = bill_part(&g->bill, BILL_DEVICE, i);

	*d = (struct plan_device) { .layers = g->bill.units[i], .free_bytes = from->free_bytes };
	d->buffers.overhead_bytes = placing_taken(&q->search, g, i);
	if (part) {
		d->buffers.weights_bytes = part->weights_bytes;
		d->buffers.kv_bytes = part->kv_bytes;
		d->buffers.compute_bytes = part->compute_bytes + part->output_bytes;
	}
	text_copy(d->pci, sizeof(d->pci), from->pci);
	text_copy(d->uuid, sizeof(d->uuid), from->uuid);
	text_copy(d->name, sizeof(d->name), from->name);
	text_copy(d->backend, sizeof(d->backend), from->backend);
	text_copy(d->engine_name, sizeof(d->engine_name), from->engine_name);
	d->left_bytes = d->free_bytes.v - (int64_t)plan_buffers_sum(&d->buffers);
}

static void fill_host(struct plan *p, const struct task *q)
{
	const struct bill *b = &q->placing.bill;
	struct plan_buffers *to = &p->host.buffers;

	p->host.layers = b->n_host;
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->parts[i].kind == BILL_DEVICE)
			continue;
		to->weights_bytes += b->parts[i].weights_bytes;
		to->kv_bytes += b->parts[i].kv_bytes;
		to->compute_bytes += b->parts[i].compute_bytes + b->parts[i].output_bytes;
	}
	to->overhead_bytes = q->search.host_taken;
	p->host.free_bytes = q->search.host_free;
	if (fact_known(&p->host.free_bytes))
		p->host.left_bytes = p->host.free_bytes.v - (int64_t)plan_buffers_sum(to);
}

/* What the engine would say of it: `plan --verify` compares that. */
static void fill_dry(struct plan *p, const struct task *q)
{
	const struct placing *g = &q->placing;
	struct target targets[PLAN_DEVICES_MAX];
	struct ask a = g->ask;
	struct bill dry;

	a.measuring = true;
	for (uint32_t i = 0; i < g->n; i++)
		targets[i] = q->search.seats[g->seat[i]].target;
	if (g->n == 0 || biller_bill(q->search.biller, &a, targets, g->n, &dry, NULL) ||
	    dry.refused)
		return;
	for (uint32_t i = 0; i < dry.n; i++) {
		const struct bill_part *part = &dry.parts[i];
		uint32_t at = part->kind == BILL_DEVICE ? part->device : g->n;

		p->dry_bytes[at] += part->compute_bytes + part->output_bytes;
	}
}

static void fill_placement(struct plan *p, const struct task *q)
{
	const struct placing *g = &q->placing;

	fill_flags(p, &g->ask);
	p->flags.n_gpu_layers = 0;
	p->n_devices = g->n;
	for (uint32_t i = 0; i < g->n; i++) {
		fill_device(&p->devices[i], q, i);
		p->flags.n_gpu_layers += p->devices[i].layers;
	}
	fill_host(p, q);
	fill_dry(p, q);
}

/* --- putting it together --- */

/* Tokens a second of a placing, as they can be told. false: not at all. */
bool task_speed(const struct task *q, const struct placing *p, struct speed *s)
{
	const struct prices none = { 0 };
	struct task timed = *q;
	struct plan plan = { .n_layer = timed.shape->n_layer };

	timed.placing = *p;
	fill_placement(&plan, &timed);
	return speed_of_plan(s, &plan, timed.model, timed.places, timed.n_places, timed.host, 0,
			     &none) &&
	       s->generation.known;
}

/* What nobody can tell excludes nothing. */
static bool fast_enough(void *arg, const struct placing *p)
{
	const struct task *q = arg;
	struct speed s;

	return !task_speed(q, p, &s) || s.generation.low >= q->wish->min_speed;
}

/* Close what is open for the goal; when nothing reaches it, for as much of it as can be. */
static void search_goal(struct task *q)
{
	struct search *s = &q->search;
	struct wish less = *q->wish;

	if (less.min_speed > 0) {
		s->fast_enough = fast_enough;
		s->arg = q;
	}
	if (search_settings(s, &less, &q->pinned, q->shape->n_ctx_train, &q->ask))
		return;
	q->unreached = less.min_ctx || less.min_speed > 0;
	s->fast_enough = NULL;
	if (less.min_ctx) {
		less.min_ctx = 0;
		less.want = WANT_CONTEXT;
	}
	search_settings(s, &less, &q->pinned, q->shape->n_ctx_train, &q->ask);
}

/* Close what is open, place it, judge it. */
static int decide(struct task *q, struct err *e)
{
	const struct wish *w = q->wish;
	int rc = task_ask(q, w, &q->ask, &q->pinned, e);

	if (!rc && w->want != WANT_NONE)
		search_goal(q);
	if (!rc)
		rc = fill_best(&q->search, &q->ask, &q->pinned, &q->placing, e);
	return rc;
}

/* The engine would abort: there is no placement to show. */
static void refuse(struct plan *p, struct task *q)
{
	fill_flags(p, &q->placing.ask);
	words_overrides(p, q->wish);
	p->flags.n_gpu_layers = 0;
	p->n_tensors = 0;
	text_copy(p->decided_by, sizeof(p->decided_by), q->placing.bill.refused);
	nearest_find(p, q);
}

static int answer(struct plan *p, struct task *q, struct err *e)
{
	int rc = decide(q, e);

	if (rc)
		return rc;
	p->unverified = q->placing.bill.unverified;
	p->verdict = verdict_of(q);
	if (p->verdict == VERDICT_REFUSED) {
		refuse(p, q);
		return 0;
	}
	fill_placement(p, q);
	words_overrides(p, q->wish);
	if (p->verdict == VERDICT_UNKNOWN) {
		words_unknown(p, q);
	} else if (q->unreached) {
		p->verdict = VERDICT_NO;
		words_unreached(p, q);
	} else {
		words_why(p, q);
	}
	words_assumptions(p, q);
	if (q->unjudged < q->n_places)
		words_doubt(p, q);
	if (plan_exit(p) != EXIT_YES && p->verdict != VERDICT_UNKNOWN)
		nearest_find(p, q);
	return 0;
}

/* Outside the verified rules: an answer of its own, not an error. */
static int unknown(struct plan *p, const struct err *why)
{
	p->verdict = VERDICT_UNKNOWN;
	text_copy(p->decided_by, sizeof(p->decided_by), why->text);
	return 0;
}

static int ask_planner(struct plan *p, struct task *q, struct err *e)
{
	q->shape = biller_shape(q->search.biller);
	q->search.n_units = q->shape->n_layer + 1;
	p->n_layer = q->shape->n_layer;
	if (q->wish->split_mode > SPLIT_NONE)
		return err_set(e, -ENOTSUP,
			       "--split-mode %s has no verified rules; give layer or none",
			       split_modes[q->wish->split_mode]);
	read_places(q);
	return answer(p, q, e);
}

int plan_decide(struct plan *p, const struct model *m, const struct place *places,
		uint32_t n_places, const struct host_place *host, const struct wish *w,
		struct err *e)
{
	struct task q = {
		.model = m, .places = places, .n_places = n_places, .host = host, .wish = w
	};
	struct err why = { 0 };

	fill_head(p, &q);
	int rc = biller_open(&q.search.biller, m, engine_bundled(), &why);

	if (!rc)
		rc = ask_planner(p, &q, &why);
	biller_close(q.search.biller);
	text_clean(why.text); /* it may quote the file */
	if (rc == -ENOTSUP)
		return unknown(p, &why);
	return rc ? err_set(e, rc, "%s", why.text) : 0;
}

int plan_make(struct plan *p, const struct model *m, const struct place *places, uint32_t n_places,
	      const struct host_place *host, const struct wish *w, struct err *e)
{
	int rc = plan_decide(p, m, places, n_places, host, w, e);

	model_header_sha256(m, p->header_sha256);
	return rc;
}
