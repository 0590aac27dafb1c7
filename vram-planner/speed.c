/* SPDX-License-Identifier: MIT */
/*
 * Generating reads every weight in use once a token: the memories' bandwidth bounds it. A prompt is
 * bound by arithmetic, a batch at a time.
 */
#include "vram-planner/speed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How far from the peak engines are. Generation: a fit of `fixed + factor x bytes / bandwidth` on 224
 * public measurements of llama.cpp-like engines on one GPU that stay below their card's bandwidth: nine
 * in ten lie within the spread, for dense models (158) and routed ones (66). The peak is a bound for all.
 * Where the bandwidth was measured on this very machine, the difference between cards is out of it: the
 * spread is half of that.
 */
static const struct {
	double fixed_s, factor, spread, spread_measured;
} fits[] = {
	[false] = { 0.0033, 1.0, 1.57, 1.28 },
	[true] = { 0.0010, 2.1, 1.41, 1.20 },
};

/* Shares of the peak rate that matrices of a prompt reach; matrix units by CUDA, whatever else there is. */
static const struct {
	double low, high;
} efficiencies[] = {
	[false] = { 0.08, 0.50 },
	[true] = { 0.30, 1.00 },
};

/* Processors reach this much of their memory's peak, and a hop costs a launch and two queues. */
#define HOST_SHARE_LOW  0.50
#define HOST_SHARE_HIGH 0.95
#define HOP_LOW_S       0.00001
#define HOP_HIGH_S      0.00010

/* While it generates, a GPU draws some of its limit: memory works, arithmetic waits. */
#define POWER_SHARE_LOW  0.40
#define POWER_SHARE_HIGH 1.00

#define JOULES_PER_WH 3600.0

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static struct range known(double low, double high)
{
	return (struct range) { .low = low, .high = high, .known = true };
}

static struct range unknown(const char *what, const char *name)
{
	struct range r = { 0 };

	snprintf(r.why, sizeof(r.why), "%s of %s is unknown", what, name);
	return r;
}

/* --- generation --- */

/* Seconds a token: the least physics allows, and by the fit. Returns what is missing, or NULL. */
static const char *seconds_per_token(const struct traffic *t, const struct rates *r, double *least,
				     double *likely)
{
	double factor = fits[t->routed].factor;

	*least = *likely = 0;
	for (uint32_t i = 0; i < r->n; i++) {
		double bytes = t->device[i].token_bytes;

		if (bytes <= 0)
			continue;
		if (r->device[i].bandwidth <= 0)
			return r->device[i].name;
		*least += bytes / r->device[i].bandwidth;
		*likely += factor * bytes / r->device[i].bandwidth;
	}
	return NULL;
}

/* By whom the bandwidths that matter are known: the least trustworthy counts. */
static const char *basis_of(const struct traffic *t, const struct rates *r)
{
	static const struct {
		enum src src;
		const char *name;
	} ranks[] = { { SRC_TABLE, "table" },
		      { SRC_USER, "given" },
		      { SRC_CACHE, "measured here" } };

	for (size_t k = 0; k < sizeof(ranks) / sizeof(ranks[0]); k++) {
		if (t->host.token_bytes > 0 && r->host_src == ranks[k].src)
			return ranks[k].name;
		for (uint32_t i = 0; i < r->n; i++) {
			if (t->device[i].token_bytes > 0 && r->device[i].src == ranks[k].src)
				return ranks[k].name;
		}
	}
	return "unknown";
}

static double spread_of(const struct traffic *t, const struct rates *r)
{
	bool measured = true;

	for (uint32_t i = 0; i < r->n; i++)
		measured = measured &&
			   (t->device[i].token_bytes <= 0 || r->device[i].src == SRC_CACHE);
	return measured ? fits[t->routed].spread_measured : fits[t->routed].spread;
}

static void find_generation(struct speed *s, const struct traffic *t, const struct rates *r)
{
	double least, likely, host = t->host.token_bytes;
	const char *missing = seconds_per_token(t, r, &least, &likely);
	double spread = spread_of(t, r);

	if (missing) {
		s->generation = unknown("the memory bandwidth", missing);
		return;
	}
	if (host > 0 && r->host_bandwidth <= 0) {
		s->generation = unknown("the memory bandwidth", "the host (--ram-bandwidth)");
		return;
	}
	likely += fits[t->routed].fixed_s;
	double fast = larger(least, likely / spread), slow = likely * spread;

	if (host > 0) {
		fast += host / (r->host_bandwidth * HOST_SHARE_HIGH);
		slow += host / (r->host_bandwidth * HOST_SHARE_LOW);
	}
	fast += t->hops * HOP_LOW_S;
	slow += t->hops * HOP_HIGH_S;
	s->generation = known(1 / slow, 1 / fast);
}

/* --- the prompt --- */

/* The first device computes for the host, whose weights are brought to it for each batch. */
static const char *batch_seconds(const struct traffic *t, const struct rates *r, double n,
				 double *fast, double *slow)
{
	for (uint32_t i = 0; i < r->n; i++) {
		bool cuda = r->device[i].by_cuda;
		double flops = t->device[i].token_flops + (i == 0 ? t->host.token_flops : 0);
		double moved = i == 0 ? t->host.all_bytes : 0, link = r->device[i].link;

		if (flops <= 0)
			continue;
		if (r->device[i].flops <= 0)
			return "the arithmetic rate";
		if (moved > 0 && link <= 0)
			return "the link";
		double busy = flops * n / r->device[i].flops, move = moved > 0 ? moved / link : 0;
		double read = r->device[i].bandwidth > 0
				      ? t->device[i].all_bytes / r->device[i].bandwidth
				      : 0;

		*fast += larger(larger(busy / efficiencies[cuda].high, read), move);
		*slow += busy / efficiencies[cuda].low + read + move * 2;
	}
	return NULL;
}

static void find_prompt(struct speed *s, const struct traffic *t, const struct rates *r,
			uint32_t ubatch)
{
	double fast = 0, slow = 0;
	const char *missing = r->n ? batch_seconds(t, r, ubatch, &fast, &slow)
				   : "the arithmetic rate";

	if (missing)
		s->prompt = unknown(missing, r->n ? "a GPU" : "the processor");
	else if (fast <= 0)
		s->prompt = unknown("the work", "the GPUs");
	else
		s->prompt = known(ubatch / slow, ubatch / fast);
}

/* --- loading, energy, cost --- */

static void find_load(struct speed *s, const struct traffic *t, const struct rates *r)
{
	double seconds = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		if (t->device[i].all_bytes > 0 && r->device[i].link <= 0) {
			s->load_s = unknown("the link", r->device[i].name);
			return;
		}
		if (t->device[i].all_bytes > 0)
			seconds += t->device[i].all_bytes / r->device[i].link;
	}
	if (seconds <= 0)
		s->load_s = unknown("the rate", "the disk");
	else
		s->load_s = known(seconds, 0);
}

static void find_cost(struct speed *s, const struct traffic *t, const struct rates *r,
		      const struct prices *prices)
{
	double watts = 0;

	s->kwh = prices->kwh;
	s->api_million = prices->api_token;
	for (uint32_t i = 0; i < r->n; i++) {
		if (t->device[i].token_bytes <= 0)
			continue;
		if (r->device[i].watts <= 0) {
			s->wh_1000 = unknown("the power", r->device[i].name);
			s->cost_million = s->wh_1000;
			return;
		}
		watts += r->device[i].watts;
	}
	if (!s->generation.known || watts <= 0) {
		s->wh_1000 = watts > 0 ? s->generation : unknown("the power", "the processor");
		s->cost_million = s->wh_1000;
		return;
	}
	s->wh_1000 = known(watts * POWER_SHARE_LOW * 1000 / s->generation.high / JOULES_PER_WH,
			   watts * POWER_SHARE_HIGH * 1000 / s->generation.low / JOULES_PER_WH);
	if (prices->kwh > 0)
		s->cost_million = known(s->wh_1000.low * prices->kwh,
					s->wh_1000.high * prices->kwh);
	else
		s->cost_million = unknown("the price", "a kilowatt-hour (--price-kwh)");
}

void speed_of(struct speed *s, const struct traffic *t, const struct rates *r, uint32_t ubatch,
	      const struct prices *prices)
{
	uint32_t depth = s->depth;

	*s = (struct speed) { .depth = depth, .token_bytes = traffic_token_bytes(t) };
	text_copy(s->basis, sizeof(s->basis), basis_of(t, r));
	find_generation(s, t, r);
	find_prompt(s, t, r, ubatch ? ubatch : 1);
	find_load(s, t, r);
	find_cost(s, t, r, prices);
}

/* --- of a plan --- */

static double value(const struct fact *f)
{
	return fact_known(f) && f->v > 0 ? (double)f->v : 0;
}

static const struct place *place_of(const struct plan_device *d, const struct place *places,
				    uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(places[i].pci, d->pci) == 0 &&
		    strcmp(places[i].engine_name, d->engine_name) == 0)
			return &places[i];
	}
	return NULL;
}

static void rates_of_plan(struct rates *r, const struct plan *p, const struct place *places,
			  uint32_t n_places, const struct host_place *host)
{
	*r = (struct rates) { .n = p->n_devices,
			      .host_bandwidth = value(&host->bandwidth_bytes_s) };
	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];
		const struct place *from = place_of(d, places, n_places);

		snprintf(r->device[i].name, sizeof(r->device[i].name), "%s%s%.30s", d->pci,
			 d->pci[0] && d->name[0] ? " " : "", d->name);
		r->device[i].by_cuda = strcmp(d->backend, "cuda") == 0;
		if (!from)
			continue;
		r->device[i].bandwidth = value(&from->bandwidth_bytes_s);
		r->device[i].src = from->bandwidth_bytes_s.src;
		r->device[i].link = value(&from->link_bytes_s);
		r->device[i].flops = value(&from->gflops) * 1e9;
		r->device[i].watts = value(&from->power_mw) / 1000;
	}
}

/* The traffic of a placement made anew from the plan's own numbers. */
static bool traffic_of_plan(struct traffic *t, const struct plan *p, const struct shape *s,
			    uint32_t depth)
{
	struct target targets[PLAN_DEVICES_MAX] = { 0 };
	struct placement where = { 0 };
	struct ask a;
	int8_t *forced = NULL;

	ask_of_plan(&a, p);
	for (uint32_t i = 0; i < p->n_devices; i++)
		targets[i].backend = backend_find(p->devices[i].backend);
	int rc = ask_settle(&a, s->n_ctx_train, s->causal, NULL);

	if (!rc && a.n_overrides) {
		forced = calloc(model_n_tensors(s->model) + 1, sizeof(*forced));
		rc = forced ? overrides_resolve(forced, s, &a, NULL) : -ENOMEM;
	}
	if (!rc)
		rc = placement_make(&where, s, &a, targets, p->n_devices, forced, NULL);
	if (!rc)
		traffic_of(t, s, &where, &a, depth);
	placement_fini(&where);
	free(forced);
	return rc == 0;
}

bool speed_of_plan(struct speed *s, const struct plan *p, const struct model *m,
		   const struct place *places, uint32_t n_places, const struct host_place *host,
		   uint32_t depth, const struct prices *prices)
{
	struct shape shape;
	struct traffic t;
	struct rates r;

	if ((!p->n_devices && !p->host.layers) || shape_read(&shape, m, NULL))
		return false;
	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (!backend_find(p->devices[i].backend)) {
			shape_fini(&shape);
			return false;
		}
	}
	s->depth = depth && depth < p->flags.n_ctx ? depth : p->flags.n_ctx / 2;
	bool ok = traffic_of_plan(&t, p, &shape, s->depth);
	bool encoder = shape.memory == MEMORY_NONE;

	shape_fini(&shape);
	if (!ok)
		return false;
	rates_of_plan(&r, p, places, n_places, host);
	speed_of(s, &t, &r, p->flags.n_ubatch, prices);
	if (encoder) {
		s->generation = (struct range) { .why = "an encoder generates nothing" };
		s->wh_1000 = s->cost_million = s->generation;
	}
	return true;
}
