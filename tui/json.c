/* SPDX-License-Identifier: MIT */
/* The snapshot for programs: "berth.top/1", as docs/schema/top.json says. */
#include <math.h>
#include <stdlib.h>

#include "tui/frame.h"
#include "tui/json_priv.h"

void top_put(json_t *o, const char *key, json_t *v)
{
	if (json_object_set_new(o, key, v))
		abort();
}

void top_append(json_t *list, json_t *v)
{
	if (json_array_append_new(list, v))
		abort();
}

static struct fact bytes_fact(uint64_t bytes)
{
	if (bytes == TELEM_UNKNOWN)
		return fact_unknown(WHY_NOT_EXPORTED);
	if (bytes > INT64_MAX)
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)bytes, SRC_ENGINE);
}

void top_put_bytes(json_t *o, const char *key, uint64_t bytes)
{
	struct fact f = bytes_fact(bytes);

	json_put_fact(o, key, &f);
}

void top_put_count(json_t *o, const char *key, uint64_t n)
{
	if (n == TELEM_UNKNOWN)
		json_put_null(o, key);
	else
		json_put_int(o, key, n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

static void put_rate(json_t *o, const char *key, double v, const char *why_key, const char *why)
{
	if (v >= 0 && isfinite(v)) {
		top_put(o, key, json_real(v));
		return;
	}
	top_put(o, key, json_null());
	json_put_text(o, why_key, why);
}

static json_t *telem_bytes_json(const struct telem_bytes *b)
{
	json_t *o = json_object();

	top_put_bytes(o, "weights_bytes", b->weights);
	top_put_bytes(o, "kv_bytes", b->kv);
	top_put_bytes(o, "compute_bytes", b->compute);
	top_put_bytes(o, "other_bytes", b->other);
	return o;
}

static json_t *run_devices_json(const struct telem_run *run)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < run->n_devices && i < TELEM_DEVICES_MAX; i++) {
		const struct telem_device *d = &run->devices[i];
		json_t *o = json_object();

		json_put_text(o, "pci", d->pci);
		json_put_text(o, "name", d->name);
		top_put(o, "planned", telem_bytes_json(&d->planned));
		top_put(o, "measured", telem_bytes_json(&d->measured));
		json_put_int(o, "layers_asked", d->layers_asked);
		json_put_int(o, "layers_verified", d->layers_verified);
		top_append(list, o);
	}
	return list;
}

/* What two moments tell; a stream has them from its second line on. */
static void put_energy(json_t *o, const struct frame *f, const struct run_history *past)
{
	double joule = past ? history_tokens_per_joule(past) : -1;
	bool price = f->prefs && f->prefs->price_kwh > 0;
	const char *why =
		!past          ? "it takes two moments"
		: past->shared ? "other runs work on its GPUs, too"
			       : "nothing was generated just now, or its GPUs' power is not known";

	put_rate(o, "tokens_per_joule", joule, "tokens_per_joule_why", why);
	put_rate(o, "cost_million_tokens",
		 joule > 0 && price ? history_cost(joule, f->prefs->price_kwh) : -1,
		 "cost_million_tokens_why", price ? why : "no price-kwh is set in top.conf");
	json_put_text_or_null(o, "currency", price ? f->prefs->currency : "");
}

static const char *why_no_rate(const struct frame *f, const struct run_history *past)
{
	bool told = f->snap->origin == ORIGIN_REPLAY || f->snap->origin == ORIGIN_REMOTE;

	return told && !past ? "it takes two moments" : "not generating for the last two seconds";
}

static void put_rates(json_t *o, const struct frame *f, const struct run_seen *r)
{
	const struct telem_run *run = &r->page.run;
	const struct run_history *past = f->history ? history_run(f->history, run_key(r)) : NULL;
	double percent, measured, planned;

	put_rate(o, "prompt_tokens_per_s", judge_prompt_rate(run), "prompt_tokens_per_s_why",
		 "no prompt was read yet");
	put_rate(o, "generated_tokens_per_s_now", history_rate_now(past, f->snap, r),
		 "generated_tokens_per_s_now_why", why_no_rate(f, past));
	put_rate(o, "generated_tokens_per_s_average", judge_average_rate(run),
		 "generated_tokens_per_s_average_why", "nothing was generated yet");
	if (judge_drift(run, &percent, &measured, &planned)) {
		top_put(o, "drift_percent", json_real(percent));
	} else {
		top_put(o, "drift_percent", json_null());
		json_put_text(o, "drift_percent_why", "nothing to compare");
	}
	put_energy(o, f, past);
}

static void put_counts(json_t *o, const struct telem_counts *c)
{
	bool waited = c->first_tokens && c->first_tokens != TELEM_UNKNOWN &&
		      c->first_token_ns != TELEM_UNKNOWN;

	top_put_count(o, "prompt_tokens", c->prompt_tokens);
	top_put_count(o, "cached_tokens", c->cached_tokens);
	top_put_count(o, "generated_tokens", c->generated_tokens);
	top_put_count(o, "drafted_tokens", c->drafted_tokens);
	top_put_count(o, "accepted_tokens", c->accepted_tokens);
	top_put_count(o, "requests", c->requests);
	top_put_count(o, "requests_failed", c->requests_failed);
	top_put_count(o, "first_token_ns_mean",
		      waited ? c->first_token_ns / c->first_tokens : TELEM_UNKNOWN);
	top_put_count(o, "first_token_ns_last",
		      c->last_first_token_ns ? c->last_first_token_ns : TELEM_UNKNOWN);
}

/* Nothing when the engine does not tell. */
static json_t *sequences_json(const struct telem_run *run)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < run->n_seq && i < TELEM_SEQ_MAX; i++)
		if (run->ctx_used_tokens != TELEM_UNKNOWN32)
			json_array_append_new(list, json_integer(run->seq_tokens[i]));
	return list;
}

/* Nothing of a run that nobody restarts. */
static void put_supervisor(json_t *o, const struct run_seen *r)
{
	json_t *at;

	if (!r->name[0])
		return;
	at = json_object();
	json_put_text(at, "name", r->name);
	json_put_text(at, "phase", r->phase);
	json_put_bool(at, "alive", r->supervised);
	json_put_int(at, "starts", r->starts);
	json_put_text_or_null(at, "last_class", r->last_class);
	json_put_text_or_null(at, "last_sentence", r->last_sentence);
	top_put(o, "supervisor", at);
}

static json_t *run_json(const struct frame *f, const struct run_seen *r)
{
	const struct telem_run *run = &r->page.run;
	json_t *o = json_object();

	json_put_text(o, "page", r->file);
	json_put_text(o, "name", run->name);
	json_put_text(o, "model", run->model);
	json_put_text(o, "plan_id", run->plan_id);
	json_put_int(o, "pid", r->page.header.writer_pid);
	json_put_text(o, "state", run_state_name(judge_run(r)));
	put_supervisor(o, r);
	json_put_bool(o, "writer_alive", r->life != TELEM_DEAD);
	json_put_bool(o, "verified", judge_verified(run));
	json_put_int(o, "ctx_tokens", run->ctx_tokens);
	if (run->ctx_used_tokens == TELEM_UNKNOWN32)
		json_put_null(o, "ctx_used_tokens");
	else
		json_put_int(o, "ctx_used_tokens", run->ctx_used_tokens);
	json_put_int(o, "sequences", run->n_seq);
	top_put(o, "ctx_tokens_by_sequence", sequences_json(run));
	json_put_int(o, "queue", run->queue);
	json_put_int(o, "busy", run->busy);
	put_counts(o, &run->counts);
	put_rates(o, f, r);
	top_put(o, "devices", run_devices_json(run));
	return o;
}

_Static_assert(AGE_UNKNOWN == TELEM_UNKNOWN, "both are null");

json_t *frame_to_json(const struct frame *f)
{
	const struct snapshot *s = f->snap;
	static const char *const origins[] = {
		[ORIGIN_LIVE] = "live",     [ORIGIN_CAPTURED] = "captured",
		[ORIGIN_REPLAY] = "replay", [ORIGIN_REMOTE] = "remote",
		[ORIGIN_DEMO] = "demo",
	};
	json_t *o = json_answer("berth.top/1");
	json_t *runs = json_array();
	json_t *bridges = json_array();
	json_t *notes = json_array();

	if (s->report)
		json_put_fact_text(o, "host", &s->report->host);
	json_put_text(o, "origin", origins[s->origin]);
	json_put_bool(o, "captured", s->origin == ORIGIN_CAPTURED);
	json_put_text(o, "clock", s->clock);
	json_put_int(o, "boottime_ms", (int64_t)(s->now_ns / 1000000));
	json_put_int(o, "devices_left_out", s->report ? s->report->n_left_out : 0);
	top_put(o, "devices", top_devices_json(s));
	top_put(o, "cpu", s->report ? top_cpu_json(s) : json_null());
	if (s->device_error[0])
		json_put_text(o, "device_error", s->device_error);
	for (uint32_t i = 0; i < s->n_runs; i++) {
		json_t *note;

		if (!s->runs[i].rc) {
			top_append(runs, run_json(f, &s->runs[i]));
			continue;
		}
		note = json_object();
		json_put_text(note, "page", s->runs[i].file);
		json_put_text(note, "note", s->runs[i].note);
		top_append(notes, note);
	}
	top_put(o, "runs", runs);
	for (uint32_t i = 0; i < s->n_bridges; i++)
		top_append(bridges, bridge_json(&s->bridges[i]));
	top_put(o, "bridges", bridges);
	top_put(o, "notes", notes);
	json_put_int(o, "runs_left_out", s->n_runs_left_out);
	return o;
}
