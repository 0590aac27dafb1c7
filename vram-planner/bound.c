/* SPDX-License-Identifier: MIT */
/* What a batch could need at most, were nothing known of the graph but its weights and caches. */
#include "vram-planner/bound.h"

#include "vram-planner/cache.h"

#define COPIES 4 /* of the inputs when devices work as a pipeline (GGML_SCHED_MAX_COPIES) */
#define SLACK  (UINT64_C(1) << 20)
#define ROUTER 6 /* rows of one number for each expert: logits, probabilities, order... */
#define INPUTS 6 /* rows of n_embd that come in: embeddings, given and gathered */
#define TABLES 3 /* for each table of the host: its rows, their sum, and its scale */

/* Rows of n_embd beside a layer's products: norms, sums, the residual itself. */
#define RESIDUALS 12

/* Sums saturate: a header may be hostile, and what is beyond 64 bits fits nowhere. */
static uint64_t mul(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_mul_overflow(a, b, &v) ? UINT64_MAX : v;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

struct bound {
	const struct shape *s;
	const struct ask *a;
	const struct placement *p;
	uint64_t tokens, cells;
};

/* Numbers that a token has in a product with this weight. */
static uint64_t product_row(const struct bound *b, const struct tensor *t, const struct role *r)
{
	if (t->ne[1] < 2)
		return 0;
	if (r->experts || t->ne[2] == b->s->n_expert)
		return mul(t->ne[1], b->s->n_used_max ? b->s->n_used_max : 1);
	return mul(t->ne[1], mul(t->ne[2], t->ne[3]));
}

/* The widest of the layers: every product once, and once more for what is made of it. */
static uint64_t layer_bytes(const struct bound *b)
{
	uint64_t rows[LAYERS_MAX] = { 0 }, most = 0;
	uint32_t n = model_n_tensors(b->s->model);

	for (uint32_t i = 0; i < n; i++) {
		const struct tensor *t = model_tensor(b->s->model, i);

		if (t->layer >= 0)
			rows[t->layer] = add(rows[t->layer], product_row(b, t, &b->s->roles[i]));
	}
	for (uint32_t i = 0; i < b->s->n_layer; i++)
		most = rows[i] > most ? rows[i] : most;
	most = add(mul(2, most), mul(RESIDUALS, b->s->n_embd));
	most = add(most, mul(ROUTER, b->s->n_expert));
	most = add(most, mul(b->s->n_used_max, b->s->n_embd)); /* experts' results, weighed */
	return mul(4 * b->tokens, most);
}

/* The widest layer's cache and states. */
static void widest(const struct bound *b, uint64_t *cache, uint64_t *state)
{
	*cache = *state = 0;
	for (uint32_t i = 0; i < b->s->n_layer; i++) {
		struct cache_tensor t[CACHE_TENSORS_MAX];
		uint32_t n = cache_tensors(b->s, b->a, i, t);
		uint64_t cells = 0, states = 0;

		while (n-- > 0) {
			uint64_t numbers = mul(t[n].ne[0], mul(t[n].ne[1], t[n].ne[2]));

			if (t[n].kind == CACHE_CONV || t[n].kind == CACHE_STATE)
				states = add(states, numbers);
			else
				cells = add(cells, numbers);
		}
		*cache = cells > *cache ? cells : *cache;
		*state = states > *state ? states : *state;
	}
}

/* Scores of every head without flash attention, three times; with it, its copies of the cache in f16. */
static uint64_t attention_bytes(const struct bound *b)
{
	uint64_t cache, state, bytes;

	widest(b, &cache, &state);
	bytes = add(mul(2, cache), mul(4 * 4, state));
	if (!b->a->flash_attn || b->s->no_flash_attn)
		bytes = add(bytes, mul(3 * 4 * b->cells, mul(b->tokens, b->s->n_head)));
	return bytes;
}

/* Linear attention without a state space decays by a matrix of tokens by tokens for each head. */
static uint64_t decay_bytes(const struct bound *b)
{
	uint64_t v;

	if (b->s->ssm_inner || !model_u64(b->s->model, "full_attention_interval", &v))
		return 0;
	return mul(4 * b->tokens, mul(b->tokens, b->s->n_head));
}

/* Masks of two caches, should some layers slide, and what is embedded. */
static uint64_t input_bytes(const struct bound *b)
{
	uint64_t flash = b->a->flash_attn && !b->s->no_flash_attn;
	uint64_t masks = b->cells > b->tokens ? b->cells : b->tokens;
	uint64_t pooled = b->a->embeddings ? mul(16 * b->tokens, b->tokens) : 0;
	uint64_t row = mul(INPUTS, b->s->n_embd);
	uint32_t n = model_n_tensors(b->s->model);

	for (uint32_t i = 0; i < n; i++) {
		if (b->s->roles[i].class == TENSOR_INPUT)
			row = add(row, mul(TABLES, model_tensor(b->s->model, i)->ne[0]));
	}
	pooled = add(pooled, decay_bytes(b));
	return add(pooled, add(mul(mul(2, flash ? 2 : 4), mul(masks, b->tokens)),
			       mul(4 * b->tokens, add(row, 64))));
}

static uint64_t logits_bytes(const struct bound *b)
{
	uint64_t kept = b->a->n_outputs < b->tokens ? b->a->n_outputs : b->tokens;

	return mul(2 * 4 * kept, add(b->s->n_vocab, b->s->n_embd_out));
}

/* A prompt's batch brings the host's matrices to a device: one, and the next beside it. */
static uint64_t brought_bytes(const struct bound *b)
{
	uint32_t n = model_n_tensors(b->s->model);
	uint64_t most = 0;

	if (!b->a->op_offload || b->tokens < 32)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct tensor *t = model_tensor(b->s->model, i);
		bool used = b->s->roles[i].class == TENSOR_LAYER ||
			    b->s->roles[i].class == TENSOR_OUTPUT;

		if (used && b->p->home[i] == HOME_HOST && t->bytes > most)
			most = t->bytes;
	}
	return mul(2, most);
}

/* Whether anything of the trunk is computed on the host. */
static bool host_works(const struct bound *b)
{
	uint32_t n = model_n_tensors(b->s->model);

	for (uint32_t i = 0; i < n; i++) {
		if (b->s->roles[i].class != TENSOR_INPUT && b->p->home[i] < HOME_NONE)
			return true;
	}
	return b->a->cache_on_host || b->p->n_host > 0;
}

/* An operation on more than a device's buffers take moves to the host, and all copies with it. */
static bool limited(const struct bound *b, uint64_t works)
{
	uint32_t n = model_n_tensors(b->s->model);

	for (uint32_t i = 0; i < b->p->n_devices; i++) {
		uint64_t most = b->p->devices[i].max_buffer_bytes;

		if (most && works > most)
			return true;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (b->p->fate[i] == FATE_MOVED)
			return true;
	}
	return false;
}

/* Sizes that every device's kernels for flash attention have. */
static bool odd_heads(const struct shape *s)
{
	static const uint32_t sizes[] = { 64, 80, 96, 112, 128, 256 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (s->head_k == sizes[i] && s->head_v == sizes[i])
			return false;
	}
	return s->n_head > 0;
}

int compute_bound(const struct shape *s, const struct ask *a, const struct placement *p,
		  struct compute_bytes *out)
{
	struct bound b = { s, a, p, a->n_ctx < a->n_ubatch ? a->n_ctx : a->n_ubatch, a->n_ctx_seq };
	uint64_t copies = compute_pipeline(s, a, p) ? COPIES : 1;
	uint64_t inputs = mul(copies, input_bytes(&b));
	uint64_t works = add(add(layer_bytes(&b), attention_bytes(&b)),
			     add(logits_bytes(&b), mul(2, decay_bytes(&b))));
	uint64_t embd = a->embeddings ? s->n_embd_out : 0;

	*out = (struct compute_bytes) { .pipeline = copies > 1, .pinned = p->pinned >= 0 };
	if (copies > 1 && a->flash_attn && odd_heads(s)) {
		out->fault =
			"devices may lack flash attention for heads of this size, and several of "
			"them then copy whole caches; switch it off to plan it";
		return -ENOTSUP;
	}
	if (limited(&b, works)) {
		out->fault = "an operation may exceed max_buffer_bytes, and what that moves "
			     "is known for verified architectures only";
		return -ENOTSUP;
	}
	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (p->units[i])
			out->device[i] = add(add(inputs, works), add(brought_bytes(&b), SLACK));
	}
	out->host = add(inputs, SLACK);
	if (host_works(&b) || p->n_devices == 0)
		out->host = add(out->host, works);
	out->output = mul(4 * (uint64_t)a->n_seq, add(s->n_vocab, embd));
	return 0;
}
