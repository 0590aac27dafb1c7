/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "launch/policy.h"

#define DELAY_MS     1000
#define DELAY_MAX_MS 60000
#define CTX_MIN      512

/* What helps against an ending. One that is not here may pass by itself: the same again, after a wait. */
static const struct {
	const char *class;
	enum policy_step step;
} remedies[] = {
	{ "none", POLICY_END },
	{ "stopped", POLICY_END },
	/* The next one would be placed, read or linked the same way */
	{ "placement", POLICY_END },
	{ "plan", POLICY_END },
	{ "version", POLICY_END },
	{ "device", POLICY_REPLAN },
	{ "device lost", POLICY_REPLAN },
	{ "oom", POLICY_SMALLER },
	{ "illegal instruction", POLICY_PLAIN },
};

static enum policy_step remedy(const char *class)
{
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (strcmp(remedies[i].class, class) == 0)
			return remedies[i].step;
	return POLICY_AGAIN;
}

/* How often it was started within the window. */
static uint32_t recent(const struct policy *p, int64_t now_ms)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_starts && i < POLICY_STARTS_MAX; i++)
		n += now_ms - p->starts_ms[i] < POLICY_WINDOW_MS;
	return n;
}

static int64_t delay(uint32_t earlier)
{
	int64_t ms = DELAY_MS;

	for (uint32_t i = 0; i < earlier && ms < DELAY_MAX_MS; i++)
		ms *= 2;
	return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

struct policy_decision policy_next(struct policy *p, const struct ending *end, bool served,
				   int64_t now_ms)
{
	static const struct policy_decision give_up = { .step = POLICY_END, .gave_up = true };
	struct policy_decision d = { .step = remedy(end->class) };
	uint32_t earlier = recent(p, now_ms);

	if (d.step == POLICY_END)
		return d;
	if (earlier == POLICY_STARTS_MAX || (d.step == POLICY_PLAIN && p->plain) ||
	    (d.step == POLICY_SMALLER && p->smaller == POLICY_SMALLER_MAX))
		return give_up;
	/* What was changed need not wait */
	if (d.step == POLICY_AGAIN && !(served && earlier == 0))
		d.delay_ms = delay(earlier);
	p->plain = p->plain || d.step == POLICY_PLAIN;
	p->smaller += d.step == POLICY_SMALLER;
	p->starts_ms[p->n_starts++ % POLICY_STARTS_MAX] = now_ms + d.delay_ms;
	return d;
}

static bool wide(const char *type)
{
	return strcmp(type, "f16") == 0 || strcmp(type, "f32") == 0 || strcmp(type, "bf16") == 0;
}

/* It only makes the model faster: nobody hears that it is gone. */
static bool shrink_draft(struct wish *w, const struct plan *p, char *said, size_t size)
{
	if (!p->draft.n_max)
		return false;
	w->n_draft = 0;
	snprintf(said, size, "no draft model");
	return true;
}

static bool shrink_cache(struct wish *w, const struct plan *p, char *said, size_t size)
{
	if (!wide(p->flags.type_k) && !wide(p->flags.type_v))
		return false;
	text_copy(w->type_k, sizeof(w->type_k), "q8_0");
	text_copy(w->type_v, sizeof(w->type_v), "q8_0");
	snprintf(said, size, "the cache as q8_0 instead of %s", p->flags.type_k);
	return true;
}

static bool shrink_context(struct wish *w, const struct plan *p, char *said, size_t size)
{
	if (p->flags.n_ctx / 2 < CTX_MIN)
		return false;
	w->n_ctx = p->flags.n_ctx / 2;
	snprintf(said, size, "a context of %u tokens instead of %u", w->n_ctx, p->flags.n_ctx);
	return true;
}

/* A quarter of the largest device's share more stays free on each: the planner moves layers away. */
static bool shrink_layers(struct wish *w, const struct plan *p, char *said, size_t size)
{
	uint64_t largest = 0, margin = 0;
	char text[TEXT_SIZE_MAX];

	for (uint32_t d = 0; d < p->n_devices; d++) {
		const struct plan_buffers *b = &p->devices[d].buffers;

		if (b->weights_bytes > largest)
			largest = b->weights_bytes;
		if (b->overhead_bytes > margin)
			margin = b->overhead_bytes;
	}
	if (p->accept == ACCEPT_GPU || largest == 0 ||
	    __builtin_add_overflow(margin, largest / 4, &margin) || margin > INT64_MAX)
		return false;
	w->margin_bytes = fact_of((int64_t)margin, SRC_GUESS);
	w->n_split = w->n_shares = 0;
	w->has_gpu_layers = false;
	snprintf(said, size, "%s left free on each device", text_size(text, margin));
	return true;
}

bool policy_shrink(struct wish *w, const struct plan *p, uint32_t *tried, char *said, size_t size)
{
	static bool (*const steps[])(struct wish *, const struct plan *, char *, size_t) = {
		shrink_draft,
		shrink_cache,
		shrink_context,
		shrink_layers,
	};

	while (*tried < sizeof(steps) / sizeof(steps[0]))
		if (steps[(*tried)++](w, p, said, size))
			return true;
	return false;
}

void policy_wish(struct wish *w, const struct plan *p)
{
	const struct plan_flags *f = &p->flags;

	memset(w, 0, sizeof(*w));
	w->accept = p->accept;
	w->n_ctx = f->n_ctx;
	w->n_batch = f->n_batch;
	w->n_ubatch = f->n_ubatch;
	w->n_seq_max = f->n_seq_max;
	w->n_outputs = f->n_outputs_max;
	w->n_draft = p->draft.n_max;
	w->n_cpu_moe = f->n_cpu_moe;
	text_copy(w->type_k, sizeof(w->type_k), f->type_k);
	text_copy(w->type_v, sizeof(w->type_v), f->type_v);
	w->flash_attn = f->flash_attn ? CHOICE_ON : CHOICE_OFF;
	w->unified = f->kv_unified ? CHOICE_ON : CHOICE_OFF;
	w->cache_on_host = f->no_kv_offload;
	w->swa_full = f->swa_full;
	w->mtp = f->load_mtp;
	w->embeddings = f->embeddings;
	w->accept_unverified = p->unverified;
}
