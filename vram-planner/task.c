/* SPDX-License-Identifier: MIT */
/* From a wish to a configuration of the engine. */
#include "vram-planner/task.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static int cache_type(const char *name, uint32_t *type, struct err *e)
{
	if (!name[0])
		return 0; /* the default stays */
	for (const char *const *known = cache_types; *known; known++) {
		if (strcmp(name, *known) == 0 && quant_from_name(name, type))
			return 0;
	}
	return err_set(
		e, -EINVAL,
		"'%s' is no cache type; give f16, q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl, bf16 or f32",
		name);
}

static bool judged(const struct task *q, uint32_t place)
{
	for (uint32_t i = 0; i < q->search.n_seats; i++) {
		if (q->search.seats[i].place == place)
			return true;
	}
	return false;
}

static int check_judged(const struct task *q, uint32_t place, struct err *e)
{
	const struct place *p = &q->places[place];

	if (judged(q, place))
		return 0;
	return err_set(e, -ENODATA,
		       "the free memory of %s is unknown (%s); it cannot be planned on",
		       p->pci[0] ? p->pci : p->name, why_name(p->free_bytes.why));
}

static int read_split(const struct task *q, const struct wish *w, struct ask *a, struct err *e)
{
	uint64_t sum = 0;
	uint32_t units = q->shape->n_layer + 1;

	if (w->n_split > q->n_places)
		return err_set(e, -EINVAL, "--split names %" PRIu32 " devices, of %" PRIu32,
			       w->n_split, q->n_places);
	for (uint32_t i = 0; i < w->n_split; i++) {
		int rc = w->split[i] ? check_judged(q, i, e) : 0;

		if (rc)
			return rc;
		sum += w->split[i];
		a->split[i] = (float)w->split[i];
	}
	if (sum > units)
		return err_set(e, -EINVAL,
			       "--split adds up to %" PRIu64 "; the model has %" PRIu32
			       " layers and the output, %" PRIu32 " together",
			       sum, units - 1, units);
	a->n_gpu_layers = (uint32_t)sum;
	return 0;
}

static int read_shares(const struct task *q, const struct wish *w, struct ask *a, struct err *e)
{
	if (w->n_shares > q->n_places)
		return err_set(e, -EINVAL, "--tensor-split names %" PRIu32 " devices, of %" PRIu32,
			       w->n_shares, q->n_places);
	for (uint32_t i = 0; i < w->n_shares; i++) {
		int rc = w->shares[i] > 0 ? check_judged(q, i, e) : 0;

		if (rc)
			return rc;
		a->split[i] = w->shares[i];
	}
	return 0;
}

/*
 * "CPU", or a device by its address, its name, the engine's name where launch has learnt it, or its
 * number in the order of --device. Which number the engine gives a device is not known here: "CUDA1" is
 * not taken for the second.
 */
static int find_where(const struct task *q, const char *where, int32_t *place, struct err *e)
{
	uint64_t n;

	*place = -1;
	if (strcasecmp(where, "CPU") == 0 || strcasecmp(where, "host") == 0)
		return 0;
	for (uint32_t i = 0; i < q->n_places && *place < 0; i++) {
		const struct place *p = &q->places[i];

		if (strcmp(p->pci, where) == 0 || strcmp(p->engine_name, where) == 0 ||
		    strcmp(p->name, where) == 0)
			*place = (int32_t)i;
	}
	if (*place < 0 && text_parse_u64(where, &n) == 0 && n < q->n_places)
		*place = (int32_t)n;
	if (*place < 0)
		return err_set(
			e, -EINVAL,
			"--override-tensor: there is no '%s'; give CPU, or a GPU's address, or "
			"its number in the order of --device, of %" PRIu32,
			where, q->n_places);
	return check_judged(q, (uint32_t)*place, e);
}

static int read_tensors(const struct task *q, const struct wish *w, struct ask *a,
			struct pinned *pin, struct err *e)
{
	for (uint32_t i = 0; i < w->n_tensors; i++) {
		struct plan_tensors *t = &a->overrides[a->n_overrides++];
		int rc = find_where(q, w->tensors[i].where, &t->device, e);

		if (rc)
			return rc;
		memcpy(t->pattern, w->tensors[i].pattern, sizeof(t->pattern));
		pin->all_devices |= t->device >= 0;
	}
	return 0;
}

static uint32_t chosen(uint32_t wished, uint32_t otherwise)
{
	return wished ? wished : otherwise;
}

static void read_sizes(const struct task *q, const struct wish *w, struct ask *a)
{
	uint32_t trained = q->shape->n_ctx_train;

	ask_default(a);
	a->n_ctx = chosen(w->n_ctx == WISH_CTX_OWN ? trained : w->n_ctx,
			  trained < WISH_CTX_DEFAULT ? trained : WISH_CTX_DEFAULT);
	a->n_ubatch = chosen(w->n_ubatch, ASK_UBATCH_DEFAULT);
	a->n_batch = chosen(w->n_batch, ASK_BATCH_DEFAULT);
	if (!w->n_batch && a->n_batch < a->n_ubatch)
		a->n_batch = a->n_ubatch;
	a->n_seq = chosen(w->n_seq_max, 1);
	/* A vector is made of all tokens of a batch: each is an output. */
	a->n_outputs = chosen(w->n_outputs, w->embeddings ? a->n_ubatch : a->n_seq);
	a->n_draft = w->n_draft;
	if (a->n_outputs < ask_least_outputs(a))
		a->n_outputs = ask_least_outputs(a);
	/* Sequences share the context: -c means what it says. */
	a->unified = w->unified == CHOICE_FREE ? a->n_seq > 1 : w->unified == CHOICE_ON;
	a->flash_attn = w->flash_attn != CHOICE_OFF;
	a->cache_on_host = w->cache_on_host;
	a->swa_full = w->swa_full;
	a->mtp = w->mtp;
	a->embeddings = w->embeddings;
	a->mmap = true; /* as the core loads it */
	if (w->n_cpu_moe)
		a->n_cpu_moe = w->n_cpu_moe < q->shape->n_layer ? w->n_cpu_moe : q->shape->n_layer;
}

int task_ask(const struct task *q, const struct wish *w, struct ask *a, struct pinned *pin,
	     struct err *e)
{
	read_sizes(q, w, a);
	*pin = (struct pinned) { .by_shares = w->n_split || w->n_shares,
				 .gpu_layers = w->has_gpu_layers,
				 .experts = w->n_cpu_moe > 0 };
	int rc = cache_type(w->type_k, &a->type_k, e);

	if (!rc)
		rc = cache_type(w->type_v, &a->type_v, e);
	if (!rc && w->n_split)
		rc = read_split(q, w, a, e);
	if (!rc && w->n_shares)
		rc = read_shares(q, w, a, e);
	if (!rc && w->has_gpu_layers)
		a->n_gpu_layers = w->n_gpu_layers;
	return rc ? rc : read_tensors(q, w, a, pin, e);
}

bool task_yes(struct task *q, const struct wish *w, struct placing *p)
{
	struct pinned pin;
	struct ask a;
	struct err e = { 0 };

	if (task_ask(q, w, &a, &pin, &e))
		return false;
	if (w->accept == ACCEPT_GPU && !pin.by_shares && !pin.gpu_layers)
		return fill_devices(&q->search, &a, &pin, p);
	if (fill_best(&q->search, &a, &pin, p, &e) || !placing_runs(p))
		return false;
	if (placing_fits(p) || w->accept == ACCEPT_CPU)
		return true;
	return w->accept == ACCEPT_SPILL && p->n && p->ask.n_gpu_layers;
}
