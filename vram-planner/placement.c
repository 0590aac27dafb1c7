/* SPDX-License-Identifier: MIT */
/* Where everything goes: llama.cpp v0.5.0, llama_model_base::load_tensors and llama-model-loader.cpp. */
#include "vram-planner/placement.h"

#include <stdlib.h>
#include <string.h>

#include "vram-planner/cache.h"
#include "vram-planner/family_priv.h"

#define ROW_PAD 512                 /* MATRIX_ROW_PADDING of ggml-cuda */

uint64_t placed_bytes(const struct backend *b, uint32_t type, uint64_t row, uint64_t bytes)
{
	uint64_t extra = 0, to = b->alignment;

	if (b->pads_rows && quant_is_blocked(type) && row % ROW_PAD &&
	    quant_bytes(type, ROW_PAD - row % ROW_PAD, &extra) &&
	    __builtin_add_overflow(bytes, extra, &bytes))
		return UINT64_MAX;
	return bytes > UINT64_MAX - to ? UINT64_MAX : (bytes + to - 1) / to * to;
}

/* --- units --- */

/* The devices' shares as running sums of 1, in single precision as the engine has them. */
static void split_points(const struct placement *p, const struct ask *a, float *ends)
{
	uint32_t n = p->n_devices;
	float sum = 0;
	bool given = false;

	for (uint32_t i = 0; i < n; i++)
		given |= a->split[i] != 0;
	for (uint32_t i = 0; i < n; i++) {
		sum += given ? a->split[i] : (float)p->devices[i].memory_bytes;
		ends[i] = sum;
	}
	for (uint32_t i = 0; i < n; i++)
		ends[i] /= sum;
}

static void place_units(struct placement *p, const struct shape *s, const struct ask *a)
{
	uint32_t all = s->n_layer + 1;
	uint32_t active = a->n_gpu_layers < all ? a->n_gpu_layers : all;
	float ends[PLAN_DEVICES_MAX];

	if (p->n_devices == 0)
		active = 0;
	split_points(p, a, ends);
	p->n_host = all - active;
	memset(p->units, 0, sizeof(p->units));
	memset(p->first, 0, sizeof(p->first));
	for (uint32_t i = 0; i < all; i++) {
		uint32_t d = 0;

		if (i < p->n_host) {
			p->unit[i] = HOME_HOST;
			continue;
		}
		while (d < p->n_devices - 1 &&
		       !(ends[d] > (float)(int32_t)(i - p->n_host) / (float)(int32_t)active))
			d++;
		p->unit[i] = (int8_t)d;
		if (p->units[d]++ == 0)
			p->first[d] = i;
	}
}

static int32_t find_pinned(const struct placement *p)
{
	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (p->devices[i].backend->host_alignment)
			return (int32_t)i;
	}
	return -1;
}

/* --- tensors --- */

struct placing {
	struct placement *p;
	const struct shape *s;
	const struct ask *a;
	const int8_t *forced;
};

static int wanted_home(const struct placing *g, uint32_t i, const struct tensor *t)
{
	switch (g->s->roles[i].class) {
	case TENSOR_INPUT:
		return HOME_HOST;
	case TENSOR_OUTPUT:
		return g->p->unit[g->s->n_layer];
	case TENSOR_LAYER:
		return g->p->unit[t->layer];
	default: /* with the first layer; those that every device has are counted by layer */
		return g->p->unit[0];
	}
}

static int forced_home(const struct placing *g, uint32_t i, const struct tensor *t)
{
	if (g->forced && g->forced[i] != HOME_NONE)
		return g->forced[i];
	if (g->s->roles[i].experts && (uint32_t)t->layer < g->a->n_cpu_moe)
		return HOME_HOST;
	return HOME_NONE;
}

static bool skipped(const struct placing *g, uint32_t i, const struct tensor *t)
{
	if (t->layer < 0 || !g->s->layers[t->layer].nextn || g->s->roles[i].stays)
		return false;
	return !g->a->mtp || g->s->family->nextn == NEXTN_SKIPPED;
}

/* The home that the engine finds for a weight tried with `probe` and wanted at `home`. */
static int settle(const struct placing *g, const struct tensor *t, enum probe probe, int home,
		  uint8_t *kind)
{
	*kind = HOST_PLAIN;
	if (home >= 0 && target_supports(&g->p->devices[home], g->s, t, probe))
		return home;
	*kind = (uint8_t)host_kind_of(g->p, g->s, g->a, t, probe);
	return *kind == HOST_AMX || *kind == HOST_REPACK ? HOME_EXTRA : HOME_HOST;
}

static enum fate fate_of(enum tensor_class class, bool forced, int wanted, int home)
{
	if (forced)
		return FATE_FORCED;
	if (home >= 0)
		return FATE_DEVICE;
	if (wanted >= 0)
		return FATE_MOVED;
	return class == TENSOR_INPUT ? FATE_INPUT : FATE_LAYER;
}

static void place_tensor(const struct placing *g, uint32_t i)
{
	const struct tensor *t = model_tensor(g->s->model, i);
	const struct role *r = &g->s->roles[i];
	struct placement *p = g->p;
	int forced = forced_home(g, i, t), wanted = wanted_home(g, i, t);

	if (skipped(g, i, t)) {
		p->home[i] = HOME_NONE;
		p->fate[i] = FATE_SKIPPED;
		return;
	}
	p->overridden |= forced != HOME_NONE;
	if (forced >= 0) { /* taken at its word: no trial */
		p->home[i] = (int8_t)forced;
		p->kind[i] = HOST_PLAIN;
	} else {
		p->home[i] = (int8_t)settle(g, t, (enum probe)r->probe,
					    forced == HOME_NONE ? wanted : HOME_HOST, &p->kind[i]);
	}
	p->fate[i] = (uint8_t)fate_of((enum tensor_class)r->class, forced != HOME_NONE, wanted,
				      p->home[i]);
}

/* The matrix of logits: its own, or token_embd once more unless that is in the same buffer already. */
static void place_output(const struct placing *g)
{
	const struct tensor *t = shape_global(g->s, GLOBAL_OUTPUT);
	struct placement *p = g->p;

	p->copied = false;
	p->output = t ? p->home[shape_index(g->s, t)] : p->unit[g->s->n_layer];
	if (!g->s->tied)
		return;
	t = shape_global(g->s, GLOBAL_TOKEN_EMBD);
	uint32_t i = shape_index(g->s, t);
	int forced = forced_home(g, i, t);

	if (forced >= 0)
		p->output = (int8_t)forced;
	else
		p->output = (int8_t)settle(g, t, PROBE_MUL_MAT,
					   forced == HOME_NONE ? p->unit[g->s->n_layer] : HOME_HOST,
					   &p->output_kind);
	p->copied = p->output != p->home[i] || (p->output < 0 && p->output_kind != p->kind[i]) ||
		    (g->s->family->quirks & QUIRK_OUTPUT_FIRST);
}

int placement_make(struct placement *p, const struct shape *s, const struct ask *a,
		   const struct target *devices, uint32_t n_devices, const int8_t *forced,
		   struct err *e)
{
	struct placing g = { p, s, a, forced };
	uint32_t n = model_n_tensors(s->model);

	if (!p->home) {
		p->home = malloc(3 * ((size_t)n + 1));
		if (!p->home)
			return err_set(e, -ENOMEM, "no memory");
		p->fate = (uint8_t *)p->home + n + 1;
		p->kind = p->fate + n + 1;
	}
	p->n_devices = n_devices;
	for (uint32_t i = 0; i < n_devices; i++)
		p->devices[i] = devices[i];
	p->pinned = find_pinned(p);
	p->overridden = ask_overrides(a);
	place_units(p, s, a);
	for (uint32_t i = 0; i < n; i++)
		place_tensor(&g, i);
	place_output(&g);
	return 0;
}

void placement_fini(struct placement *p)
{
	free(p->home);
	p->home = NULL;
	p->fate = NULL;
	p->kind = NULL;
}

int tensor_home(const struct placement *p, const struct shape *s, const struct tensor *t,
		uint32_t il)
{
	uint32_t i = shape_index(s, t);

	if (s->roles[i].class == TENSOR_EVERY && il < s->n_layer && p->fate[i] != FATE_FORCED)
		return p->unit[il] >= 0 ? p->unit[il] : HOME_HOST;
	return p->home[i];
}

/* --- sums --- */

/* A tensor that goes with each layer: once in each buffer that some layer has. */
static void weigh_every(const struct placement *p, const struct shape *s, const struct tensor *t,
			struct weights *w)
{
	uint32_t i = shape_index(s, t);
	uint64_t seen = 0;

	for (uint32_t il = 0; il < s->n_run; il++) {
		int home = tensor_home(p, s, t, il);

		if (s->family->quirks & QUIRK_ROPE_WHERE_FULL && s->layers[il].slides)
			continue;
		if (seen >> (home + 3) & 1)
			continue;
		seen |= UINT64_C(1) << (home + 3);
		if (home >= 0)
			w->device[home] += placed_bytes(p->devices[home].backend, t->type, t->ne[0],
							t->bytes);
		else
			w->host[p->kind[i]] += host_bytes(p, t, (enum host_kind)p->kind[i]);
	}
}

static void weigh(const struct placement *p, const struct tensor *t, int home, enum host_kind kind,
		  struct weights *w)
{
	if (home >= 0)
		w->device[home] += placed_bytes(p->devices[home].backend, t->type, t->ne[0],
						t->bytes);
	else if (home != HOME_NONE)
		w->host[kind] += host_bytes(p, t, kind);
}

void placement_weights(const struct placement *p, const struct shape *s, struct weights *w)
{
	uint32_t n = model_n_tensors(s->model);

	*w = (struct weights) { 0 };
	for (uint32_t i = 0; i < n; i++) {
		const struct tensor *t = model_tensor(s->model, i);

		if (s->roles[i].class == TENSOR_EVERY)
			weigh_every(p, s, t, w);
		else
			weigh(p, t, p->home[i], (enum host_kind)p->kind[i], w);
	}
	if (p->copied)
		weigh(p, shape_global(s, GLOBAL_TOKEN_EMBD), p->output,
		      (enum host_kind)p->output_kind, w);
}

/* --- by unit --- */

static void weigh_unit(const struct placing *g, uint32_t i, struct unit_sums *out)
{
	const struct tensor *t = model_tensor(g->s->model, i);
	const struct role *r = &g->s->roles[i];
	const struct target *d = g->p->devices;
	uint64_t bytes = placed_bytes(d->backend, t->type, t->ne[0], t->bytes);
	int forced = forced_home(g, i, t);
	uint32_t unit = r->class == TENSOR_LAYER    ? (uint32_t)t->layer
			: r->class == TENSOR_OUTPUT ? g->s->n_layer
						    : 0;

	if (skipped(g, i, t) || forced == HOME_HOST || r->class == TENSOR_INPUT ||
	    !target_supports(d, g->s, t, (enum probe)r->probe))
		return;
	if (r->class == TENSOR_EVERY)
		out->once += bytes;
	else
		out->before[unit + 1] += bytes;
}

void units_sum(const struct shape *s, const struct ask *a, const struct target *d,
	       const int8_t *forced, struct unit_sums *out)
{
	const struct tensor *tied = s->tied ? shape_global(s, GLOBAL_TOKEN_EMBD) : NULL;
	struct placement one = { .devices = { *d }, .n_devices = 1 };
	struct placing g = { &one, s, a, forced };
	uint32_t n = model_n_tensors(s->model);

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < n; i++)
		weigh_unit(&g, i, out);
	if (tied && target_supports(d, s, tied, PROBE_MUL_MAT))
		out->before[s->n_layer + 1] += placed_bytes(d->backend, tied->type, tied->ne[0],
							    tied->bytes);
	for (uint32_t i = 0; i < s->n_layer && !a->cache_on_host; i++) {
		struct cache_tensor tensors[CACHE_TENSORS_MAX];
		uint32_t k = cache_tensors(s, a, i, tensors);

		while (k-- > 0)
			out->before[i + 1] += placed_bytes(d->backend, tensors[k].type,
							   tensors[k].ne[0], tensors[k].bytes);
	}
	for (uint32_t i = 0; i <= s->n_layer; i++)
		out->before[i + 1] += out->before[i];
}
