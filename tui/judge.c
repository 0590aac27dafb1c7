/* SPDX-License-Identifier: MIT */
/* What the facts of a snapshot mean: states, shares of memory, rates, drift. */
#include <strings.h>
#include <string.h>

#include "tui/judge.h"

static enum device_state judge_gpu(const struct gpu *g)
{
	if (g->vram_used.why == WHY_LOST || g->power_mw.why == WHY_LOST)
		return DEVICE_LOST;
	if (g->awake == AWAKE_NO)
		return DEVICE_ASLEEP;
	/* Whoever should tell of it crashes, or says what cannot be: that it is well, nobody knows. */
	if (g->vram_used.why == WHY_GARBLED && g->power_mw.why == WHY_GARBLED)
		return DEVICE_UNKNOWN;
	if (fact_text_known(&g->driver))
		return DEVICE_OK;
	return g->driver.why == WHY_NO_DRIVER ? DEVICE_NO_DRIVER : DEVICE_UNKNOWN;
}

enum device_state judge_device(const struct snapshot *s, uint32_t i)
{
	const struct device_seen *seen = &s->devices[i];

	if (seen->lost)
		return DEVICE_LOST;
	if (seen->waiting_ms > SNAP_SILENT_MS)
		return DEVICE_SILENT;
	return judge_gpu(&s->report->gpus[i]);
}

const char *device_state_name(enum device_state s)
{
	static const char *const names[DEVICE_STATE_COUNT] = {
		[DEVICE_OK] = "ok",
		[DEVICE_ASLEEP] = "ASLEEP",
		[DEVICE_NO_DRIVER] = "no driver",
		[DEVICE_UNKNOWN] = "unknown",
		[DEVICE_LOST] = "LOST",
		[DEVICE_SILENT] = "SILENT",
	};

	return names[s];
}

/* What its supervisor says, while there is no page, or one of a core that is gone. */
static enum run_state judge_phase(const struct run_seen *r, enum run_state other)
{
	static const struct {
		const char *phase;
		enum run_state state;
	} phases[] = {
		{ "starting", RUN_STARTING }, { "loading", RUN_STARTING },
		{ "ready", RUN_STARTING },    { "waiting", RUN_WAITING },
		{ "stopping", RUN_STOPPED },  { "failed", RUN_FAILED },
		{ "dead", RUN_LOST },
	};

	if (!r->phase[0])
		return other;
	if (!r->supervised && strcmp(r->phase, "failed") != 0)
		return RUN_LOST;
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		if (strcmp(phases[i].phase, r->phase) == 0)
			return phases[i].state;
	return other;
}

enum run_state judge_run(const struct run_seen *r)
{
	static const enum run_state states[TELEM_STATE_COUNT] = {
		[TELEM_STARTING] = RUN_STARTING,     [TELEM_READY] = RUN_READY,
		[TELEM_GENERATING] = RUN_GENERATING, [TELEM_STOPPED] = RUN_STOPPED,
		[TELEM_FAILED] = RUN_FAILED,         [TELEM_ASLEEP] = RUN_ASLEEP,
		[TELEM_STOPPING] = RUN_STOPPING,
	};
	uint32_t state = r->page.run.state;
	bool ended;

	if (r->rc)
		return judge_phase(r, RUN_NO_PAGE);
	if (state >= TELEM_STATE_COUNT)
		return RUN_FAILED;
	ended = state == TELEM_STOPPED || state == TELEM_FAILED;
	if (!ended && r->life == TELEM_DEAD)
		return judge_phase(r, RUN_LOST);
	if (!ended && r->life == TELEM_STALE)
		return RUN_STALLED;
	return ended ? judge_phase(r, states[state]) : states[state];
}

const char *run_state_name(enum run_state s)
{
	static const char *const names[RUN_STATE_COUNT] = {
		[RUN_STARTING] = "starting",
		[RUN_READY] = "ready",
		[RUN_GENERATING] = "generating",
		[RUN_STOPPED] = "stopped",
		[RUN_FAILED] = "FAILED",
		[RUN_ASLEEP] = "asleep",
		[RUN_STOPPING] = "stopping",
		[RUN_STALLED] = "STALLED",
		[RUN_LOST] = "LOST",
		[RUN_WAITING] = "waiting",
		[RUN_NO_PAGE] = "unreadable",
	};

	return names[s];
}

bool judge_tunnelled(const struct gpu *g)
{
	return g->tunnel.tunnelled || g->link.cause == LINK_CAUSE_TUNNEL;
}

/* Its process holds what the page says. */
bool judge_run_lives(const struct run_seen *r)
{
	enum run_state s = judge_run(r);

	return r->rc == 0 && r->life != TELEM_DEAD && s != RUN_LOST && s != RUN_STOPPED &&
	       s != RUN_FAILED;
}

static uint32_t devices_of(const struct telem_run *run)
{
	return run->n_devices < TELEM_DEVICES_MAX ? run->n_devices : TELEM_DEVICES_MAX;
}

/* The engine calls host memory "CPU"; software GPUs have no address either, but are no host row. */
static bool is_on(const struct telem_device *d, const char *pci)
{
	if (pci)
		return strcasecmp(d->pci, pci) == 0;
	return !d->pci[0] && strncmp(d->name, "CPU", 3) == 0;
}

static void add_known(uint64_t *sum, uint64_t bytes)
{
	if (bytes == TELEM_UNKNOWN)
		return;
	if (__builtin_add_overflow(*sum, bytes, sum))
		*sum = UINT64_MAX;
}

struct held judge_held(const struct snapshot *s, const char *pci, const struct fact *used)
{
	struct held h = { .other = *used };
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->n_runs; i++) {
		const struct telem_run *run = &s->runs[i].page.run;

		if (!judge_run_lives(&s->runs[i]))
			continue;
		for (uint32_t k = 0; k < devices_of(run); k++) {
			const struct telem_device *d = &run->devices[k];

			if (!is_on(d, pci))
				continue;
			add_known(&h.weights, d->measured.weights);
			add_known(&h.kv, d->measured.kv);
			add_known(&h.compute, d->measured.compute);
		}
	}
	add_known(&sum, h.weights);
	add_known(&sum, h.kv);
	add_known(&sum, h.compute);
	if (fact_known(used))
		h.other.v = used->v > 0 && (uint64_t)used->v > sum ? used->v - (int64_t)sum : 0;
	return h;
}

struct fact judge_ram_used(const struct cpu *c)
{
	if (!fact_known(&c->ram_total))
		return c->ram_total;
	if (!fact_known(&c->ram_available))
		return c->ram_available;
	if (c->ram_available.v < 0 || c->ram_available.v > c->ram_total.v)
		return fact_unknown(WHY_GARBLED);
	return fact_of(c->ram_total.v - c->ram_available.v, c->ram_available.src);
}

bool judge_verified(const struct telem_run *run)
{
	if (run->verified != 1)
		return false;
	for (uint32_t i = 0; i < devices_of(run); i++)
		if (run->devices[i].layers_asked != run->devices[i].layers_verified)
			return false;
	return true;
}

double judge_prompt_rate(const struct telem_run *run)
{
	if (run->counts.prompt_ns == 0 || run->counts.prompt_tokens == 0)
		return -1;
	return (double)run->counts.prompt_tokens * 1e9 / (double)run->counts.prompt_ns;
}

double judge_average_rate(const struct telem_run *run)
{
	return telem_mean_rate(run->counts.generated_tokens, run->counts.generated_ns);
}

double judge_rate_now(const struct run_seen *r, uint64_t now_ns)
{
	if (judge_run(r) != RUN_GENERATING)
		return -1;
	return telem_rates(&r->page.run, now_ns, SNAP_RATE_WINDOW_NS).generated;
}

bool judge_drift(const struct telem_run *run, double *percent, double *measured, double *planned)
{
	*measured = *planned = 0;
	for (uint32_t i = 0; i < devices_of(run); i++) {
		const struct telem_bytes *m = &run->devices[i].measured;
		const struct telem_bytes *p = &run->devices[i].planned;
		const uint64_t pairs[][2] = {
			{ m->weights, p->weights },
			{ m->kv, p->kv },
			{ m->compute, p->compute },
		};

		for (int k = 0; k < 3; k++) {
			if (pairs[k][0] == TELEM_UNKNOWN || pairs[k][1] == TELEM_UNKNOWN)
				continue;
			*measured += (double)pairs[k][0];
			*planned += (double)pairs[k][1];
		}
	}
	if (*planned <= 0 || *measured <= 0) /* asleep, or not loaded yet */
		return false;
	*percent = (*measured - *planned) / *planned * 100;
	return true;
}
