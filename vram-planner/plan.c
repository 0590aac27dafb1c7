/* SPDX-License-Identifier: MIT */
/* From a model, devices and wishes to a plan: the rules are in cost.c, the choice in search.c. */
#include "vram-planner/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/cost_priv.h"
#include "vram-planner/search_priv.h"

#define MIB            (UINT64_C(1) << 20)
#define MARGIN_LEAST   (256 * MIB) /* and 2 % of the device: what other programs may take meanwhile */
#define MARGIN_PERCENT 2
#define CTX_STEP       256

const char *const plan_engine = "llama.cpp v0.5.0";

/* One question: everything that was given, and what is read from it once. */
struct question {
	const struct model *model;
	const struct place *places;
	uint32_t n_places;
	const struct host_place *host;
	const struct wish *wish;
	struct oldshape shape;
	struct ask ask;       /* as wished, settled */
	uint32_t unjudged;    /* a place without known free memory; n_places: none */
	struct search search; /* for the ask at hand */
	struct placing placing;
};

static void fill_head(struct plan *p, const struct question *q)
{
	*p = (struct plan) { .accept = q->wish->accept, .verdict = VERDICT_UNKNOWN };
	text_copy(p->model_path, sizeof(p->model_path), model_path(q->model));
	p->model_size_bytes = model_size_bytes(q->model);
	text_copy(p->model_name, sizeof(p->model_name), model_name(q->model));
	text_copy(p->arch, sizeof(p->arch), model_arch(q->model));
	text_copy(p->engine, sizeof(p->engine), plan_engine);
}

/* --- the question --- */

static int cache_type(const char *name, uint32_t *type, struct err *e)
{
	for (const char *const *known = cache_types; *known; known++) {
		if (strcmp(name, *known) == 0 && quant_from_name(name, type))
			return 0;
	}
	return err_set(
		e, -EINVAL,
		"'%s' is no cache type; give f16, q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl, bf16 or f32",
		name);
}

static int read_wish(struct question *q, struct err *e)
{
	const struct wish *w = q->wish;
	uint32_t trained = q->shape.n_ctx_train;
	struct ask *a = &q->ask;

	ask_default(a);
	a->n_ctx = w->n_ctx ? w->n_ctx : trained < WISH_CTX_DEFAULT ? trained : WISH_CTX_DEFAULT;
	a->n_ubatch = w->n_ubatch ? w->n_ubatch : ASK_UBATCH_DEFAULT;
	if (a->n_batch < a->n_ubatch)
		a->n_batch = a->n_ubatch;
	a->n_seq = w->n_seq_max ? w->n_seq_max : 1;
	a->n_outputs = a->n_seq;
	a->unified = a->n_seq > 1; /* all sequences share the context: -c means what it says */
	int rc = cache_type(w->type_k[0] ? w->type_k : "f16", &a->type_k, e);

	if (!rc)
		rc = cache_type(w->type_v[0] ? w->type_v : "f16", &a->type_v, e);
	return rc ? rc : ask_settle(a, trained, true, e);
}

static void fill_flags(struct plan *p, const struct ask *a)
{
	struct plan_flags *f = &p->flags;

	f->n_ctx = a->n_ctx;
	f->n_ubatch = a->n_ubatch;
	f->n_batch = a->n_batch;
	f->n_seq_max = a->n_seq;
	f->flash_attn = a->flash_attn;
	f->kv_unified = a->unified;
	text_copy(f->type_k, sizeof(f->type_k), quant_name(a->type_k));
	text_copy(f->type_v, sizeof(f->type_v), quant_name(a->type_v));
}

/* --- the devices --- */

static uint64_t margin_of(const struct wish *w, const struct fact *total, uint64_t free_bytes)
{
	uint64_t size = fact_known(total) && total->v > 0 ? (uint64_t)total->v : free_bytes;

	if (fact_known(&w->margin_bytes))
		return w->margin_bytes.v > 0 ? (uint64_t)w->margin_bytes.v : 0;
	size = size / 100 * MARGIN_PERCENT;
	return size > MARGIN_LEAST ? size : MARGIN_LEAST;
}

static void add_slot(struct search *s, const struct seat *slot)
{
	uint32_t at = s->n_slots++;

	for (; at > 0 && s->slots[at - 1].free_bytes < slot->free_bytes; at--)
		s->slots[at] = s->slots[at - 1];
	s->slots[at] = *slot;
}

static void read_places(struct question *q)
{
	struct search *s = &q->search;

	q->unjudged = q->n_places;
	s->n_slots = 0;
	for (uint32_t i = 0; i < q->n_places; i++) {
		const struct place *p = &q->places[i];
		const struct backend *b = backend_find(p->backend);
		struct seat slot = { .place = i, .backend = b };

		if (!fact_known(&p->free_bytes) || p->free_bytes.v < 0 || !b) {
			/* A device that shares the host's memory has none of its own to judge. */
			if (p->free_bytes.why != WHY_NOT_APPLICABLE && q->unjudged == q->n_places)
				q->unjudged = i;
			continue;
		}
		if (s->n_slots == PLAN_DEVICES_MAX)
			continue;
		slot.free_bytes = (uint64_t)p->free_bytes.v;
		slot.margin_bytes = margin_of(q->wish, &p->total_bytes, slot.free_bytes);
		add_slot(s, &slot);
	}
	s->host_free = q->host->free_bytes;
	s->host_margin_bytes = margin_of(q->wish, &(struct fact) { 0 }, 0);
}

static int prepare(struct question *q, const struct ask *a, struct err *e)
{
	const struct backend *backends[PLAN_DEVICES_MAX];

	for (uint32_t i = 0; i < q->search.n_slots; i++)
		backends[i] = q->search.slots[i].backend;
	return costs_prepare(&q->search.costs, q->model, &q->shape, a, backends, q->search.n_slots,
			     e);
}

/* --- the verdict --- */

static enum verdict verdict_of(const struct question *q)
{
	const struct placing *p = &q->placing;

	if (!p->devices_hold || !p->host_holds)
		return VERDICT_NO;
	if (p->n_host == 0)
		return VERDICT_FITS;
	return fact_known(&q->search.host_free) ? VERDICT_SPILLS : VERDICT_UNKNOWN;
}

static void fill_placement(struct plan *p, const struct question *q)
{
	const struct placing *g = &q->placing;

	p->n_layer = q->shape.n_layer;
	p->n_devices = g->n;
	for (uint32_t i = 0; i < g->n; i++) {
		const struct place *from = &q->places[q->search.slots[g->slot[i]].place];
		struct plan_device *d = &p->devices[i];

		*d = (struct plan_device) { .layers = g->units[i],
					    .buffers = g->buffers[i],
					    .free_bytes = from->free_bytes };
		text_copy(d->pci, sizeof(d->pci), from->pci);
		text_copy(d->uuid, sizeof(d->uuid), from->uuid);
		text_copy(d->name, sizeof(d->name), from->name);
		text_copy(d->backend, sizeof(d->backend), from->backend);
		text_copy(d->engine_name, sizeof(d->engine_name), from->engine_name);
		d->left_bytes = d->free_bytes.v - (int64_t)plan_buffers_sum(&d->buffers);
		p->flags.n_gpu_layers += g->units[i];
	}
	p->host.layers = g->n_host;
	p->host.buffers = g->host;
	p->host.free_bytes = q->search.host_free;
	if (fact_known(&p->host.free_bytes))
		p->host.left_bytes = p->host.free_bytes.v - (int64_t)plan_buffers_sum(&g->host);
}

static const char *title(const char *pci, const char *name, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	text_add(&t, "%s%s%.40s", pci, pci[0] && name[0] ? " " : "", name);
	return buf;
}

/* The number that decided, for each verdict. */
static void say_why(struct plan *p, const struct question *q)
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
	} else if (q->search.n_slots == 0) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "no GPU that can be judged; needs %s on the host, free %s",
			 text_size(need, plan_buffers_sum(&p->host.buffers)),
			 text_size(has, (uint64_t)p->host.free_bytes.v));
	} else {
		const struct seat *s = &q->search.slots[0];
		const struct place *most = &q->places[s->place];

		snprintf(p->decided_by, sizeof(p->decided_by),
			 "all of it needs %s, free %s on %s%s",
			 text_size(need, search_full_need(&q->search)),
			 text_size(has, s->free_bytes),
			 title(most->pci, most->name, name, sizeof(name)),
			 q->search.n_slots > 1 ? " (and others)" : "");
	}
}

/* A GPU that could change a refusal, but whose memory nobody could tell, makes the answer unknown. */
static void doubt(struct plan *p, const struct question *q)
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

/* --- the nearest yes --- */

/* Does everything fit on devices under this other ask? */
static bool would_fit(struct question *q, struct ask a)
{
	if (ask_settle(&a, q->shape.n_ctx_train, true, NULL) || oldrefusal_find(&q->shape, &a) ||
	    prepare(q, &a, NULL))
		return false;
	return search_fits(&q->search, &q->placing) && q->placing.host_holds;
}

static uint32_t largest_context(struct question *q)
{
	uint32_t low = 0, high = q->ask.n_ctx / CTX_STEP; /* in steps; 0: none fits */

	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;
		struct ask a = q->ask;

		a.n_ctx = mid * CTX_STEP;
		if (would_fit(q, a))
			low = mid;
		else
			high = mid - 1;
	}
	return low * CTX_STEP;
}

static void find_nearest(struct plan *p, struct question *q)
{
	bool by_host = p->verdict == VERDICT_SPILLS;
	const char *host = p->n_devices ? "--accept spill" : "--accept cpu";
	struct ask q8 = q->ask;
	struct text t;
	uint32_t n_ctx;

	text_init(&t, p->nearest_yes, sizeof(p->nearest_yes));
	if (q->search.n_slots) {
		quant_from_name("q8_0", &q8.type_k);
		q8.type_v = q8.type_k;
		if (!quant_is_blocked(q->ask.type_k) && would_fit(q, q8))
			text_add(&t, "--cache-type-k q8_0 --cache-type-v q8_0");
		else if ((n_ctx = largest_context(q)) > 0)
			text_add(&t, "-c %" PRIu32, n_ctx);
	}
	if (by_host)
		text_add(&t, "%s%s", t.len ? " or " : "", host);
}

/* --- putting it together --- */

static void note_assumptions(struct plan *p, const struct question *q)
{
	char size[TEXT_SIZE_MAX], name[96];

	plan_assume(p, "compute buffers are predicted; weights and cache are exact");
	if (p->flags.n_ctx > (q->shape.n_ctx_train + CTX_STEP - 1) / CTX_STEP * CTX_STEP)
		plan_assume(
			p, "the context is beyond the %" PRIu32 " tokens the model was trained for",
			q->shape.n_ctx_train);
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
	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];

		title(d->pci, d->name, name, sizeof(name));
		if (d->free_bytes.src == SRC_CACHE || d->free_bytes.src == SRC_GUESS)
			plan_assume(p, "%s sleeps: all its memory is counted as free", name);
		if (strcmp(d->backend, "cuda") == 0 &&
		    strcmp(p->flags.type_k, p->flags.type_v) != 0)
			plan_assume(p, "%s computes attention on the host for caches of two types",
				    name);
	}
}

static int by_hand(struct plan *p, struct question *q, struct err *e)
{
	const struct wish *w = q->wish;
	uint64_t sum = 0;
	char list[48];
	struct text t;

	text_init(&t, list, sizeof(list));
	if (w->n_split > q->n_places)
		return err_set(e, -EINVAL, "--split names %" PRIu32 " devices; there are %" PRIu32,
			       w->n_split, q->n_places);
	for (uint32_t i = 0; i < w->n_split; i++) {
		sum += w->split[i];
		text_add(&t, "%s%" PRIu32, i ? "," : "", w->split[i]);
		if (w->split[i] &&
		    (!fact_known(&q->places[i].free_bytes) || !backend_find(q->places[i].backend)))
			return err_set(
				e, -ENODATA,
				"the free memory of %s is unknown (%s); it cannot be planned on",
				q->places[i].pci, why_name(q->places[i].free_bytes.why));
	}
	if (sum > (uint64_t)q->shape.n_layer + 1)
		return err_set(e, -EINVAL,
			       "--split adds up to %" PRIu64 "; the model has %" PRIu32
			       " layers and the output, %" PRIu32 " together",
			       sum, q->shape.n_layer, q->shape.n_layer + 1);
	search_by_hand(&q->search, w->split, w->n_split, &q->placing);
	plan_override(p, "--split");
	snprintf(p->overrides[p->n_overrides - 1], sizeof(p->overrides[0]), "--split %s", list);
	return 0;
}

static int answer(struct plan *p, struct question *q, struct err *e)
{
	int rc = prepare(q, &q->ask, e);

	if (rc)
		return rc;
	if (q->wish->n_split) {
		rc = by_hand(p, q, e);
		if (rc)
			return rc;
	} else {
		search_best(&q->search, &q->placing);
	}
	p->verdict = verdict_of(q);
	fill_placement(p, q);
	if (p->verdict == VERDICT_UNKNOWN)
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "the host's free memory is unknown (%s)",
			 why_name(p->host.free_bytes.why));
	else
		say_why(p, q);
	note_assumptions(p, q);
	if (q->unjudged < q->n_places)
		doubt(p, q);
	if (plan_exit(p) != EXIT_YES && p->verdict != VERDICT_UNKNOWN && !q->wish->n_split)
		find_nearest(p, q);
	return 0;
}

/* Outside the verified rules: an answer of its own, not an error. */
static int unknown(struct plan *p, const struct err *why)
{
	p->verdict = VERDICT_UNKNOWN;
	text_copy(p->decided_by, sizeof(p->decided_by), why->text);
	return 0;
}

int plan_decide(struct plan *p, const struct model *m, const struct place *places,
		uint32_t n_places, const struct host_place *host, const struct wish *w,
		struct err *e)
{
	static const struct question none;
	struct question q = none;
	struct err why = { 0 };

	q.model = m;
	q.places = places;
	q.n_places = n_places;
	q.host = host;
	q.wish = w;
	fill_head(p, &q);
	int rc = oldshape_read(&q.shape, m, &why);

	text_clean(why.text); /* it may quote the file */
	if (rc == -ENOTSUP)
		return unknown(p, &why);
	if (rc)
		return err_set(e, rc, "%s", why.text);
	p->n_layer = q.shape.n_layer;
	rc = read_wish(&q, e);
	if (rc)
		return rc;
	fill_flags(p, &q.ask);
	const char *refusal = oldrefusal_find(&q.shape, &q.ask);

	if (refusal) {
		p->verdict = VERDICT_REFUSED;
		text_copy(p->decided_by, sizeof(p->decided_by), refusal);
		return 0;
	}
	read_places(&q);
	rc = answer(p, &q, &why);
	text_clean(why.text);
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
