/* SPDX-License-Identifier: MIT */
#include "vram-planner/compute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vram-planner/build_priv.h"
#include "vram-planner/gsched.h"

struct compute {
	struct graph graph;
	struct sched sched;
	struct galloc *galloc;
	struct side sides[PLAN_DEVICES_MAX + 1];
	int32_t *weights;
	uint32_t cap_weights;
	int32_t caches[LAYERS_MAX * CACHE_KINDS];
};

int compute_open(struct compute **c)
{
	*c = calloc(1, sizeof(**c));
	return *c ? 0 : -ENOMEM;
}

void compute_close(struct compute *c)
{
	if (!c)
		return;
	graph_fini(&c->graph);
	sched_fini(&c->sched);
	galloc_free(c->galloc);
	free(c->weights);
	free(c);
}

/* --- the batch --- */

/* Fused operations that one of the layers' devices lacks. */
static uint64_t lacking(const struct shape *s, const struct placement *p)
{
	uint64_t lacks = 0;

	for (uint32_t i = 0; i < s->n_run; i++) {
		if (p->unit[i] >= 0)
			lacks |= p->devices[p->unit[i]].backend->lacks;
	}
	return lacks;
}

static uint32_t round_up(uint32_t v, uint32_t to)
{
	return (v + to - 1) / to * to;
}

/* The worst batch: as many tokens as a micro-batch takes, spread over all sequences. */
static void batch(struct build *b, const struct ask *a)
{
	uint32_t n = a->n_ubatch < a->n_ctx ? a->n_ubatch : a->n_ctx;

	b->n_outputs = a->n_outputs < n ? a->n_outputs : n;
	b->n_tokens = round_up(n, a->n_seq);
	b->n_seqs = a->n_seq;
	b->n_seq_tokens = b->n_tokens / b->n_seqs;
	b->n_streams = cache_streams(b->s, a);
	b->flash_attn = a->flash_attn && !b->s->no_flash_attn;
}

static int build(struct compute *c, const struct shape *s, const struct ask *a,
		 const struct placement *p, const struct engine *engine)
{
	uint32_t n = model_n_tensors(s->model);
	struct build b = { .g = &c->graph, .s = s, .a = a, .p = p, .engine = engine };

	b.row = builder_find(s->arch);
	if (!b.row)
		return -ENOTSUP;
	if (c->cap_weights < n) {
		free(c->weights);
		c->weights = calloc(n, sizeof(*c->weights));
		c->cap_weights = c->weights ? n : 0;
		if (!c->weights)
			return -ENOMEM;
	}
	memset(c->weights, 0, n * sizeof(*c->weights));
	memset(c->caches, 0, s->n_layer * CACHE_KINDS * sizeof(c->caches[0]));
	b.weights = c->weights;
	b.caches = c->caches;
	b.unfused = lacking(s, p);
	batch(&b, a);
	graph_reset(&c->graph);
	b.row->build(&b);
	return 0;
}

/* --- the sides --- */

bool compute_pipeline(const struct shape *s, const struct ask *a, const struct placement *p)
{
	if (p->n_devices < 2 || a->n_gpu_layers <= s->n_layer || a->cache_on_host || p->overridden)
		return false;
	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (!p->devices[i].backend->copies_inputs)
			return false;
	}
	return true;
}

static void sides_set(struct compute *c, const struct placement *p)
{
	const struct backend *cpu = backend_find("cpu");
	struct side *host = &c->sides[p->n_devices];

	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct target *t = &p->devices[i];

		c->sides[i] = (struct side) { .backend = t->backend,
					      .alignment = t->backend->alignment,
					      .max_chunk_bytes = t->backend->max_chunk_bytes,
					      .max_buffer_bytes = t->max_buffer_bytes };
	}
	*host = (struct side) { .backend = cpu, .alignment = cpu->alignment };
	if (p->n_devices && p->devices[0].backend->host_alignment) {
		host->alignment = p->devices[0].backend->host_alignment;
		host->max_chunk_bytes = p->devices[0].backend->max_chunk_bytes;
	}
	c->sched.sides = c->sides;
	c->sched.n_sides = p->n_devices + 1;
	c->sched.unit_home = p->unit;
}

/* The engine pins nodes for small batches, and when everything is on devices. */
static bool pins_count(const struct shape *s, const struct ask *a)
{
	return a->n_ubatch < 32 || a->n_gpu_layers > s->n_layer;
}

static uint64_t output_bytes(const struct shape *s, const struct ask *a)
{
	uint64_t wide = s->n_vocab;

	if (a->embeddings)
		wide += s->n_embd_out;
	return 4 * wide * a->n_seq;
}

int compute_bytes(struct compute *c, const struct shape *s, const struct ask *a,
		  const struct placement *p, const struct engine *engine, bool measured,
		  struct compute_bytes *out)
{
	uint64_t sizes[PLAN_DEVICES_MAX + 1];
	int rc;

	*out = (struct compute_bytes) { .pipeline = compute_pipeline(s, a, p) };
	rc = build(c, s, a, p, engine);
	if (rc)
		return rc;
	out->n_nodes = (uint32_t)c->graph.n_order;
	out->n_leaves = (uint32_t)c->graph.n_leaves;
	sides_set(c, p);
	c->sched.n_copies = out->pipeline ? engine->pipeline_copies : 1;
	c->sched.copies_all = engine->copies_all_inputs;
	c->sched.offloads = a->op_offload;
	c->sched.pins = !measured && pins_count(s, a);
	if (!c->graph.fault)
		rc = sched_graph(&c->sched, &c->graph);
	out->fault = c->graph.fault ? c->graph.fault : c->sched.fault;
	if (rc || out->fault)
		return rc ? rc : -EBADMSG;
	out->n_splits = c->sched.n_splits;
	rc = galloc_sizes(&c->galloc, &c->graph, &c->sched.laid, c->sides, c->sched.n_sides, sizes);
	if (rc == -E2BIG)
		out->fault = "the graph needs more memory than any machine has";
	if (rc)
		return rc;
	memcpy(out->device, sizes, p->n_devices * sizeof(sizes[0]));
	out->host = sizes[p->n_devices];
	out->pinned = p->n_devices && p->devices[0].backend->host_alignment;
	out->output = output_bytes(s, a);
	return 0;
}
