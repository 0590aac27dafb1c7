/* SPDX-License-Identifier: MIT */
#include "vram-planner/extras.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/backend.h"
#include "vram-planner/clip.h"
#include "vram-planner/placement.h"

/* --- where --- */

static uint64_t free_of(const struct place *p)
{
	return fact_known(&p->free_bytes) && p->free_bytes.v > 0 && backend_find(p->backend)
		       ? (uint64_t)p->free_bytes.v
		       : 0;
}

/* The place with the most free memory; d->n when there is none. */
static uint32_t best_place(const struct devices *d)
{
	uint32_t best = d->n;

	for (uint32_t i = 0; i < d->n; i++) {
		if (free_of(&d->places[i]) &&
		    (best == d->n || free_of(&d->places[i]) > free_of(&d->places[best])))
			best = i;
	}
	return best;
}

static const struct backend *backend_at(const struct devices *d, uint32_t place)
{
	return backend_find(place < d->n ? d->places[place].backend : "cpu");
}

static void take(struct fact *f, uint64_t bytes)
{
	if (fact_known(f))
		f->v = bytes < (uint64_t)f->v ? f->v - (int64_t)bytes : 0;
}

/* --- what they are --- */

static uint64_t placed(const struct model *m, const struct backend *b)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < model_n_tensors(m); i++) {
		const struct tensor *t = model_tensor(m, i);

		sum += placed_bytes(b, t->type, t->ne[0], t->bytes);
	}
	return sum;
}

static int add_mmproj(struct extra *x, const struct model *m, const struct model *main,
		      const struct devices *d, struct err *e)
{
	struct clip_bytes c;
	uint64_t gives, takes;

	if (!clip_is(m))
		return err_set(e, -EBADMSG, "is no image encoder: its architecture is %s, not clip",
			       model_arch(m));
	int rc = clip_bytes(&c, m, backend_at(d, x->place), true, e);

	if (rc)
		return rc;
	x->weights_bytes = c.weights;
	x->compute_bytes = c.compute;
	x->host_bytes = c.host;
	text_copy(x->note, sizeof(x->note), c.note);
	if (model_u64(m, "clip.vision.projection_dim", &gives) &&
	    model_u64(main, "embedding_length", &takes) && gives != takes && !x->note[0])
		snprintf(x->note, sizeof(x->note),
			 "it makes vectors of %" PRIu64 ", the model takes %" PRIu64
			 ": do they belong together?",
			 gives, takes);
	return 0;
}

static int add_lora(struct extra *x, const struct model *m, const struct model *main,
		    const struct devices *d, struct err *e)
{
	char type[32] = "", kind[32] = "";

	(void)d;
	model_text(m, "general.type", type, sizeof(type));
	model_text(m, "adapter.type", kind, sizeof(kind));
	if (strcmp(type, "adapter") != 0 || strcmp(kind, "lora") != 0)
		return err_set(e, -EBADMSG, "is no LoRA adapter");
	if (strcmp(model_arch(m), model_arch(main)) != 0)
		return err_set(e, -EBADMSG, "is an adapter for %s; the model is %s", model_arch(m),
			       model_arch(main));
	x->weights_bytes = placed(m, backend_find("cpu"));
	return 0;
}

/* Vocabularies of more than so many tokens' difference are refused (llama.cpp, common/speculative). */
#define VOCAB_SLACK 128

static uint64_t vocab_of(const struct model *m)
{
	const struct tensor *t = model_find_tensor(m, "token_embd.weight");

	return t ? t->ne[1] : 0;
}

static int add_draft(struct extra *x, const struct model *m, const struct model *main,
		     const struct devices *d, const struct wish *w, struct err *e)
{
	struct wish alone = { .n_ctx = w->n_ctx,
			      .n_ubatch = w->n_ubatch,
			      .n_seq_max = w->n_seq_max,
			      .unified = w->unified,
			      .flash_attn = w->flash_attn,
			      .accept = ACCEPT_CPU };
	struct host_place host = { .free_bytes = fact_of(INT64_MAX / 4, SRC_GUESS) };
	struct place place = { 0 };
	struct plan p;
	uint64_t a = vocab_of(m), b = vocab_of(main);
	bool device = x->place < d->n;

	if (device) { /* wherever it goes, it is whole there: what fits is the main plan's answer */
		place = d->places[x->place];
		place.free_bytes = fact_of(INT64_MAX / 4, SRC_GUESS);
	}
	int rc = plan_decide(&p, m, &place, device, &host, &alone, e);

	if (!rc && p.verdict != VERDICT_FITS && p.verdict != VERDICT_SPILLS)
		rc = err_set(e, -ENODATA, "cannot be planned: %s", p.decided_by);
	if (rc)
		return rc;
	const struct plan_buffers *on = device ? &p.devices[0].buffers : &p.host.buffers;

	x->weights_bytes = on->weights_bytes;
	x->kv_bytes = on->kv_bytes;
	x->compute_bytes = on->compute_bytes;
	if (device)
		x->host_bytes = p.host.buffers.weights_bytes + p.host.buffers.compute_bytes;
	x->draft = (struct plan_draft) { .size_bytes = model_size_bytes(m),
					 .n_layer = p.n_layer,
					 .n_max = w->n_draft,
					 .flags = p.flags,
					 .buffers = { x->weights_bytes, x->kv_bytes,
						      x->compute_bytes, 0 },
					 .host_bytes = x->host_bytes };
	text_copy(x->draft.path, sizeof(x->draft.path), model_path(m));
	text_copy(x->draft.name, sizeof(x->draft.name), model_name(m));
	model_header_sha256(m, x->draft.header_sha256);
	if ((a > b ? a - b : b - a) > VOCAB_SLACK)
		snprintf(x->note, sizeof(x->note),
			 "its vocabulary has %" PRIu64 " tokens, the model's %" PRIu64
			 ": the engine refuses such a draft",
			 a, b);
	return 0;
}

int extras_add(struct extras *x, const char *kind, const char *what, struct model *m,
	       const struct model *main, const struct devices *d, const struct wish *w,
	       struct err *e)
{
	struct extra *n = &x->all[x->n];
	bool adapter = strcmp(kind, "lora") == 0;
	int rc;

	*n = (struct extra) { .kind = kind, .place = best_place(d) };
	text_copy(n->path, sizeof(n->path), what);
	if (adapter)
		rc = add_lora(n, m, main, d, e);
	else if (strcmp(kind, "mmproj") == 0)
		rc = add_mmproj(n, m, main, d, e);
	else
		rc = add_draft(n, m, main, d, w, e);
	if (rc || !adapter)
		model_close(m);
	else
		n->model = m;
	if (rc)
		return err_at(e, rc, "%s", what);
	x->n++;
	return 0;
}

void extras_close(struct extras *x)
{
	for (uint32_t i = 0; i < x->n; i++)
		model_close(x->all[i].model);
	x->n = 0;
}

/* --- adapters follow the layers --- */

/* The plan's device that holds a layer; p->n_devices: the host. */
static uint32_t device_of(const struct plan *p, int32_t layer)
{
	uint32_t unit = layer < 0 ? p->n_layer : (uint32_t)layer, first = p->host.layers;

	if (unit < first)
		return p->n_devices;
	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (unit < first + p->devices[i].layers)
			return i;
		first += p->devices[i].layers;
	}
	return p->n_devices;
}

/* Bytes of an adapter on each of the plan's devices, and last on the host. */
static void spread(const struct extra *x, const struct plan *p,
		   uint64_t bytes[PLAN_DEVICES_MAX + 1])
{
	memset(bytes, 0, (PLAN_DEVICES_MAX + 1) * sizeof(*bytes));
	for (uint32_t i = 0; i < model_n_tensors(x->model); i++) {
		const struct tensor *t = model_tensor(x->model, i);
		uint32_t at = device_of(p, t->layer);
		const char *name = at < p->n_devices ? p->devices[at].backend : "cpu";
		const struct backend *b = backend_find(name);

		bytes[at] += b ? placed_bytes(b, t->type, t->ne[0], t->bytes) : t->bytes;
	}
}

/* The place that a plan's device was made from; d->n: none. */
static uint32_t place_of(const struct plan_device *on, const struct devices *d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		if (strcmp(d->places[i].pci, on->pci) == 0 &&
		    strcmp(d->places[i].engine_name, on->engine_name) == 0)
			return i;
	}
	return d->n;
}

static void reserve_adapter(const struct extra *x, struct devices *d, const struct plan *p)
{
	uint64_t bytes[PLAN_DEVICES_MAX + 1];

	spread(x, p, bytes);
	for (uint32_t i = 0; i < p->n_devices; i++) {
		uint32_t at = place_of(&p->devices[i], d);

		if (at < d->n)
			take(&d->places[at].free_bytes, bytes[i]);
	}
	take(&d->host.free_bytes, bytes[p->n_devices]);
}

void extras_reserve(const struct extras *x, struct devices *d, const struct plan *p)
{
	for (uint32_t i = 0; i < x->n; i++) {
		const struct extra *n = &x->all[i];
		uint64_t bytes = n->weights_bytes + n->kv_bytes + n->compute_bytes;

		if (n->model && p)
			reserve_adapter(n, d, p);
		if (n->model)
			continue;
		take(n->place < d->n ? &d->places[n->place].free_bytes : &d->host.free_bytes,
		     bytes);
		take(&d->host.free_bytes, n->host_bytes);
	}
}

/* --- in the plan --- */

static void charge(struct plan_buffers *b, const struct extra *x)
{
	b->weights_bytes += x->weights_bytes;
	b->kv_bytes += x->kv_bytes;
	b->compute_bytes += x->compute_bytes;
}

static void charge_adapter(const struct extra *x, struct plan *p)
{
	uint64_t bytes[PLAN_DEVICES_MAX + 1];

	spread(x, p, bytes);
	for (uint32_t i = 0; i < p->n_devices; i++)
		p->devices[i].buffers.weights_bytes += bytes[i];
	p->host.buffers.weights_bytes += bytes[p->n_devices];
}

/* How the draft is carried out: on a device that the plan has, or else nobody can say how. */
static void place_draft(const struct extra *x, struct plan *p, const struct devices *d)
{
	p->draft = x->draft;
	p->draft.device = -1;
	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (place_of(&p->devices[i], d) == x->place)
			p->draft.device = (int32_t)i;
	}
	if (x->place < d->n && p->draft.device < 0)
		p->draft.n_max = 0;
}

void extras_charge(const struct extras *x, struct plan *p, const struct devices *d)
{
	char size[TEXT_SIZE_MAX];
	uint64_t all = 0;

	for (uint32_t k = 0; k < x->n; k++)
		all += x->all[k].weights_bytes + x->all[k].kv_bytes + x->all[k].compute_bytes;
	plan_assume(p, "what is loaded beside it takes %s first; the verdict is on the rest",
		    text_size(size, all));
	for (uint32_t k = 0; k < x->n; k++) {
		const struct extra *n = &x->all[k];

		if (n->model)
			charge_adapter(n, p);
		else if (n->place == d->n)
			charge(&p->host.buffers, n);
		for (uint32_t i = 0; i < p->n_devices && !n->model; i++) {
			if (place_of(&p->devices[i], d) == n->place)
				charge(&p->devices[i].buffers, n);
		}
		p->host.buffers.compute_bytes += n->host_bytes;
		if (n->draft.n_max)
			place_draft(n, p, d);
		if (n->note[0])
			plan_assume(p, "%s: %s", n->kind, n->note);
	}
	for (uint32_t i = 0; i < p->n_devices; i++) {
		struct plan_device *on = &p->devices[i];
		uint32_t at = place_of(on, d);

		if (at < d->n)
			on->free_bytes = d->places[at].free_bytes;
		on->left_bytes = on->free_bytes.v - (int64_t)plan_buffers_sum(&on->buffers);
	}
	p->host.free_bytes = d->host.free_bytes;
	if (fact_known(&p->host.free_bytes))
		p->host.left_bytes = p->host.free_bytes.v -
				     (int64_t)plan_buffers_sum(&p->host.buffers);
}

/* --- showing --- */

static const char *where(const struct extra *x, const struct devices *d)
{
	if (x->model)
		return "with its layers";
	if (x->place >= d->n)
		return "the host";
	return d->places[x->place].name[0] ? d->places[x->place].name : d->places[x->place].pci;
}

void extras_explain(struct text *t, const struct extras *x, const struct devices *d)
{
	for (uint32_t i = 0; i < x->n; i++) {
		const struct extra *n = &x->all[i];
		const char *slash = strrchr(n->path, '/');
		char a[TEXT_SIZE_MAX], b[TEXT_SIZE_MAX], c[TEXT_SIZE_MAX];

		text_add(t, "%-13s%.50s %s%.30s\n", n->kind, slash ? slash + 1 : n->path,
			 n->model ? "" : "on ", where(n, d));
		text_add(t, "%-13sweights %s, cache %s, compute %s\n", "",
			 text_size(a, n->weights_bytes), text_size(b, n->kv_bytes),
			 text_size(c, n->compute_bytes));
	}
}

json_t *extras_to_json(const struct extras *x, const struct devices *d)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < x->n; i++) {
		const struct extra *n = &x->all[i];
		json_t *o = json_object();

		json_put_text(o, "kind", n->kind);
		json_put_text(o, "path", n->path);
		json_put_text(o, "where", where(n, d));
		json_put_int(o, "weights_bytes", (int64_t)n->weights_bytes);
		json_put_int(o, "kv_bytes", (int64_t)n->kv_bytes);
		json_put_int(o, "compute_bytes", (int64_t)n->compute_bytes);
		json_put_int(o, "host_bytes", (int64_t)n->host_bytes);
		json_array_append_new(all, o);
	}
	return all;
}
