/* SPDX-License-Identifier: MIT */
/* From a configuration as it was asked to the one that the engine runs (llama_context, v0.5.0). */
#include "vram-planner/ask.h"

#include <inttypes.h>

#include "vram-planner/model.h"
#include "vram-planner/round.h"

void ask_default(struct ask *a)
{
	uint32_t f16 = 0;

	quant_from_name("f16", &f16);
	*a = (struct ask) { .n_batch = ASK_BATCH_DEFAULT,
			    .n_ubatch = ASK_UBATCH_DEFAULT,
			    .n_seq = 1,
			    .type_k = f16,
			    .type_v = f16,
			    .flash_attn = true,
			    .op_offload = true,
			    .n_gpu_layers = ASK_ALL_LAYERS };
}

uint32_t ask_least_outputs(const struct ask *a)
{
	return a->n_seq * (1 + a->n_draft);
}

void ask_of_plan(struct ask *a, const struct plan *p)
{
	const struct plan_flags *f = &p->flags;

	ask_default(a);
	a->n_ctx = f->n_ctx;
	a->n_batch = f->n_batch;
	a->n_ubatch = f->n_ubatch;
	a->n_seq = f->n_seq_max ? f->n_seq_max : 1;
	a->n_ctx_seq = f->kv_unified ? f->n_ctx : f->n_ctx / a->n_seq;
	a->n_outputs = f->n_outputs_max ? f->n_outputs_max : a->n_seq;
	a->n_draft = p->draft.n_max;
	a->n_cpu_moe = f->n_cpu_moe;
	a->n_gpu_layers = f->n_gpu_layers;
	quant_from_name(f->type_k, &a->type_k);
	quant_from_name(f->type_v, &a->type_v);
	a->flash_attn = f->flash_attn;
	a->unified = f->kv_unified;
	a->cache_on_host = f->no_kv_offload;
	a->swa_full = f->swa_full;
	a->embeddings = f->embeddings;
	a->mtp = f->load_mtp;
	for (uint32_t i = 0; i < p->n_devices && i < PLAN_DEVICES_MAX; i++)
		a->split[i] = (float)p->devices[i].layers;
	for (uint32_t i = 0; i < p->n_tensors && i < ASK_OVERRIDES_MAX; i++)
		a->overrides[a->n_overrides++] = p->tensors[i];
}

static uint32_t least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

int ask_settle(struct ask *a, uint32_t n_ctx_train, bool causal, struct err *e)
{
	uint64_t n_ctx = a->n_ctx ? a->n_ctx : n_ctx_train;

	if (a->n_seq == 0 || a->n_seq > ASK_SEQ_MAX)
		return err_set(e, -ERANGE, "%" PRIu32 " parallel sequences; 1 to %d are possible",
			       a->n_seq, ASK_SEQ_MAX);
	if (n_ctx == 0 || n_ctx > INT32_MAX - CTX_STEP * ASK_SEQ_MAX)
		return err_set(e, -ERANGE, "a context of %" PRIu64 " tokens; 1 to %d are possible",
			       n_ctx, INT32_MAX - CTX_STEP * ASK_SEQ_MAX);
	if (a->n_batch == 0 && a->n_ubatch == 0)
		return err_set(e, -ERANGE, "a batch of no tokens");
	/* Batches are cut to the context as it was asked, before padding. */
	if (a->n_batch == 0 || (causal && a->n_batch > n_ctx))
		a->n_batch = causal ? (uint32_t)n_ctx : a->n_ubatch;
	a->n_ubatch = least(a->n_batch, a->n_ubatch ? a->n_ubatch : a->n_batch);
	if (a->n_outputs == 0)
		a->n_outputs = a->n_batch;
	n_ctx = round_up(n_ctx, CTX_STEP);
	a->n_ctx_seq = (uint32_t)(a->unified ? n_ctx : round_up(n_ctx / a->n_seq, CTX_STEP));
	a->n_ctx = a->n_ctx_seq * (a->unified ? 1 : a->n_seq);
	return 0;
}

uint32_t ask_streams(const struct ask *a)
{
	return a->unified ? 1 : a->n_seq;
}

uint32_t ask_cells_window(const struct ask *a, uint32_t window)
{
	uint64_t seen = (uint64_t)window * (a->unified ? a->n_seq : 1) + a->n_ubatch;

	if (a->swa_full || seen >= a->n_ctx_seq)
		return a->n_ctx_seq;
	return (uint32_t)round_up(seen, CTX_STEP);
}

bool ask_overrides(const struct ask *a)
{
	return a->n_overrides || a->n_cpu_moe;
}
