/* SPDX-License-Identifier: MIT */
#include "tui/demo.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

#define ROUND_MS  60000 /* the first run works, rests and begins again */
#define WORK_MS   48000
#define PROMPT_MS 4000 /* at the beginning of the work */

#define PROMPT_PER_S    900
#define GENERATED_PER_S 38
#define TRAPS_PER_S     900

/* Up and down between low and high, once in `period` milliseconds; triangles, so that no maths differs. */
static int64_t wave(uint64_t ms, uint64_t period, int64_t low, int64_t high)
{
	int64_t at = (int64_t)(ms % period) * 2000 / (int64_t)period;

	return low + (high - low) * (at < 1000 ? at : 2000 - at) / 1000;
}

static bool works(uint64_t ms)
{
	return ms % ROUND_MS < WORK_MS;
}

/* How much of a stretch within each round has gone by in all, milliseconds. */
static uint64_t spent(uint64_t ms, uint64_t from, uint64_t to)
{
	uint64_t at = ms % ROUND_MS;

	return ms / ROUND_MS * (to - from) + (at <= from ? 0 : at >= to ? to - from : at - from);
}

static void put(struct fact *f, int64_t v)
{
	if (fact_known(f))
		f->v = v;
}

/* Devices that were awake when they were captured; the first one carries the run. */
static void move_device(struct gpu *g, bool first, const struct telem_device *held, uint64_t ms)
{
	bool busy = first && works(ms);
	int64_t low = busy ? 260000 : 20000 + 4000 * !first;

	if (g->awake != AWAKE_YES)
		return;
	put(&g->power_mw, wave(ms, 7000, low, low + (busy ? 38000 : 5000)));
	put(&g->busy_percent, wave(ms, 5000, busy ? 88 : 0, busy ? 100 : 6));
	put(&g->temp_mc, wave(ms, ROUND_MS, 44000, first ? 71000 : 49000));
	put(&g->live.core_mhz, wave(ms, 3000, busy ? 2300 : 60, busy ? 2480 : 500));
	if (first)
		put(&g->vram_used, (int64_t)(held->measured.weights + held->measured.kv +
					     held->measured.compute + held->measured.other) +
					   wave(ms, 9000, INT64_C(900) << 20, INT64_C(1100) << 20));
	if (fact_known(&g->vram_free))
		g->vram_free.v = g->vram_total.v - g->vram_used.v;
}

static void move_run(struct telem_run *run, uint64_t ms)
{
	uint64_t prompt_ms = spent(ms, 0, PROMPT_MS), work_ms = spent(ms, PROMPT_MS, WORK_MS);
	uint64_t at = ms % ROUND_MS;
	struct telem_counts *c = &run->counts;

	run->state = works(ms) ? TELEM_GENERATING : TELEM_READY;
	run->busy = works(ms) ? 2 : 0;
	run->queue = at > 20000 && at < 26000 ? 3 : 0;
	c->prompt_tokens = prompt_ms * PROMPT_PER_S / 1000;
	c->prompt_ns = prompt_ms * 1000000;
	c->generated_tokens = work_ms * GENERATED_PER_S / 1000;
	c->generated_ns = work_ms * 1000000;
	c->requests = c->first_tokens = 1 + ms / ROUND_MS;
	c->last_first_token_ns = UINT64_C(420000000);
	c->first_token_ns = c->first_tokens * c->last_first_token_ns;
	run->ctx_used_tokens = (uint32_t)(spent(at, 0, PROMPT_MS) * PROMPT_PER_S / 1000 +
					  spent(at, PROMPT_MS, WORK_MS) * GENERATED_PER_S / 1000);
	run->seq_tokens[0] = run->ctx_used_tokens;
	run->seq_tokens[1] = run->ctx_used_tokens / 3;
}

/* The ring as the core would have left it: ten samples a second. */
static void fill_ring(struct telem_run *run, uint64_t now_ns, uint64_t ms)
{
	struct telem_run then = { 0 };

	for (uint64_t i = 0; i < TELEM_RING; i++) {
		uint64_t ago = (TELEM_RING - 1 - i) * 100;

		if (ago > ms)
			continue;
		move_run(&then, ms - ago);
		run->ring[i] = (struct telem_sample) { now_ns - ago * 1000000,
						       then.counts.prompt_tokens,
						       then.counts.generated_tokens };
	}
	run->ring_next = 0;
}

/* Accesses come in bursts, while the guest draws: two thirds of them reads, one in fifty had to wait. */
static void move_bridge(struct telem_bridge *b, uint64_t ms)
{
	uint64_t n = ms * TRAPS_PER_S / 1000 + (uint64_t)wave(ms, 11000, 0, 2 * TRAPS_PER_S);
	struct telem_region *bar = &b->regions[TELEM_BAR0];

	bar->reads = n / 3 * 2;
	bar->writes = n / 3;
	bar->posted = n / 4;
	b->latency[11] = n / 2;
	b->latency[12] = n / 2 - n / 50;
	b->latency[14] = n / 50;
	b->counts.latency_ns = n * 4200;
	b->counts.latency_max_ns = n ? 29000 : 0;
}

/* What the captured moment looks like so many milliseconds into the demo. */
static void move(struct snapshot *s, struct report *r, uint64_t ms)
{
	static const struct telem_device nothing = { .pci = "" };
	struct telem_run *run = s->n_runs && !s->runs[0].rc ? &s->runs[0].page.run : NULL;
	const struct telem_device *held = run && run->n_devices ? &run->devices[0] : &nothing;

	s->now_ns += ms * 1000000;
	for (uint32_t i = 0; i < r->n_gpus; i++)
		move_device(&r->gpus[i], i == 0, held, ms);
	if (run) {
		move_run(run, ms);
		fill_ring(run, s->now_ns, ms);
	}
	for (uint32_t i = 0; i < s->n_bridges; i++)
		move_bridge(&s->bridges[i].page, ms);
}

void demo_begin(struct demo *d, struct film *f)
{
	*d = (struct demo) { .film = f };
}

void demo_show(const struct demo *d, struct snapshot *s, uint64_t ms)
{
	film_show(d->film, film_first_ms(d->film), s);
	/* The report is the player's, made anew for this moment: nobody else looks at it. */
	if (s->report)
		move(s, (struct report *)s->report, ms);
	s->origin = ORIGIN_DEMO;
	s->origin_name[0] = 0;
}

static void next(void *ctx, struct snapshot *s)
{
	struct demo *d = ctx;
	uint64_t now = clock_ns();
	time_t at = time(NULL);
	struct tm tm;

	if (!d->began_ns)
		d->began_ns = now;
	demo_show(d, s, (now - d->began_ns) / 1000000);
	if (localtime_r(&at, &tm))
		strftime(s->clock, sizeof(s->clock), "%H:%M:%S", &tm);
}

struct feed demo_feed(struct demo *d)
{
	return (struct feed) { .next = next, .ctx = d };
}
