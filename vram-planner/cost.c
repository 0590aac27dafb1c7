/* SPDX-License-Identifier: MIT */
/* The arithmetic; the rules are those of llama.cpp v0.5.0 and its loader. */
#include <inttypes.h>
#include <string.h>

#include "vram-planner/cost_priv.h"

#define ROW_PAD  512 /* MATRIX_ROW_PADDING of the CUDA backend */
#define PIPELINE 4   /* GGML_SCHED_MAX_COPIES */

static uint64_t pad(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint32_t cells_sliding(const struct ask *a, const struct oldshape *s)
{
	return ask_cells_window(a, s->window);
}

/* --- weights --- */

static bool name_is(const struct tensor *t, const char *name)
{
	size_t n = strlen(name);

	return t->name_len == n && memcmp(t->name, name, n) == 0;
}

static bool name_begins(const struct tensor *t, const char *begin)
{
	size_t n = strlen(begin);

	return t->name_len >= n && memcmp(t->name, begin, n) == 0;
}

/* Tensors without a block number (llama-arch.cpp, LLM_TENSOR_INFOS, at v0.5.0). */
static const struct {
	const char *begin;
	enum tensor_class class;
} classes[] = {
	{ "token_embd_norm.", TENSOR_FIRST },
	{ "token_embd.", TENSOR_INPUT },
	{ "position_embd.", TENSOR_INPUT },
	{ "token_types.", TENSOR_INPUT },
	{ "output.", TENSOR_OUTPUT },
	{ "output_norm.", TENSOR_OUTPUT },
	{ "cls.", TENSOR_OUTPUT },
	{ "dense_2.", TENSOR_OUTPUT },
	{ "dense_3.", TENSOR_OUTPUT },
	{ "rope_freqs.", TENSOR_EVERY },
	{ "rope_factors_", TENSOR_EVERY },
};

static bool class_of(const struct tensor *t, enum tensor_class *class)
{
	*class = TENSOR_LAYER;
	if (t->layer >= 0)
		return true;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (name_begins(t, classes[i].begin)) {
			*class = classes[i].class;
			return true;
		}
	}
	return false;
}

/* What a tensor of `bytes` with rows of `row` numbers takes in a buffer of this backend. */
static uint64_t placed_bytes(const struct backend *b, uint32_t type, uint64_t row, uint64_t bytes)
{
	uint64_t extra;

	if (b->pads_rows && quant_is_blocked(type) && row % ROW_PAD &&
	    quant_bytes(type, ROW_PAD - row % ROW_PAD, &extra))
		bytes += extra;
	return pad(bytes, b->alignment);
}

static int sum_tensor(struct tally *y, const struct oldshape *s, const struct tensor *t, struct err *e)
{
	enum tensor_class class;
	uint64_t bytes = placed_bytes(y->backend, t->type, t->ne[0], t->bytes);

	if (!class_of(t, &class))
		return err_set(e, -ENOTSUP,
			       "berth does not know where the engine puts the tensor '%.*s'",
			       (int)t->name_len, t->name);
	if (class == TENSOR_LAYER && t->layer >= (int32_t)s->n_layer)
		return err_set(e, -EBADMSG,
			       "tensor '%.*s' belongs to layer %" PRId32 " of %" PRIu32,
			       (int)t->name_len, t->name, t->layer, s->n_layer);
	if (class == TENSOR_LAYER && t->layer >= (int32_t)s->n_run)
		return 0; /* prediction layers are left out unless asked for */
	if (class == TENSOR_LAYER)
		y->weights[t->layer + 1] += bytes;
	else if (class == TENSOR_FIRST)
		y->weights[1] += bytes;
	else if (class == TENSOR_OUTPUT)
		y->weights[s->n_layer + 1] += bytes;
	else if (class == TENSOR_EVERY)
		y->every += bytes;
	else
		y->input += bytes;
	if (s->tied && name_is(t, "token_embd.weight"))
		y->tied = bytes;
	return 0;
}

/* --- caches --- */

/* One tensor of a layer's cache: `width` numbers for each of `rows` cells. */
static bool cache_bytes(const struct backend *b, uint32_t type, uint64_t width, uint64_t rows,
			uint64_t *bytes)
{
	uint64_t row;

	if (!quant_bytes(type, width, &row))
		return false;
	*bytes = placed_bytes(b, type, width, row * rows);
	return true;
}

static int sum_cache(struct tally *y, const struct oldshape *s, const struct ask *a, struct err *e)
{
	for (uint32_t i = 0; i < s->n_run; i++) {
		uint64_t cells = s->slides[i] ? cells_sliding(a, s) : a->n_ctx_seq;
		uint64_t rows = cells * ask_streams(a), k, v;

		if (!cache_bytes(y->backend, a->type_k, (uint64_t)s->head_k * s->n_head_kv[i], rows,
				 &k) ||
		    !cache_bytes(y->backend, a->type_v, (uint64_t)s->head_v * s->n_head_kv[i], rows,
				 &v))
			return err_set(
				e, -ENOTSUP,
				"a cache of type %s or %s cannot hold rows of %" PRIu32 " heads",
				quant_name(a->type_k), quant_name(a->type_v), s->n_head_kv[i]);
		y->kv[i + 1] = k + v;
	}
	return 0;
}

static int sum_all(struct tally *y, const struct costs *c, struct err *e)
{
	int rc = sum_cache(y, c->shape, &c->ask, e);

	for (uint32_t i = 0; !rc && i < model_n_tensors(c->model); i++)
		rc = sum_tensor(y, c->shape, model_tensor(c->model, i), e);
	if (rc)
		return rc;
	for (uint32_t i = 0; i <= c->shape->n_layer; i++) {
		y->weights[i + 1] += y->weights[i];
		y->kv[i + 1] += y->kv[i];
	}
	return 0;
}

/* Matrices that a prompt batch would bring from the host to a device, by unit. */
static void find_largest(struct costs *c)
{
	const struct oldshape *s = c->shape;

	for (uint32_t i = 0; i < model_n_tensors(c->model); i++) {
		const struct tensor *t = model_tensor(c->model, i);
		enum tensor_class class;

		if (!class_of(t, &class) || t->ne[1] < 2)
			continue;
		if (class == TENSOR_LAYER && t->layer < (int32_t)s->n_run)
			c->largest[t->layer + 1] = max_of(c->largest[t->layer + 1], t->bytes);
		else if (class == TENSOR_OUTPUT)
			c->largest[s->n_layer + 1] = max_of(c->largest[s->n_layer + 1], t->bytes);
	}
	for (uint32_t i = 0; i <= s->n_layer; i++)
		c->largest[i + 1] = max_of(c->largest[i + 1], c->largest[i]);
}

static bool has_tally(const struct costs *c, const struct backend *b)
{
	for (uint32_t i = 0; i < c->n_tallies; i++) {
		if (c->tallies[i].backend == b)
			return true;
	}
	return false;
}

static const struct tally *tally_of(const struct costs *c, const struct backend *b)
{
	for (uint32_t i = 0; i < c->n_tallies; i++) {
		if (c->tallies[i].backend == b)
			return &c->tallies[i];
	}
	return &c->tallies[0];
}

/* --- compute buffers --- */

/*
 * The peak of the engine's graph allocator, in closed form: with flash attention a layer's peak is
 * three inner rows and four rows of n_embd a token, and the attention masks in f16. Found on measured
 * rows of 18 models; where the form is not exact it is on the safe side. Constants that have no other
 * name are such findings.
 */
#define SLACK_FLOATS 16              /* a token's positions, output ids and small inputs */
#define SLACK_BYTES  UINT64_C(65536) /* alignment of the graph's tensors */

static uint64_t row_bytes(const struct ask *a, uint64_t floats)
{
	return 4 * (uint64_t)a->n_ubatch * floats;
}

/* Attention masks, f16: a batch's tokens by the cells they may see. */
static uint64_t mask_bytes(const struct costs *c)
{
	uint64_t cells = c->ask.n_ctx_seq;

	if (c->shape->window)
		cells += cells_sliding(&c->ask, c->shape);
	return 2 * cells * pad(c->ask.n_ubatch, ask_streams(&c->ask));
}

/* The layer graph: inner rows and residuals, or the combining of many narrow experts. */
static uint64_t layer_bytes(const struct costs *c)
{
	const struct oldshape *s = c->shape;
	uint64_t rows = 4 + s->family->live_rows;

	/* The experts' outputs do not fit where two inner rows were: they come on top. */
	if (s->n_used && s->n_embd > 2 * (uint64_t)s->n_ff_exp)
		rows += s->n_used;
	return row_bytes(&c->ask, 3 * (uint64_t)s->n_ff + rows * s->n_embd + SLACK_FLOATS) +
	       SLACK_BYTES;
}

/* The rotations that go with a quantized cache, f32 matrices. */
static uint64_t rotation_bytes(const struct costs *c)
{
	const struct oldshape *s = c->shape;
	uint64_t sum = 0;

	if (quant_is_blocked(c->ask.type_k))
		sum += 4 * (uint64_t)s->head_k * s->head_k;
	if (quant_is_blocked(c->ask.type_v))
		sum += 4 * (uint64_t)s->head_v * s->head_v;
	return sum;
}

/* Flash attention over a quantized cache works on f16 copies of a whole layer's K and V. */
static uint64_t find_staged(const struct costs *c)
{
	const struct oldshape *s = c->shape;
	uint64_t most = 0;

	for (uint32_t i = 0; i < s->n_run; i++) {
		uint64_t cells = s->slides[i] ? cells_sliding(&c->ask, s) : c->ask.n_ctx_seq;
		uint64_t rows = 2 * cells * ask_streams(&c->ask) * s->n_head_kv[i], sum = 0;

		if (quant_is_blocked(c->ask.type_k))
			sum += rows * s->head_k;
		if (quant_is_blocked(c->ask.type_v))
			sum += rows * s->head_v;
		most = max_of(most, sum);
	}
	return most;
}

static uint64_t staged_bytes(const struct costs *c, const struct backend *b)
{
	return b->stages_kv ? c->staged : 0;
}

/* A layer's peak is its inner rows, or its attention over a staged cache, whichever is larger. */
static uint64_t graph_bytes(const struct costs *c, const struct backend *b)
{
	const struct oldshape *s = c->shape;
	uint64_t staged = staged_bytes(c, b), layer = layer_bytes(c);
	uint64_t wide = max_of(s->n_embd, (uint64_t)s->n_head * s->head_k);

	if (staged && s->family->parallel)
		return layer + staged + row_bytes(&c->ask, s->n_embd);
	if (!b->stages_kv && rotation_bytes(c))
		return layer + row_bytes(&c->ask, s->n_embd);
	return max_of(layer, staged + row_bytes(&c->ask, 6 * wide + SLACK_FLOATS) + SLACK_BYTES);
}

/* Logits, when more of them are kept than the layer graph needs. */
static uint64_t logits_bytes(const struct costs *c)
{
	uint64_t kept = c->ask.n_outputs < c->ask.n_ubatch ? c->ask.n_outputs : c->ask.n_ubatch;

	return 4 * kept * ((uint64_t)c->shape->n_vocab + 5 * c->shape->n_embd);
}

/* The largest cache of one layer as it is stored: K and V. */
static uint64_t find_layer_cache(const struct costs *c)
{
	const struct tally *y = &c->tallies[0];
	uint64_t most = 0;

	for (uint32_t i = 0; i < c->shape->n_run; i++)
		most = max_of(most, y->kv[i + 1] - y->kv[i]);
	return most;
}

/*
 * With layers left on the host, prompt batches bring their matrices to the first device one at a time
 * (the scheduler's op offload), and a layer's cache for its attention.
 */
static uint64_t brought_bytes(const struct costs *c, uint32_t n_host)
{
	const struct oldshape *s = c->shape;
	uint64_t big = c->largest[n_host], rows = s->n_embd + (uint64_t)s->n_head * s->head_k;
	uint64_t cache = layer_bytes(c) + c->layer_cache + row_bytes(&c->ask, rows);

	if (s->n_used)
		big += layer_bytes(c) + row_bytes(&c->ask, 3 * rows);
	else
		big += row_bytes(&c->ask, 2 * (uint64_t)s->n_ff + 4 * rows);
	return max_of(big, cache);
}

static uint64_t compute_bytes(const struct costs *c, const struct backend *b, bool first,
			      bool pipeline, uint32_t n_host)
{
	uint64_t mask = mask_bytes(c), graph = max_of(graph_bytes(c, b), logits_bytes(c));

	if (n_host && first && b->offloads_ops)
		graph = max_of(graph, brought_bytes(c, n_host) + staged_bytes(c, b));
	else if (n_host && c->shape->n_used) /* the experts' outputs travel back whole */
		graph += row_bytes(&c->ask, (c->shape->n_used + 1) * (uint64_t)c->shape->n_embd);
	/* A pipeline keeps copies of what enters each device; the first also of the embeddings. */
	if (pipeline)
		graph += (PIPELINE - 1) * mask +
			 row_bytes(&c->ask, (first ? 13 : 8) * (uint64_t)c->shape->n_embd);
	return graph + mask + rotation_bytes(c);
}

/* --- the two sides --- */

int costs_prepare(struct costs *c, const struct model *m, const struct oldshape *s,
		  const struct ask *a, const struct backend *const *backends, uint32_t n,
		  struct err *e)
{
	memset(c, 0, sizeof(*c));
	c->model = m;
	c->shape = s;
	c->ask = *a;
	/* Sums stay far below 2^64: the tensors of a file add up to less than 2^63 (gguf.c). */
	c->tallies[c->n_tallies++].backend = backend_find("cpu");
	for (uint32_t i = 0; i < n; i++) {
		if (!has_tally(c, backends[i]) && c->n_tallies < 8)
			c->tallies[c->n_tallies++].backend = backends[i];
	}
	for (uint32_t i = 0; i < c->n_tallies; i++) {
		int rc = sum_all(&c->tallies[i], c, e);

		if (rc)
			return rc;
	}
	find_largest(c);
	c->staged = find_staged(c);
	c->layer_cache = find_layer_cache(c);
	return 0;
}

bool costs_pipeline(const struct costs *c, const struct berthing *b, uint32_t n, uint32_t n_host)
{
	if (ask_overrides(&c->ask) || n < 2 || n_host || c->ask.cache_on_host)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!b[i].backend->copies_inputs)
			return false;
	}
	return true;
}

void costs_device(const struct costs *c, const struct berthing *b, bool first, bool pipeline,
		  uint32_t n_host, struct plan_buffers *out)
{
	const struct tally *y = tally_of(c, b->backend);
	uint32_t begin = b->first, end = begin + b->units, n_layer = c->shape->n_layer;

	*out = (struct plan_buffers) { 0 };
	if (b->units == 0)
		return;
	out->weights_bytes = y->weights[end] - y->weights[begin];
	if (begin < n_layer)
		out->weights_bytes += y->every;
	if (end == n_layer + 1)
		out->weights_bytes += y->tied;
	if (!c->ask.cache_on_host)
		out->kv_bytes = y->kv[end] - y->kv[begin];
	out->compute_bytes = compute_bytes(c, b->backend, first, pipeline, n_host);
	out->overhead_bytes = b->backend->overhead_bytes;
}

void costs_host(const struct costs *c, const struct berthing *b, uint32_t n, uint32_t n_host,
		struct plan_buffers *out)
{
	const struct tally *y = &c->tallies[0];
	uint64_t copies = costs_pipeline(c, b, n, n_host) ? PIPELINE : 1, mask = mask_bytes(c),
		 graph;

	*out = (struct plan_buffers) { 0 };
	out->weights_bytes = y->input + y->weights[n_host] + (n_host ? y->every : 0);
	out->kv_bytes = y->kv[c->ask.cache_on_host ? c->shape->n_layer + 1 : n_host];
	out->overhead_bytes = y->backend->overhead_bytes;
	if (n == 0 || (n_host && !b[0].backend->offloads_ops))
		graph = max_of(layer_bytes(c), logits_bytes(c)) +
			row_bytes(&c->ask, c->shape->n_embd);
	else
		graph = row_bytes(&c->ask, 4 * (uint64_t)c->shape->n_embd) + SLACK_BYTES;
	/* The logits of each sequence are kept in host memory for the caller. */
	out->compute_bytes = copies * (graph + mask) + rotation_bytes(c) +
			     4 * (uint64_t)c->ask.n_seq * c->shape->n_vocab;
}

void split_units(uint32_t n_layer, uint32_t n_gpu_layers, const float *split, uint32_t n,
		 uint32_t *units)
{
	uint32_t active = n_gpu_layers < n_layer + 1 ? n_gpu_layers : n_layer + 1;
	float ends[PLAN_DEVICES_MAX], sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		sum += split[i];
		ends[i] = sum;
		units[i] = 0;
	}
	for (uint32_t k = 0; n && k < active; k++) {
		uint32_t i = 0;

		while (i < n - 1 && !(ends[i] / sum > (float)k / (float)active))
			i++;
		units[i]++;
	}
}
