/* SPDX-License-Identifier: MIT */
#include "vram-planner/compute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vram-planner/build_priv.h"
#include "vram-planner/gsched.h"
#include "vram-planner/lens.h"
#include "vram-planner/round.h"

struct compute {
	const struct shape *shape;
	const struct builder *row;
	struct lens *lens;
	struct trim trim;
	uint8_t level[PLAN_DEVICES_MAX + 1]; /* of cares[], by number of devices */
	struct graph graph;
	struct sched sched;
	struct galloc *galloc;
	struct side sides[PLAN_DEVICES_MAX + 1];
	int32_t *weights;
	int32_t caches[LAYERS_MAX * CACHE_KINDS];
	struct layer_mark marks[LAYERS_MAX + 1];
	int n_marks;
};

int compute_open(struct compute **out, const struct shape *s)
{
	struct compute *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->shape = s;
	c->row = builder_find(s->arch);
	c->lens = lens_open(s);
	c->weights = calloc(model_n_tensors(s->model) + 1, sizeof(*c->weights));
	if (!c->lens || !c->weights) {
		compute_close(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void compute_close(struct compute *c)
{
	if (!c)
		return;
	lens_close(c->lens);
	graph_fini(&c->graph);
	sched_fini(&c->sched);
	galloc_free(c->galloc);
	free(c->weights);
	free(c);
}

/* --- the batch --- */

/*
 * The engine probes with a token a sequence. A device then may take the processor's work, which looks to
 * the probe as if the processor lacked it: seen of DeepSeek V4's mixing matrices, hc rows a token, and
 * of what they are applied to.
 */
static bool probe_is_offloaded(const struct shape *s, const struct ask *a,
			       const struct placement *p)
{
	bool host = false, taken = false;

	for (uint32_t i = 0; i < s->n_run; i++)
		host |= p->unit[i] < 0;
	for (uint32_t i = 0; i < p->n_devices; i++)
		taken |= p->devices[i].backend->offloads_ops;
	return host && taken && a->op_offload && (uint64_t)a->n_seq * s->hc_count >= OFFLOAD_ROWS;
}

/* Fused operations that one of the layers' devices lacks, as the engine finds out. */
static uint64_t lacking(const struct shape *s, const struct ask *a, const struct placement *p)
{
	uint64_t lacks = 0;

	for (uint32_t i = 0; i < s->n_run; i++) {
		if (p->unit[i] >= 0)
			lacks |= p->devices[p->unit[i]].backend->lacks;
	}
	if (probe_is_offloaded(s, a, p))
		lacks |= UINT64_C(1) << OP_HC_COMB | UINT64_C(1) << OP_HC_PRE;
	return lacks;
}

/* The worst batch: as many tokens as a micro-batch takes, spread over all sequences. */
static void batch(struct build *b, const struct ask *a)
{
	uint32_t n = a->n_ubatch < a->n_ctx ? a->n_ubatch : a->n_ctx;

	b->n_outputs = a->n_outputs < n ? a->n_outputs : n;
	b->n_tokens = (uint32_t)round_up(n, a->n_seq);
	b->n_seqs = a->n_seq;
	b->n_seq_tokens = b->n_tokens / b->n_seqs;
	b->n_streams = cache_streams(b->s, a);
	b->flash_attn = a->flash_attn && !b->s->no_flash_attn;
}

/*
 * When the engine pins (llama-context.cpp, graph_get_cb): with all layers on devices, or for a short batch.
 * Measuring without allocating, it resets its scheduler after the graph was built, and forgets it.
 */
#define PIN_ROWS 32

static bool pins(const struct shape *s, const struct ask *a, int64_t n_tokens)
{
	return !a->measuring && (a->n_gpu_layers > s->n_layer || n_tokens < PIN_ROWS);
}

static void build(struct compute *c, const struct ask *a, const struct placement *p,
		  const struct engine *engine)
{
	struct build b = { .g = &c->graph,
			   .s = lens_shape(c->lens, &c->trim),
			   .a = a,
			   .p = lens_placement(c->lens, p, &c->trim),
			   .engine = engine,
			   .row = c->row,
			   .weights = c->weights,
			   .caches = c->caches,
			   .marks = c->marks };

	memset(c->weights, 0, model_n_tensors(c->shape->model) * sizeof(*c->weights));
	memset(c->caches, 0, b.s->n_layer * CACHE_KINDS * sizeof(c->caches[0]));
	b.unfused = lacking(b.s, a, b.p);
	batch(&b, a);
	b.pins = pins(c->shape, a, b.n_tokens);
	graph_reset(&c->graph);
	c->row->build(&b);
	c->n_marks = b.n_marks;
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

static void sides_set(struct compute *c, const struct placement *p, const struct engine *engine)
{
	const struct backend *cpu = backend_find("cpu");
	struct side *host = &c->sides[p->n_devices];

	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct target *t = &p->devices[i];

		c->sides[i] = (struct side) { .backend = t->backend,
					      .alignment = t->backend->alignment,
					      .max_chunk_bytes = t->backend->max_chunk_bytes,
					      .max_buffer_bytes = t->max_buffer_bytes,
					      .fuses = engine->fuses_experts &&
						       t->backend->ops == OPS_CUDA };
	}
	*host = (struct side) { .backend = cpu, .alignment = cpu->alignment };
	if (p->n_devices && p->devices[0].backend->host_alignment) {
		host->alignment = p->devices[0].backend->host_alignment;
		host->max_chunk_bytes = p->devices[0].backend->max_chunk_bytes;
	}
	c->sched.sides = c->sides;
	c->sched.n_sides = p->n_devices + 1;
}

static uint64_t output_bytes(const struct shape *s, const struct ask *a)
{
	uint64_t wide = s->n_vocab;

	if (a->embeddings)
		wide += s->n_embd_out;
	return 4 * wide * a->n_seq;
}

/* --- the whole from a part --- */

/* The number of the marked node that layer i begins behind: layers that add nothing share one. */
static uint32_t mark_of(const struct compute *c, uint32_t layer)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= layer; i++)
		n += c->marks[i].n_order != c->marks[i - 1].n_order;
	/* Nothing is marked while the order is empty. */
	return c->marks[0].n_order ? n : n - 1;
}

/*
 * Whether what is allocated before the first node grows with the layers: constants of each, and the copies
 * that a pipeline keeps of what enters each split.
 */
static bool grows(const struct compute *c, const struct trim_run *r)
{
	uint32_t first = mark_of(c, r->from), last = mark_of(c, r->to);

	for (int32_t i = c->marks[r->from].n_leaves; i < c->marks[r->to].n_leaves; i++) {
		if (c->graph.nodes[c->graph.leaves[i]].home == HOME_NONE)
			return true;
	}
	return c->sched.n_copies > 1 && c->sched.marks[first].inputs != c->sched.marks[last].inputs;
}

/* Whether each pattern that was cut short had come to repeat itself. */
static bool is_steady(const struct compute *c)
{
	for (uint32_t i = 0; i < c->trim.n_runs; i++) {
		const struct trim_run *r = &c->trim.runs[i];
		uint32_t first, last;

		if ((int)r->to >= c->n_marks)
			return false;
		first = mark_of(c, r->from);
		last = mark_of(c, r->to);
		if (first >= last || last >= c->sched.n_marks || grows(c, r) ||
		    galloc_mark(c->galloc, first) != galloc_mark(c->galloc, last))
			return false;
	}
	return true;
}

static void add_skipped(const struct compute *c, struct compute_bytes *out)
{
	for (uint32_t i = 0; i < c->trim.n_runs; i++) {
		const struct trim_run *r = &c->trim.runs[i];
		const struct layer_mark *from = &c->marks[r->from], *to = &c->marks[r->to];
		uint32_t first = mark_of(c, r->from), last = mark_of(c, r->to);
		uint32_t times = r->skipped / (r->to - r->from);

		out->n_nodes += times * (uint32_t)(to->n_order - from->n_order);
		out->n_leaves += times * (uint32_t)(to->n_leaves - from->n_leaves);
		out->n_splits += times *
				 (c->sched.marks[last].splits - c->sched.marks[first].splits);
	}
}

/* One graph of the layers in c->trim, to bytes by side. */
static int measure(struct compute *c, const struct ask *a, const struct placement *p,
		   const struct engine *engine, uint64_t *sizes, struct compute_bytes *out)
{
	int rc;

	build(c, a, p, engine);
	out->fault = c->graph.fault;
	if (out->fault)
		return -EBADMSG;
	rc = sched_graph(&c->sched, &c->graph);
	out->fault = rc == -ENOTSUP ? c->sched.fault : c->graph.fault;
	if (rc)
		return rc;
	rc = galloc_sizes(&c->galloc, &c->graph, &c->sched.laid, c->sides, c->sched.n_sides, sizes);
	if (rc == -E2BIG)
		out->fault = "the graph needs more memory than any machine has";
	return rc;
}

static int bytes_of_trim(struct compute *c, const struct ask *a, const struct placement *p,
			 const struct engine *engine, struct compute_bytes *out)
{
	uint64_t sizes[PLAN_DEVICES_MAX + 1];
	int rc;

	*out = (struct compute_bytes) { .pipeline = compute_pipeline(c->shape, a, p) };
	sides_set(c, p, engine);
	c->sched.n_copies = out->pipeline ? engine->pipeline_copies : 1;
	c->sched.copies_all = engine->copies_all_inputs;
	c->sched.offloads = a->op_offload;
	rc = measure(c, a, p, engine, sizes, out);
	if (rc)
		return rc;
	out->n_built = c->trim.n;
	out->n_nodes = (uint32_t)c->graph.n_order;
	out->n_leaves = (uint32_t)c->graph.n_leaves;
	out->n_splits = c->sched.n_splits;
	memcpy(out->device, sizes, p->n_devices * sizeof(sizes[0]));
	out->host = sizes[p->n_devices];
	out->pinned = p->n_devices && p->devices[0].backend->host_alignment;
	out->output = output_bytes(c->shape, a);
	return 0;
}

int compute_bytes_whole(struct compute *c, const struct ask *a, const struct placement *p,
			const struct engine *engine, struct compute_bytes *out)
{
	if (!c->row)
		return -ENOTSUP;
	trim_nothing(&c->trim, c->shape->n_run);
	return bytes_of_trim(c, a, p, engine, out);
}

/*
 * Repetitions before the allocator is steady. What was needed for so many devices is tried first the next
 * time; models with constants of each layer, which are all allocated at once, are never steady.
 */
static const struct trim_care cares[] = { { 3, 1 }, { 4, 1 }, { 3, 2 }, { 6, 1 } };

#define N_CARES (sizeof(cares) / sizeof(cares[0]))

int compute_bytes(struct compute *c, const struct ask *a, const struct placement *p,
		  const struct engine *engine, struct compute_bytes *out)
{
	if (!c->row)
		return -ENOTSUP;
	for (uint8_t *i = &c->level[p->n_devices]; *i < N_CARES; ++*i) {
		int rc;

		lens_trim(c->lens, p, a->op_offload, &cares[*i], &c->trim);
		rc = bytes_of_trim(c, a, p, engine, out);
		if (rc)
			return rc;
		if (is_steady(c)) {
			add_skipped(c, out);
			return 0;
		}
	}
	return compute_bytes_whole(c, a, p, engine, out);
}
