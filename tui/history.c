/* SPDX-License-Identifier: MIT */
#include "tui/history_priv.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "tui/judge.h"

#define SECOND_NS   UINT64_C(1000000000)
#define HELD_POINTS 10 /* a slower interval than this leaves gaps */
#define WATTS_MAX   100000.0

/* --- series --- */

static void clear_points(float *points, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		points[i] = POINT_UNKNOWN;
}

/* The newest point moves `by` places to the left; what comes in is `with`. */
static void shift(float *points, uint32_t n, uint64_t by, float with)
{
	uint32_t k = by < n ? (uint32_t)by : n;

	memmove(points, points + k, (n - k) * sizeof(*points));
	for (uint32_t i = n - k; i < n; i++)
		points[i] = with;
}

void series_clear(struct series *s)
{
	clear_points(s->points, HISTORY_POINTS);
}

void series_shift(struct series *s, uint64_t by)
{
	shift(s->points, HISTORY_POINTS, by, POINT_UNKNOWN);
}

void series_put(struct series *s, double v, uint64_t seconds)
{
	uint64_t n = seconds && seconds <= HELD_POINTS ? seconds : 1;

	for (uint64_t i = 0; i < n; i++)
		s->points[HISTORY_POINTS - 1 - i] = (float)v;
}

double series_mean(const struct series *s, uint32_t seconds)
{
	double sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < seconds && i < HISTORY_POINTS; i++) {
		float v = s->points[HISTORY_POINTS - 1 - i];

		sum += v >= 0 ? (double)v : 0;
		n += v >= 0;
	}
	return n ? sum / n : -1;
}

double series_max(const struct series *s, uint32_t seconds)
{
	double max = -1;

	for (uint32_t i = 0; i < seconds && i < HISTORY_POINTS; i++) {
		double v = (double)s->points[HISTORY_POINTS - 1 - i];

		max = v > max ? v : max;
	}
	return max;
}

/* --- devices --- */

const struct device_history *history_device(const struct history *h, const char *pci)
{
	for (uint32_t i = 0; i < h->n_devices; i++)
		if (strcasecmp(h->devices[i].pci, pci) == 0)
			return &h->devices[i];
	return NULL;
}

static struct device_history *device_slot(struct history *h, const char *pci)
{
	const struct device_history *known = history_device(h, pci);
	struct device_history *d;

	if (known)
		return &h->devices[known - h->devices];
	if (h->n_devices == HISTORY_DEVICES)
		return NULL;
	d = &h->devices[h->n_devices++];
	*d = (struct device_history) { .watts = -1, .mean_w = -1, .energy_uj = -1 };
	text_copy(d->pci, sizeof(d->pci), pci);
	for (int i = 0; i < DEVICE_SERIES; i++)
		series_clear(&d->s[i]);
	return d;
}

/* Intel's drivers count energy and tell no power: two readings and the time between them do. */
static void watts_of_energy(struct device_history *d, const struct fact *energy, uint64_t read_ns)
{
	uint64_t before = d->energy_ns;
	int64_t uj = d->energy_uj;
	double watts;

	if (!fact_known(energy)) {
		d->watts = -1;
		d->energy_uj = -1;
		return;
	}
	if (uj >= 0 && read_ns < before + SECOND_NS / 4)
		return; /* the same reading, or one too near for a quotient */
	d->energy_uj = energy->v;
	d->energy_ns = read_ns;
	d->watts = -1;
	if (uj < 0 || energy->v < uj)
		return; /* the first, or the counter began anew */
	watts = (double)(energy->v - uj) * 1e-6 / ((double)(read_ns - before) * 1e-9);
	if (watts < WATTS_MAX)
		d->watts = watts;
}

static double share_used(const struct gpu *g)
{
	if (!fact_known(&g->vram_total) || !fact_known(&g->vram_used) || g->vram_total.v <= 0 ||
	    g->vram_used.v < 0)
		return -1;
	return (double)g->vram_used.v / (double)g->vram_total.v * 100;
}

static double value_of(const struct fact *f, double unit)
{
	return fact_known(f) && f->v >= 0 ? (double)f->v / unit : -1;
}

static void add_device(struct device_history *d, const struct gpu *g,
		       const struct device_seen *seen, uint64_t now_ns, uint64_t seconds,
		       double passed_s)
{
	uint64_t age_ns = seen->age_ms == AGE_UNKNOWN ? 0 : seen->age_ms * 1000000;
	uint64_t read_ns = age_ns < now_ns ? now_ns - age_ns : now_ns;
	bool silent = seen->lost || seen->waiting_ms > SNAP_SILENT_MS;
	double before = d->watts;

	if (silent)
		d->watts = -1;
	else if (fact_known(&g->power_mw))
		d->watts = value_of(&g->power_mw, 1000);
	else
		watts_of_energy(d, &g->live.energy_uj, read_ns);
	/* What is told is of a moment: work that ended within a second shall not be had for what a card takes at rest. */
	d->mean_w = before >= 0 && d->watts >= 0 && fact_known(&g->power_mw)
			    ? (before + d->watts) / 2
			    : d->watts;
	if (d->mean_w >= 0)
		d->joules += d->mean_w * passed_s;
	series_put(&d->s[SERIES_POWER_W], d->watts, seconds);
	series_put(&d->s[SERIES_BUSY], silent ? -1 : value_of(&g->busy_percent, 1), seconds);
	series_put(&d->s[SERIES_TEMP_C], silent ? -1 : value_of(&g->temp_mc, 1000), seconds);
	series_put(&d->s[SERIES_USED], silent ? -1 : share_used(g), seconds);
}

/* --- runs --- */

const struct run_history *history_run(const struct history *h, const char *key)
{
	for (uint32_t i = 0; i < h->n_runs; i++)
		if (strcmp(h->runs[i].key, key) == 0)
			return &h->runs[i];
	return NULL;
}

static uint32_t oldest_run(const struct history *h)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < h->n_runs; i++)
		if (h->runs[i].seen_ns < h->runs[best].seen_ns)
			best = i;
	return best;
}

static struct run_history *run_slot(struct history *h, const char *key)
{
	const struct run_history *known = history_run(h, key);
	struct run_history *r;

	if (known)
		return &h->runs[known - h->runs];
	r = &h->runs[h->n_runs < HISTORY_RUNS ? h->n_runs++ : oldest_run(h)];
	*r = (struct run_history) { 0 };
	text_copy(r->key, sizeof(r->key), key);
	for (int i = 0; i < RUN_SERIES; i++)
		series_clear(&r->s[i]);
	return r;
}

static bool works_on(const struct run_seen *r, const char *pci)
{
	const struct telem_run *run = &r->page.run;

	for (uint32_t i = 0; i < run->n_devices && i < TELEM_DEVICES_MAX; i++)
		if (strcasecmp(run->devices[i].pci, pci) == 0)
			return true;
	return false;
}

static bool is_shared(const struct snapshot *s, const struct run_seen *r)
{
	const struct telem_run *run = &r->page.run;

	for (uint32_t i = 0; i < run->n_devices && i < TELEM_DEVICES_MAX; i++) {
		const char *pci = run->devices[i].pci;

		for (uint32_t k = 0; pci[0] && k < s->n_runs; k++)
			if (&s->runs[k] != r && judge_run(&s->runs[k]) == RUN_GENERATING &&
			    works_on(&s->runs[k], pci))
				return true;
	}
	return false;
}

/* What its GPUs take together; -1 when that of one is not known, or it has none. */
static double watts_of_run(const struct history *h, const struct run_seen *r)
{
	const struct telem_run *run = &r->page.run;
	double sum = -1;

	for (uint32_t i = 0; i < run->n_devices && i < TELEM_DEVICES_MAX; i++) {
		const struct device_history *d;

		if (!run->devices[i].pci[0])
			continue; /* the host: nobody tells its power */
		d = history_device(h, run->devices[i].pci);
		if (!d || d->mean_w < 0)
			return -1;
		sum = (sum < 0 ? 0 : sum) + d->mean_w;
	}
	return sum;
}

static void move_on(struct run_history *r, uint64_t seconds)
{
	for (int i = 0; i < RUN_SERIES; i++)
		series_shift(&r->s[i], seconds);
	shift(r->prompt_tokens, HISTORY_MINUTE, seconds, 0);
	shift(r->prompt_s, HISTORY_MINUTE, seconds, 0);
	shift(r->tokens, HISTORY_WINDOW, seconds, 0);
	shift(r->joules, HISTORY_WINDOW, seconds, 0);
}

static void take_counters(struct run_history *r, const struct telem_run *run)
{
	r->generated = run->counts.generated_tokens;
	r->prompt = run->counts.prompt_tokens;
	r->prompt_ns = run->counts.prompt_ns;
	r->page_started_ns = run->started_ns;
	r->counted = true;
}

/* Another core, or counters that went backwards: what came between is not known. */
static bool began_anew(const struct run_history *r, const struct telem_run *run)
{
	return !r->counted || r->page_started_ns != run->started_ns ||
	       run->counts.generated_tokens < r->generated ||
	       run->counts.prompt_tokens < r->prompt || run->counts.prompt_ns < r->prompt_ns;
}

static void add_energy(struct run_history *r, double tokens, double watts, double passed_s)
{
	float *joules = &r->joules[HISTORY_WINDOW - 1];

	if (tokens <= 0)
		return; /* what it takes while it waits is not the tokens' */
	r->tokens[HISTORY_WINDOW - 1] += (float)tokens;
	if (watts < 0)
		*joules = POINT_UNKNOWN;
	else if (*joules >= 0)
		*joules += (float)(watts * passed_s);
}

static void add_run(struct history *h, const struct snapshot *s, const struct run_seen *seen,
		    uint64_t seconds, double passed_s)
{
	struct run_history *r = run_slot(h, run_key(seen));
	const struct telem_run *run = &seen->page.run;
	double tokens, prompt;

	r->seen_ns = s->now_ns;
	if (seen->rc || seen->life == TELEM_DEAD) {
		r->counted = false;
		return;
	}
	if (run->ctx_tokens && run->ctx_used_tokens != TELEM_UNKNOWN32)
		series_put(&r->s[SERIES_CONTEXT], 100.0 * run->ctx_used_tokens / run->ctx_tokens,
			   seconds);
	if (run->counts.generated_tokens == TELEM_UNKNOWN ||
	    run->counts.prompt_tokens == TELEM_UNKNOWN || run->counts.prompt_ns == TELEM_UNKNOWN)
		return; /* this engine does not count */
	if (began_anew(r, run) || passed_s <= 0) {
		take_counters(r, run);
		return;
	}
	tokens = (double)(run->counts.generated_tokens - r->generated);
	prompt = (double)(run->counts.prompt_tokens - r->prompt);
	series_put(&r->s[SERIES_GENERATED], tokens / passed_s, seconds);
	series_put(&r->s[SERIES_PROMPT], prompt / passed_s, seconds);
	r->prompt_tokens[HISTORY_MINUTE - 1] += (float)prompt;
	r->prompt_s[HISTORY_MINUTE - 1] += (float)((double)(run->counts.prompt_ns - r->prompt_ns) *
						   1e-9);
	r->shared = is_shared(s, seen);
	add_energy(r, tokens, h->gap ? -1 : watts_of_run(h, seen), passed_s);
	take_counters(r, run);
}

double history_prompt_rate(const struct run_history *r)
{
	double tokens = 0, seconds = 0;

	for (uint32_t i = 0; i < HISTORY_MINUTE; i++) {
		tokens += (double)r->prompt_tokens[i];
		seconds += (double)r->prompt_s[i];
	}
	return tokens > 0 && seconds > 0 ? tokens / seconds : -1;
}

double history_tokens_per_joule(const struct run_history *r)
{
	double tokens = 0, joules = 0;

	if (r->shared)
		return -1;
	for (uint32_t i = 0; i < HISTORY_WINDOW; i++) {
		if (r->joules[i] < 0)
			return -1;
		tokens += (double)r->tokens[i];
		joules += (double)r->joules[i];
	}
	return tokens > 0 && joules > 0 ? tokens / joules : -1;
}

double history_cost(double tokens_per_joule, double price_kwh)
{
	return 1e6 / tokens_per_joule / 3.6e6 * price_kwh;
}

double history_rate_now(const struct run_history *past, const struct snapshot *s,
			const struct run_seen *r)
{
	double now = judge_rate_now(r, s->now_ns);

	if (now < 0 && past && judge_run(r) == RUN_GENERATING &&
	    (s->origin == ORIGIN_REPLAY || s->origin == ORIGIN_REMOTE))
		now = series_mean(&past->s[SERIES_GENERATED], 2);
	return now;
}

/* --- all of it --- */

/* Whole seconds since the second of the newest point began. */
static uint64_t seconds_passed(struct history *h, uint64_t now_ns)
{
	uint64_t n = (now_ns - h->second_ns) / SECOND_NS;

	h->second_ns += n * SECOND_NS;
	return n;
}

void history_add(struct history *h, const struct snapshot *s)
{
	double passed_s;
	uint64_t seconds;

	if (s->now_ns < h->last_ns)
		memset(h, 0, sizeof(*h));
	if (!h->last_ns)
		h->last_ns = h->second_ns = s->now_ns;
	seconds = seconds_passed(h, s->now_ns);
	passed_s = (double)(s->now_ns - h->last_ns) * 1e-9;
	h->gap = passed_s > HELD_POINTS && passed_s > 3e-3 * s->interval_ms;
	h->last_ns = s->now_ns;
	for (uint32_t i = 0; i < h->n_devices; i++)
		for (int k = 0; k < DEVICE_SERIES; k++)
			series_shift(&h->devices[i].s[k], seconds);
	for (uint32_t i = 0; i < h->n_runs; i++)
		move_on(&h->runs[i], seconds);
	bridges_move_on(h, seconds);
	/* A captured machine stands still: a curve of it would be made up. */
	for (uint32_t i = 0; s->report && s->origin != ORIGIN_CAPTURED && i < s->report->n_gpus;
	     i++) {
		const struct gpu *g = &s->report->gpus[i];
		struct device_history *d = device_slot(h, g->pci);

		if (d)
			add_device(d, g, &s->devices[i], s->now_ns, seconds, h->gap ? 0 : passed_s);
	}
	for (uint32_t i = 0; i < s->n_runs; i++)
		add_run(h, s, &s->runs[i], seconds, passed_s);
	bridges_add(h, s, seconds, passed_s);
}
