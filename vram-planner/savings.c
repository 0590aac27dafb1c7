/* SPDX-License-Identifier: MIT */
/* What would take less of a device: the same plan with one setting changed, asked for its bill. */
#include "vram-planner/terms_priv.h"

#define MIB (UINT64_C(1) << 20)

static bool smaller_cache(struct ask *a)
{
	uint32_t q8 = a->type_k;

	quant_from_name("q8_0", &q8);
	if (quant_is_blocked(a->type_k) && quant_is_blocked(a->type_v))
		return false;
	a->type_k = a->type_v = q8;
	return true;
}

static bool half_context(struct ask *a)
{
	a->n_ctx = a->n_ctx / 2;
	return a->n_ctx > 0;
}

static bool smaller_batch(struct ask *a)
{
	if (a->n_ubatch <= 128)
		return false;
	a->n_ubatch = 128;
	return true;
}

static bool host_cache(struct ask *a)
{
	if (a->cache_on_host)
		return false;
	a->cache_on_host = true;
	return true;
}

static bool more_host_experts(struct ask *a)
{
	a->n_cpu_moe++;
	return true;
}

static bool no_mtp(struct ask *a)
{
	bool was = a->mtp;

	a->mtp = false;
	return was;
}

static bool own_window(struct ask *a)
{
	bool was = a->swa_full;

	a->swa_full = false;
	return was;
}

static bool one_output(struct ask *a)
{
	if (a->n_outputs <= ask_least_outputs(a))
		return false;
	a->n_outputs = ask_least_outputs(a);
	return true;
}

static const struct {
	bool (*apply)(struct ask *a); /* false: no change */
	const char *words;
} savings[] = {
	{ half_context, "half the context (-c)" },
	{ smaller_cache, "a cache of 8 bits (--cache-type-k q8_0 --cache-type-v q8_0)" },
	{ smaller_batch, "smaller batches (--ubatch 128)" },
	{ more_host_experts, "the experts of one more layer on the host (--n-cpu-moe)" },
	{ host_cache, "the cache on the host (--no-kv-offload)" },
	{ own_window, "windows alone (without --swa-full)" },
	{ no_mtp, "no prediction layers (without --mtp)" },
	{ one_output, "logits of the last token alone (without --n-outputs)" },
};

static uint64_t engine_bytes(const struct bill *b, uint32_t device)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct bill_part *p = &b->parts[i];

		if (device == HOST ? p->kind != BILL_DEVICE
				   : p->kind == BILL_DEVICE && p->device == device)
			sum += p->weights_bytes + p->kv_bytes + p->compute_bytes + p->output_bytes;
	}
	return sum;
}

void savings_explain(struct text *t, const struct view *v, uint32_t device)
{
	uint64_t now = engine_bytes(&v->bill, device);
	char size[TEXT_SIZE_MAX];

	text_add(t, "\nwhat would take less of it\n");
	for (size_t i = 0; i < sizeof(savings) / sizeof(savings[0]); i++) {
		struct ask a = v->ask;
		struct bill b;

		if (!savings[i].apply(&a) ||
		    biller_bill(v->biller, &a, v->targets, v->plan->n_devices, &b, NULL) ||
		    b.refused || engine_bytes(&b, device) + MIB > now)
			continue;
		text_add(t, "    %10s  %s\n", text_size(size, now - engine_bytes(&b, device)),
			 savings[i].words);
	}
}
