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

#define CTX_STEP 256

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
	if (!p->bill.host_weights)
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
}

static const char *title(const char *pci, const char *name, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	text_add(&t, "%s%s%.40s", pci, pci[0] && name[0] ? " " : "", name);
	return buf;
}

/* What all of it would need on the device with the most free memory alone. */
static uint64_t full_need(const struct task *q)
{
	const struct seat *seat = &q->search.seats[0];
	struct ask a = q->ask;
	struct bill b;

	a.n_gpu_layers = ASK_ALL_LAYERS;
	a.n_overrides = 0;
	memset(a.split, 0, sizeof(a.split));
	a.split[0] = 1;
	if (biller_bill(q->search.biller, &a, &seat->target, 1, &b, NULL))
		return 0;
	return bill_device_bytes(&b, 0) + seat->taken_bytes + bill_doubt_bytes(&b, 0);
}

/* The number that decided, for each verdict. */
static void say_why(struct plan *p, const struct task *q)
{
	char need[TEXT_SIZE_MAX], has[TEXT_SIZE_MAX], name[96];
	uint32_t tight = 0;

	for (uint32_t i = 1; i < p->n_devices; i++) {
		if (p->devices[i].left_bytes < p->devices[tight].left_bytes)
			tight = i;
	}
	const struct plan_device *d = &p->devices[tight];
	bool device_short = p->n_devices && d->left_bytes < 0;

	if (p->verdict == VERDICT_FITS || device_short) {
		snprintf(p->decided_by, sizeof(p->decided_by), "needs %s on %s, free %s",
			 text_size(need, plan_buffers_sum(&d->buffers)),
			 title(d->pci, d->name, name, sizeof(name)),
			 text_size(has, (uint64_t)d->free_bytes.v));
	} else if (p->verdict == VERDICT_NO) {
		snprintf(p->decided_by, sizeof(p->decided_by), "needs %s on the host, free %s",
			 text_size(need, plan_buffers_sum(&p->host.buffers)),
			 text_size(has, (uint64_t)p->host.free_bytes.v));
	} else if (q->placing.n && !p->host.layers && (q->pinned.experts || q->wish->n_tensors)) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "%s are kept on the host by hand, %s",
			 q->pinned.experts ? "experts" : "tensors",
			 text_size(need, p->host.buffers.weights_bytes));
	} else if (q->pinned.gpu_layers && q->ask.n_gpu_layers < q->search.n_units) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "--gpu-layers %" PRIu32 " leaves %" PRIu32 " on the host",
			 p->flags.n_gpu_layers, p->host.layers);
	} else if (q->search.n_seats == 0) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "no GPU that can be judged; needs %s on the host, free %s",
			 text_size(need, plan_buffers_sum(&p->host.buffers)),
			 text_size(has, (uint64_t)p->host.free_bytes.v));
	} else {
		const struct seat *s = &q->search.seats[0];
		const struct place *most = &q->places[s->place];

		snprintf(p->decided_by, sizeof(p->decided_by),
			 "all of it needs %s, free %s on %s%s", text_size(need, full_need(q)),
			 text_size(has, s->free_bytes),
			 title(most->pci, most->name, name, sizeof(name)),
			 q->search.n_seats > 1 ? " (and others)" : "");
	}
}

/* A GPU that could change a refusal, but whose memory nobody could tell, makes the answer unknown. */
static void doubt(struct plan *p, const struct task *q)
{
	const struct place *u = &q->places[q->unjudged];
	char name[96], why[240];
	bool known = backend_find(u->backend) != NULL;

	title(u->pci, u->name, name, sizeof(name));
	if (known)
		snprintf(why, sizeof(why), "the free memory of %s is unknown (%s)%s", name,
			 why_name(u->free_bytes.why),
			 u->free_bytes.why == WHY_ASLEEP ? "; --wake reads it" : "");
	else
		snprintf(why, sizeof(why), "the rules of %s's backend '%.15s' are unknown", name,
			 u->backend);
	plan_assume(p, "%.140s: not used", why);
	if (plan_exit(p) == EXIT_NO) {
		p->verdict = VERDICT_UNKNOWN;
		text_copy(p->decided_by, sizeof(p->decided_by), why);
	}
}

/* Tokens a second of a placing, as they can be told. false: not at all. */
static bool speed_of_placing(const struct task *q, const struct placing *p, struct speed *s)
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

/* --- putting it together --- */

static void note_assumptions(struct plan *p, const struct task *q)
{
	char size[TEXT_SIZE_MAX], name[96];

	if (q->placing.bill.unverified)
		plan_assume(
			p,
			"no rules for the architecture '%s' are verified: the numbers are an upper "
			"bound, every layer with a full cache",
			p->arch);
	else
		plan_assume(p, "compute buffers are predicted; weights and cache are exact");
	if (p->flags.n_ctx > (q->shape->n_ctx_train + CTX_STEP - 1) / CTX_STEP * CTX_STEP)
		plan_assume(
			p, "the context is beyond the %" PRIu32 " tokens the model was trained for",
			q->shape->n_ctx_train);
	if (model_size_bytes(q->model) < model_expected_bytes(q->model))
		plan_assume(
			p,
			"the file holds %s of data less than its header promises: planned, not launchable",
			text_size(size,
				  model_expected_bytes(q->model) - model_size_bytes(q->model)));
	for (uint32_t i = 0; model_note(q->model, i); i++)
		plan_assume(p, "%s", model_note(q->model, i));
	if (p->host.layers)
		plan_assume(
			p,
			"the CPU may hold its layers repacked, beside the mapped file, whose pages can "
			"be dropped again");
	if (!fact_known(&p->host.free_bytes))
		plan_assume(p, "the host's free memory is unknown (%s): not judged",
			    why_name(p->host.free_bytes.why));
	if (q->wish->min_speed > 0 && !speed_of_placing(q, &q->placing, &(struct speed) { 0 }))
		plan_assume(p, "whether %g tokens/s are reached cannot be told",
			    q->wish->min_speed);
	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];

		title(d->pci, d->name, name, sizeof(name));
		if (d->free_bytes.src == SRC_CACHE || d->free_bytes.src == SRC_GUESS)
			plan_assume(p, "%s sleeps: all its memory is counted as free", name);
		if (strcmp(d->backend, "cuda") == 0 && q->shape->memory != MEMORY_RECURRENT &&
		    q->shape->memory != MEMORY_NONE &&
		    strcmp(p->flags.type_k, p->flags.type_v) != 0)
			plan_assume(p, "%s computes attention on the host for caches of two types",
				    name);
	}
}

static void note_overrides(struct plan *p, const struct wish *w)
{
	char line[64];
	struct text t;

	text_init(&t, line, sizeof(line));
	for (uint32_t i = 0; i < w->n_split; i++)
		text_add(&t, "%s%" PRIu32, i ? "," : "--split ", w->split[i]);
	for (uint32_t i = 0; i < w->n_shares; i++)
		text_add(&t, "%s%g", i ? "," : "--tensor-split ", (double)w->shares[i]);
	if (t.len)
		plan_override(p, line);
	if (w->has_gpu_layers) {
		text_init(&t, line, sizeof(line));
		text_add(&t, "--gpu-layers %" PRId32, (int32_t)w->n_gpu_layers);
		plan_override(p, line);
	}
	if (w->n_cpu_moe) {
		text_init(&t, line, sizeof(line));
		text_add(&t, "--n-cpu-moe %" PRIu32, p->flags.n_cpu_moe);
		plan_override(p, line);
	}
	for (uint32_t i = 0; i < w->n_tensors; i++) {
		text_init(&t, line, sizeof(line));
		text_add(&t, "--override-tensor %.20s=%.20s", w->tensors[i].pattern,
			 w->tensors[i].where);
		plan_override(p, line);
	}
}

/* What nobody can tell excludes nothing. */
static bool fast_enough(void *arg, const struct placing *p)
{
	const struct task *q = arg;
	struct speed s;

	return !speed_of_placing(q, p, &s) || s.generation.low >= q->wish->min_speed;
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

/* What was wished for, and what the plan has instead. */
static void say_unreached(struct plan *p, const struct task *q)
{
	const struct wish *w = q->wish;
	struct text t;

	text_init(&t, p->decided_by, sizeof(p->decided_by));
	text_add(&t, "nothing");
	if (w->accept != ACCEPT_CPU)
		text_add(&t, " within --accept %s", accept_name(w->accept));
	text_add(&t, " reaches");
	if (w->min_ctx)
		text_add(&t, " %" PRIu32 " tokens of context", w->min_ctx);
	if (w->min_speed > 0)
		text_add(&t, "%s %g tokens/s", w->min_ctx ? " and" : "", w->min_speed);
	text_add(&t, "; the plan below has %" PRIu32 " tokens of context", p->flags.n_ctx);
}

/* The engine would abort: there is no placement to show. */
static void refuse(struct plan *p, struct task *q)
{
	fill_flags(p, &q->placing.ask);
	note_overrides(p, q->wish);
	p->flags.n_gpu_layers = 0;
	p->n_tensors = 0;
	text_copy(p->decided_by, sizeof(p->decided_by), q->placing.bill.refused);
	nearest_find(p, q);
}

/* Why nobody can tell. */
static void say_unknown(struct plan *p, const struct task *q)
{
	if (!q->placing.bill.unverified) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "the host's free memory is unknown (%s)",
			 why_name(p->host.free_bytes.why));
		return;
	}
	snprintf(p->decided_by, sizeof(p->decided_by),
		 "berth has no verified rules for the architecture '%s'; an upper bound %s",
		 p->arch,
		 !placing_runs(&q->placing)  ? "does not fit"
		 : placing_fits(&q->placing) ? "fits"
					     : "spills");
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
	note_overrides(p, q->wish);
	if (p->verdict == VERDICT_UNKNOWN) {
		say_unknown(p, q);
	} else if (q->unreached) {
		p->verdict = VERDICT_NO;
		say_unreached(p, q);
	} else {
		say_why(p, q);
	}
	note_assumptions(p, q);
	if (q->unjudged < q->n_places)
		doubt(p, q);
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
	int rc = biller_open(&q.search.biller, m, engine_find("0.5.0"), &why);

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
