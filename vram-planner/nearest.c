/* SPDX-License-Identifier: MIT */
/*
 * The nearest yes: small changes of the wish, each tried by the planner itself, so that what it offers is
 * a yes by the same arithmetic. Ranked by what a user loses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/task.h"

/* A change of the wish; false: it changes nothing here. */
struct change {
	bool (*apply)(struct task *q, struct wish *w);
	int loss; /* the order among the answers: 0 hurts nobody; less context comes on top */
	const char *words;
};

static bool flash_attention(struct task *q, struct wish *w)
{
	(void)q;
	if (w->flash_attn != CHOICE_OFF)
		return false;
	w->flash_attn = CHOICE_ON;
	return true;
}

static bool all_layers(struct task *q, struct wish *w)
{
	(void)q;
	if (!w->has_gpu_layers && !w->n_shares && !w->n_cpu_moe && !w->cache_on_host)
		return false;
	w->cache_on_host = false;
	w->has_gpu_layers = false;
	w->n_shares = 0;
	w->n_cpu_moe = 0;
	return true;
}

static bool window_alone(struct task *q, struct wish *w)
{
	(void)q;
	if (!w->swa_full)
		return false;
	w->swa_full = false;
	return true;
}

static void set_cache(struct wish *w, const char *type)
{
	text_copy(w->type_k, sizeof(w->type_k), type);
	text_copy(w->type_v, sizeof(w->type_v), type);
}

static bool cache_of(const struct task *q, struct wish *w, const char *type)
{
	uint32_t k = 0, v = 0, to = 0;
	uint64_t now_k, now_v, then;

	(void)q;
	quant_from_name(w->type_k[0] ? w->type_k : "f16", &k);
	quant_from_name(w->type_v[0] ? w->type_v : "f16", &v);
	if (!quant_from_name(type, &to) || !quant_bytes(k, 256, &now_k) ||
	    !quant_bytes(v, 256, &now_v) || !quant_bytes(to, 256, &then) ||
	    2 * then >= now_k + now_v)
		return false;
	set_cache(w, type);
	return true;
}

static bool cache_q8(struct task *q, struct wish *w)
{
	return cache_of(q, w, "q8_0");
}

static bool cache_q4(struct task *q, struct wish *w)
{
	return cache_of(q, w, "q4_0");
}

/* For what the engine refuses with a quantized cache. */
static bool cache_plain(struct task *q, struct wish *w)
{
	if (!quant_is_blocked(q->ask.type_k) && !quant_is_blocked(q->ask.type_v))
		return false;
	set_cache(w, "f16");
	return true;
}

static bool cache_half(struct task *q, struct wish *w)
{
	(void)q;
	if (strcmp(w->type_k, "f32") != 0 && strcmp(w->type_v, "f32") != 0)
		return false;
	set_cache(w, "f16");
	return true;
}

static bool small_batch(struct task *q, struct wish *w)
{
	if (q->ask.n_ubatch <= 128)
		return false;
	w->n_ubatch = 128;
	return true;
}

static bool experts_on_host(struct task *q, struct wish *w)
{
	struct placing p;

	if (w->accept != ACCEPT_GPU || !q->shape->n_expert || w->n_cpu_moe || !q->search.n_seats)
		return false;
	w->accept = ACCEPT_SPILL;
	if (!task_yes(q, w, &p) || !p.ask.n_cpu_moe || p.bill.n_host)
		return false;
	w->n_cpu_moe = p.ask.n_cpu_moe;
	return true;
}

static bool layers_on_host(struct task *q, struct wish *w)
{
	if (w->accept != ACCEPT_GPU || !q->search.n_seats)
		return false;
	w->accept = ACCEPT_SPILL;
	return true;
}

static bool all_on_host(struct task *q, struct wish *w)
{
	(void)q;
	if (w->accept == ACCEPT_CPU)
		return false;
	w->accept = ACCEPT_CPU;
	return true;
}

static bool shorter_context(struct task *q, struct wish *w)
{
	uint32_t low = 0, high = (q->ask.n_ctx - 1) / CTX_STEP; /* in steps; 0: none is a yes */
	struct placing p;

	w->n_ctx = q->ask.n_ctx;
	if (task_yes(q, w, &p))
		return false; /* it need not be shorter */
	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		w->n_ctx = mid * CTX_STEP;
		if (task_yes(q, w, &p))
			low = mid;
		else
			high = mid - 1;
	}
	w->n_ctx = low * CTX_STEP;
	return low > 0;
}

static bool shorter_q8(struct task *q, struct wish *w)
{
	return cache_q8(q, w) && shorter_context(q, w);
}

static bool shorter_on_host(struct task *q, struct wish *w)
{
	return layers_on_host(q, w) && shorter_context(q, w);
}

static bool shorter_on_cpu(struct task *q, struct wish *w)
{
	return all_on_host(q, w) && shorter_context(q, w);
}

static const struct change changes[] = {
	{ flash_attention, 0, "nothing: flash attention computes the same" },
	{ all_layers, 0, "nothing: the layers go where they fit" },
	{ window_alone, 1, "sliding layers forget what is behind their window" },
	{ cache_half, 2, "hardly anything: the cache keeps 16 bits a number" },
	{ cache_plain, 2, "memory: the cache takes more" },
	{ cache_q8, 3, "little: the cache keeps 8 bits a number" },
	{ small_batch, 4, "prompts are read more slowly" },
	{ shorter_context, 2, "context" },
	{ cache_q4, 5, "quality of long contexts: the cache keeps 4 bits a number" },
	{ shorter_q8, 3, "context, and the cache keeps 8 bits a number" },
	{ experts_on_host, 8, "speed: experts are in host memory" },
	{ layers_on_host, 9, "speed: layers are in host memory" },
	{ shorter_on_host, 9, "speed, as layers are in host memory, and context" },
	{ shorter_on_cpu, 11, "much speed, as the processor computes alone, and context" },
	{ all_on_host, 11, "much speed: the processor computes alone" },
};

/* A little less context hardly hurts; half of it hurts like 4 bits. */
static int loss_of(const struct change *c, const struct task *q, const struct wish *w)
{
	uint32_t now = q->ask.n_ctx;

	if (!w->n_ctx || w->n_ctx >= now)
		return 10 * c->loss;
	return 10 * c->loss + (int)(60 * (uint64_t)(now - w->n_ctx) / now);
}

/* What differs between two wishes, as options. */
static void differences(struct text *t, const struct wish *from, const struct wish *to)
{
	if (to->n_ctx != from->n_ctx)
		text_add(t, " -c %" PRIu32, to->n_ctx);
	if (strcmp(to->type_k, from->type_k) != 0 || strcmp(to->type_v, from->type_v) != 0)
		text_add(t, " --cache-type-k %s --cache-type-v %s", to->type_k, to->type_v);
	if (to->n_ubatch != from->n_ubatch)
		text_add(t, " --ubatch %" PRIu32, to->n_ubatch);
	if (to->flash_attn != from->flash_attn)
		text_add(t, " --flash-attn on");
	if (to->swa_full != from->swa_full)
		text_add(t, " without --swa-full");
	if (to->has_gpu_layers != from->has_gpu_layers)
		text_add(t, " without --gpu-layers");
	if (to->cache_on_host != from->cache_on_host)
		text_add(t, " without --no-kv-offload");
	if (to->n_shares != from->n_shares)
		text_add(t, " without --tensor-split");
	if (to->n_cpu_moe && to->n_cpu_moe != from->n_cpu_moe)
		text_add(t, " --n-cpu-moe %" PRIu32, to->n_cpu_moe);
	else if (from->n_cpu_moe && !to->n_cpu_moe)
		text_add(t, " without --n-cpu-moe");
	if (to->accept != from->accept)
		text_add(t, " --accept %s", accept_name(to->accept));
}

void plan_offer(struct plan *p, const struct plan_nearest *n)
{
	uint32_t at = p->n_nearest < PLAN_NEAREST_MAX ? p->n_nearest++ : PLAN_NEAREST_MAX;
	struct text t;

	if (at == PLAN_NEAREST_MAX && p->nearest[--at].rank <= n->rank)
		return;
	for (; at > 0 && p->nearest[at - 1].rank > n->rank; at--)
		p->nearest[at] = p->nearest[at - 1];
	p->nearest[at] = *n;
	text_init(&t, p->nearest_yes, sizeof(p->nearest_yes));
	text_add(&t, "%s", p->nearest[0].change);
	if (p->n_nearest > 1 && t.len + 4 + strlen(p->nearest[1].change) < t.size)
		text_add(&t, " or %s", p->nearest[1].change);
}

static bool try_change(struct task *q, const struct change *c, struct plan_nearest *n)
{
	struct wish w = *q->wish;
	struct placing p;
	struct text t;
	char buf[sizeof(n->change) + 1];

	/* What a search would vary is varied already. */
	w.want = WANT_NONE;
	if (!c->apply(q, &w) || !task_yes(q, &w, &p))
		return false;
	*n = (struct plan_nearest) { .rank = loss_of(c, q, &w) };
	text_init(&t, buf, sizeof(buf));
	differences(&t, q->wish, &w);
	text_copy(n->change, sizeof(n->change), buf + 1);
	text_init(&t, n->options, sizeof(n->options));
	wish_options(&t, &w);
	text_copy(n->loss, sizeof(n->loss), c->words);
	if (w.n_ctx && w.n_ctx < q->ask.n_ctx)
		snprintf(n->loss, sizeof(n->loss), "%s: %" PRIu32 " tokens of %" PRIu32, c->words,
			 w.n_ctx, q->ask.n_ctx);
	n->verdict = placing_fits(&p) ? VERDICT_FITS : VERDICT_SPILLS;
	return !t.cut;
}

/* Why there is no yes near. */
static void say_hopeless(struct plan *p, const struct task *q)
{
	uint64_t weights = p->host.buffers.weights_bytes, memory = 0;
	char is[TEXT_SIZE_MAX], has[TEXT_SIZE_MAX];

	for (uint32_t i = 0; i < p->n_devices; i++)
		weights += p->devices[i].buffers.weights_bytes;
	for (uint32_t i = 0; i < q->search.n_seats; i++)
		memory += q->search.seats[i].free_bytes;
	if (fact_known(&q->search.host_free))
		memory += (uint64_t)q->search.host_free.v;
	if (weights > memory)
		plan_assume(
			p,
			"nothing helps here: the weights alone are %s, and %s are free on GPUs and "
			"host together",
			text_size(is, weights), text_size(has, memory));
	else
		plan_assume(p, "no change of cache, batch, context or place makes it run here");
}

void nearest_find(struct plan *p, struct task *q)
{
	struct plan_nearest n;

	/*
	 * A split by hand is the user's answer; changing it behind their back is not. A goal has been
	 * searched for already.
	 */
	if (q->wish->n_split || q->unreached)
		return;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (try_change(q, &changes[i], &n))
			plan_offer(p, &n);
	}
	if (p->n_nearest == 0)
		say_hopeless(p, q);
}
