/* SPDX-License-Identifier: MIT */
/* The sentences of a plan: what decided, what was taken for granted, what was by hand. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/backend.h"
#include "vram-planner/margin.h"
#include "vram-planner/round.h"
#include "vram-planner/speed.h"
#include "vram-planner/task.h"

static const char *title(const char *pci, const char *name, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	text_add(&t, "%s%s%.40s", pci, pci[0] && name[0] ? " " : "", name);
	return buf;
}

/* What all of it would need on the device with the most free memory alone. */
static uint64_t full_need(const struct task *q)
{
	const struct seat *seat = &q->search.seats[0];
	struct ask a = q->ask;
	struct bill b;

	a.n_gpu_layers = ASK_ALL_LAYERS;
	a.n_overrides = 0;
	memset(a.split, 0, sizeof(a.split));
	a.split[0] = 1;
	if (biller_bill(q->search.biller, &a, &seat->target, 1, &b, NULL))
		return 0;
	return bill_device_bytes(&b, 0) + seat->taken_bytes + bill_doubt_bytes(&b, 0);
}

/* The number that decided, for each verdict. */
void words_why(struct plan *p, const struct task *q)
{
	char need[TEXT_SIZE_MAX], has[TEXT_SIZE_MAX], name[96];
	uint32_t tight = 0;

	for (uint32_t i = 1; i < p->n_devices; i++) {
		if (p->devices[i].left_bytes < p->devices[tight].left_bytes)
			tight = i;
	}
	const struct plan_device *d = &p->devices[tight];
	bool device_short = p->n_devices && d->left_bytes < 0;

	if (p->verdict == VERDICT_FITS || device_short) {
		snprintf(p->decided_by, sizeof(p->decided_by), "needs %s on %s, free %s",
			 text_size(need, plan_buffers_sum(&d->buffers)),
			 title(d->pci, d->name, name, sizeof(name)),
			 text_size(has, (uint64_t)d->free_bytes.v));
	} else if (p->verdict == VERDICT_NO) {
		snprintf(p->decided_by, sizeof(p->decided_by), "needs %s on the host, free %s",
			 text_size(need, plan_buffers_sum(&p->host.buffers)),
			 text_size(has, (uint64_t)p->host.free_bytes.v));
	} else if (q->wish->cache_on_host && !q->placing.bill.host_weights) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "the cache is kept on the host by hand, %s",
			 text_size(need, p->host.buffers.kv_bytes));
	} else if (q->placing.n && !p->host.layers && (q->pinned.experts || q->wish->n_tensors)) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "%s are kept on the host by hand, %s",
			 q->pinned.experts ? "experts" : "tensors",
			 text_size(need, p->host.buffers.weights_bytes));
	} else if ((q->pinned.gpu_layers || q->pinned.by_shares) &&
		   q->ask.n_gpu_layers < q->search.n_units) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "%s %" PRIu32 " leaves %" PRIu32 " on the host",
			 q->pinned.gpu_layers ? "--gpu-layers" : "a split of",
			 p->flags.n_gpu_layers, p->host.layers);
	} else if (q->search.n_seats == 0) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "no GPU that can be judged; needs %s on the host, free %s",
			 text_size(need, plan_buffers_sum(&p->host.buffers)),
			 text_size(has, (uint64_t)p->host.free_bytes.v));
	} else {
		const struct seat *s = &q->search.seats[0];
		const struct place *most = &q->places[s->place];
		uint64_t needs = full_need(q), limit = s->target.max_buffer_bytes;

		title(most->pci, most->name, name, sizeof(name));
		if (limit && needs <= s->free_bytes)
			snprintf(p->decided_by, sizeof(p->decided_by),
				 "it has tensors or operations beyond the %s that %s can work on",
				 text_size(has, limit), name);
		else
			snprintf(p->decided_by, sizeof(p->decided_by),
				 "all of it needs %s, free %s on %s%s", text_size(need, needs),
				 text_size(has, s->free_bytes), name,
				 q->search.n_seats > 1 ? " (and others)" : "");
	}
}

/* A GPU that could change a refusal, but whose memory nobody could tell, makes the answer unknown. */
void words_doubt(struct plan *p, const struct task *q)
{
	const struct place *u = &q->places[q->unjudged];
	char name[96], why[240];
	bool known = backend_find(u->backend) != NULL;

	title(u->pci, u->name, name, sizeof(name));
	if (known)
		snprintf(why, sizeof(why), "the free memory of %s is unknown (%s)%s", name,
			 why_name(u->free_bytes.why),
			 u->free_bytes.why == WHY_ASLEEP ? "; --wake reads it" : "");
	else
		snprintf(why, sizeof(why), "the rules of %s's backend '%.15s' are unknown", name,
			 u->backend);
	plan_assume(p, "%.140s: not used", why);
	if (plan_exit(p) == EXIT_NO) {
		p->verdict = VERDICT_UNKNOWN;
		text_copy(p->decided_by, sizeof(p->decided_by), why);
	}
}

void words_assumptions(struct plan *p, const struct task *q)
{
	char size[TEXT_SIZE_MAX], name[96];

	if (q->placing.bill.unverified)
		plan_assume(p,
			    PLAN_BOUND_NOTE
			    " '%s' are verified: the numbers are an upper bound, every "
			    "layer with a full cache",
			    p->arch);
	else
		plan_assume(p, "compute buffers are predicted; weights and cache are exact");
	if (p->flags.n_ctx > round_up(q->shape->n_ctx_train, CTX_STEP))
		plan_assume(
			p, "the context is beyond the %" PRIu32 " tokens the model was trained for",
			q->shape->n_ctx_train);
	if (model_size_bytes(q->model) < model_expected_bytes(q->model))
		plan_assume(
			p,
			"the file holds %s of data less than its header promises: planned, not launchable",
			text_size(size,
				  model_expected_bytes(q->model) - model_size_bytes(q->model)));
	for (uint32_t i = 0; model_note(q->model, i); i++)
		plan_assume(p, "%s", model_note(q->model, i));
	if (p->host.layers)
		plan_assume(
			p,
			"the CPU may hold its layers repacked, beside the mapped file, whose pages can "
			"be dropped again");
	if (!fact_known(&p->host.free_bytes))
		plan_assume(p, "the host's free memory is unknown (%s): not judged",
			    why_name(p->host.free_bytes.why));
	if (q->wish->min_speed > 0 && !task_speed(q, &q->placing, &(struct speed) { 0 }))
		plan_assume(p, "whether %g tokens/s are reached cannot be told",
			    q->wish->min_speed);
	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];

		title(d->pci, d->name, name, sizeof(name));
		if (d->free_bytes.src == SRC_CACHE || d->free_bytes.src == SRC_GUESS)
			plan_assume(p, "%s sleeps: all its memory is counted as free", name);
		if (strcmp(d->backend, "cuda") == 0 && q->shape->memory != MEMORY_RECURRENT &&
		    q->shape->memory != MEMORY_NONE &&
		    strcmp(p->flags.type_k, p->flags.type_v) != 0)
			plan_assume(p, "%s computes attention on the host for caches of two types",
				    name);
	}
}

void words_overrides(struct plan *p, const struct wish *w)
{
	char line[64];
	struct text t;

	text_init(&t, line, sizeof(line));
	for (uint32_t i = 0; i < w->n_split; i++)
		text_add(&t, "%s%" PRIu32, i ? "," : "--split ", w->split[i]);
	for (uint32_t i = 0; i < w->n_shares; i++)
		text_add(&t, "%s%g", i ? "," : "--tensor-split ", (double)w->shares[i]);
	if (t.len)
		plan_override(p, line);
	if (w->has_gpu_layers) {
		text_init(&t, line, sizeof(line));
		text_add(&t, "--gpu-layers %" PRId32, (int32_t)w->n_gpu_layers);
		plan_override(p, line);
	}
	if (w->n_cpu_moe) {
		text_init(&t, line, sizeof(line));
		text_add(&t, "--n-cpu-moe %" PRIu32, p->flags.n_cpu_moe);
		plan_override(p, line);
	}
	if (w->cache_on_host)
		plan_override(p, "--no-kv-offload");
	for (uint32_t i = 0; i < w->n_tensors; i++) {
		text_init(&t, line, sizeof(line));
		text_add(&t, "--override-tensor %.20s=%.20s", w->tensors[i].pattern,
			 w->tensors[i].where);
		plan_override(p, line);
	}
}

/* What was wished for, and what the plan has instead. */
void words_unreached(struct plan *p, const struct task *q)
{
	const struct wish *w = q->wish;
	struct text t;

	text_init(&t, p->decided_by, sizeof(p->decided_by));
	text_add(&t, "nothing");
	if (w->accept != ACCEPT_CPU)
		text_add(&t, " within --accept %s", accept_name(w->accept));
	text_add(&t, " reaches");
	if (w->min_ctx)
		text_add(&t, " %" PRIu32 " tokens of context", w->min_ctx);
	if (w->min_speed > 0)
		text_add(&t, "%s %g tokens/s", w->min_ctx ? " and" : "", w->min_speed);
	text_add(&t, "; the plan below has %" PRIu32 " tokens of context", p->flags.n_ctx);
}

/* Why nobody can tell. */
void words_unknown(struct plan *p, const struct task *q)
{
	if (!q->placing.bill.unverified) {
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "the host's free memory is unknown (%s)",
			 why_name(p->host.free_bytes.why));
		return;
	}
	snprintf(p->decided_by, sizeof(p->decided_by),
		 "berth has no verified rules for the architecture '%s'; an upper bound %s",
		 p->arch,
		 !placing_runs(&q->placing)  ? "does not fit"
		 : placing_fits(&q->placing) ? "fits"
					     : "spills");
}
