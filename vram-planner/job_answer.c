/* SPDX-License-Identifier: MIT */
/* The answer to a job: the verdict, and every buffer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "vram-planner/job.h"
#include "vram-planner/margin.h"
#include "vram-planner/plan.h"

#define SCHEMA "berth.plan/1"

static bool part_is_empty(const struct bill_part *p)
{
	return !p->weights_bytes && !p->kv_bytes && !p->compute_bytes && !p->output_bytes;
}

static json_t *buffer_to_json(const char *device, bool host, const struct bill_part *p)
{
	json_t *o = json_object();

	json_put_text(o, "device", device);
	json_put_bool(o, "host", host);
	json_put_int(o, "weights_bytes", (int64_t)p->weights_bytes);
	json_put_int(o, "kv_bytes", (int64_t)p->kv_bytes);
	json_put_int(o, "compute_bytes", (int64_t)p->compute_bytes);
	if (p->output_bytes)
		json_put_int(o, "output_bytes", (int64_t)p->output_bytes);
	return o;
}

static json_t *part_to_json(const struct job *j, const struct bill_part *p)
{
	char name[80] = "CPU";

	if (p->kind == BILL_DEVICE || p->kind == BILL_PINNED)
		snprintf(name, sizeof(name), "%s%s", j->gpus[p->device].name,
			 p->kind == BILL_PINNED ? "_Host" : "");
	return buffer_to_json(name, p->kind != BILL_DEVICE, p);
}

/*
 * The CPU's extra buffers: for the engine they are buffers of the device CPU, and no host buffers. One
 * entry, so that device and host name an entry.
 */
static json_t *extra_to_json(const struct bill *b)
{
	const struct bill_part *amx = bill_part(b, BILL_AMX, 0),
			       *repack = bill_part(b, BILL_REPACK, 0);
	struct bill_part sum = { 0 };

	if (!amx && !repack)
		return NULL;
	sum.weights_bytes = (amx ? amx->weights_bytes : 0) + (repack ? repack->weights_bytes : 0);
	json_t *o = buffer_to_json("CPU", false, &sum);

	json_put_int(o, "amx_bytes", amx ? (int64_t)amx->weights_bytes : 0);
	json_put_int(o, "repacked_bytes", repack ? (int64_t)repack->weights_bytes : 0);
	return o;
}

static void put_buffers(json_t *o, const struct job *j, const struct bill *b)
{
	json_t *list = json_array(), *extra = extra_to_json(b);

	for (uint32_t i = 0; i < b->n; i++) {
		const struct bill_part *p = &b->parts[i];

		if (p->kind == BILL_DEVICE || p->kind == BILL_CPU ||
		    (p->kind == BILL_PINNED && !part_is_empty(p)))
			json_array_append_new(list, part_to_json(j, p));
	}
	if (extra)
		json_array_append_new(list, extra);
	json_object_set_new(o, "buffers", list);
}

struct judged {
	enum verdict verdict;
	char why[240];
};

static void judge_gpu(struct judged *v, const struct job *j, const struct bill *b, uint32_t i)
{
	const struct job_gpu *g = &j->gpus[i];
	uint64_t needs = bill_device_bytes(b, i), memory = g->target.memory_bytes,
		 rest = margin_bytes(&j->margin_bytes, memory) + bill_doubt_bytes(b, i);
	char a[TEXT_SIZE_MAX], c[TEXT_SIZE_MAX], d[TEXT_SIZE_MAX];

	if (needs && !g->memory_known && v->verdict != VERDICT_NO) {
		v->verdict = VERDICT_UNKNOWN;
		snprintf(v->why, sizeof(v->why), "needs %s on %s, whose memory_bytes is not given",
			 text_size(a, needs), g->name);
	}
	if (!g->memory_known || needs == 0 || (rest <= memory && needs <= memory - rest))
		return;
	v->verdict = VERDICT_NO;
	snprintf(v->why, sizeof(v->why), "needs %s and a margin of %s on %s, which has %s",
		 text_size(a, needs), text_size(c, rest), g->name, text_size(d, memory));
}

static void judge_host(struct judged *v, const struct job *j, const struct bill *b)
{
	uint64_t needs = bill_host_bytes(b, false), memory = (uint64_t)j->host_bytes.v;
	char a[TEXT_SIZE_MAX], c[TEXT_SIZE_MAX];

	if (!fact_known(&j->host_bytes) || needs <= memory)
		return;
	v->verdict = VERDICT_NO;
	snprintf(v->why, sizeof(v->why), "needs %s on the host, which has %s", text_size(a, needs),
		 text_size(c, memory));
}

static void judge(struct judged *v, const struct job *j, const struct bill *b)
{
	*v = (struct judged) { .verdict = bill_spills(b) ? VERDICT_SPILLS : VERDICT_FITS };
	for (uint32_t i = j->n_gpus; i-- > 0;)
		judge_gpu(v, j, b, i);
	judge_host(v, j, b);
	/* Nobody has measured it; that it does not fit is not even known. */
	if (b->unverified)
		v->verdict = VERDICT_UNKNOWN;
}

struct range job_speed(const struct job *j, const struct biller *b)
{
	static const struct prices none;
	struct rates r = { .n = j->n_gpus, .host_bandwidth = j->host_bandwidth };
	struct traffic t;
	struct speed s;

	for (uint32_t i = 0; i < j->n_gpus; i++) {
		r.device[i].bandwidth = j->bandwidth[i];
		r.device[i].by_cuda = strcmp(j->gpus[i].target.backend->name, "cuda") == 0;
		text_copy(r.device[i].name, sizeof(r.device[i].name), j->gpus[i].name);
	}
	traffic_of(&t, biller_shape(b), biller_placement(b), &j->ask, j->ask.n_ctx_seq / 2);
	speed_of(&s, &t, &r, j->ask.n_ubatch, &none);
	return s.generation;
}

json_t *job_to_json(const struct job *j, const struct bill *b, const struct range *speed)
{
	json_t *o = json_answer(SCHEMA);
	struct judged v;

	json_put_text(o, "model", j->model);
	json_put_text(o, "engine", j->engine->version);
	if (b->refused) {
		json_put_text(o, "verdict", verdict_name(VERDICT_REFUSED));
		json_put_text(o, "why", b->refused);
		return o;
	}
	judge(&v, j, b);
	json_put_text(o, "verdict", verdict_name(v.verdict));
	if (v.why[0])
		json_put_text(o, "why", v.why);
	if (b->unverified)
		json_put_bool(o, "unverified", true);
	json_put_int(o, "n_ctx", j->ask.n_ctx);
	json_put_int(o, "n_ctx_seq", j->ask.n_ctx_seq);
	if (speed->known) {
		json_object_set_new(o, "generation_tokens_s_low", json_real(speed->low));
		json_object_set_new(o, "generation_tokens_s_high", json_real(speed->high));
	}
	put_buffers(o, j, b);
	return o;
}

json_t *job_unknown(const struct job *j, const struct err *why)
{
	json_t *o = json_answer(SCHEMA);

	json_put_text(o, "model", j->model);
	json_put_text(o, "verdict", verdict_name(VERDICT_UNKNOWN));
	json_put_text(o, "why", why->text);
	return o;
}

json_t *job_error(const char *model, const struct err *e)
{
	json_t *o = json_answer(SCHEMA);

	if (model)
		json_put_text(o, "model", model);
	json_put_text(o, "error", e->text);
	return o;
}
