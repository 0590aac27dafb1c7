/* SPDX-License-Identifier: MIT */
/*
 * prog_top_states SEED COUNT: as many moments as nobody sees, each as the monitor's JSON, a line each. Every member
 * is any value of its type; texts are bytes of any kind, with an end. Pages have passed telem_check(), as every
 * page that the monitor reads has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "tui/frame.h"

static uint64_t state;

/* splitmix64: the same seed gives the same states everywhere. */
static uint64_t any(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(any() % n);
}

/* The ends of its range as often as what is between. */
static uint64_t number(void)
{
	static const uint64_t ends[] = {
		0,          1,          INT32_MAX,      UINT32_MAX,
		INT64_MAX,  UINT64_MAX, UINT64_MAX - 1, (uint64_t)INT64_MAX + 1,
		1000000000, 4096
	};

	switch (below(3)) {
	case 0:
		return ends[below(sizeof(ends) / sizeof(ends[0]))];
	case 1:
		return any() >> below(64);
	default:
		return any();
	}
}

static void noise(void *p, size_t size)
{
	unsigned char *to = p;

	for (size_t i = 0; i < size; i++)
		to[i] = (unsigned char)any();
}

/* Letters, or bytes of any kind; empty, short, or all that there is room for. */
static void words(char *to, size_t size)
{
	size_t n = below(2) ? below((uint32_t)size) : below(8);

	if (below(3))
		noise(to, n);
	else
		memset(to, 'a' + (int)below(26), n);
	to[n < size ? n : size - 1] = '\0';
}

static struct fact fact(void)
{
	return below(4) ? fact_of((int64_t)number(), (enum src)(1 + below(SRC_COUNT - 1)))
			: fact_unknown((enum why)below(WHY_COUNT));
}

static struct fact_text fact_text(void)
{
	struct fact_text f = fact_text_unknown((enum why)below(WHY_COUNT));
	char v[200];

	words(v, sizeof(v));
	return below(4) ? fact_text_of(v, (enum src)(1 + below(SRC_COUNT - 1))) : f;
}

static void make_gpu(struct gpu *g, struct device_seen *seen)
{
	/* The one text whose form is promised: whoever lists devices made it of numbers. */
	snprintf(g->pci, sizeof(g->pci), "%04x:%02x:%02x.%x", below(0x10000), below(0x100),
		 below(0x20), below(8));
	g->name = fact_text();
	g->driver = fact_text();
	g->awake = (enum awake)below(AWAKE_NO + 1);
	g->vram_total = fact();
	g->vram_used = fact();
	g->power_mw = fact();
	g->power_cap_mw = fact();
	g->temp_mc = fact();
	g->busy_percent = fact();
	g->live.core_mhz = fact();
	g->live.throttle = fact_text();
	g->link.bytes_per_s = fact();
	g->link.cause = (enum link_cause)below(LINK_CAUSE_COUNT);
	g->holders.n_procs = below(PROCS_MAX + 1);
	for (uint32_t i = 0; i < g->holders.n_procs; i++) {
		struct gpu_proc *p = &g->holders.procs[i];

		p->pid = (uint32_t)number();
		words(p->name, sizeof(p->name));
		p->vram = fact();
		p->host = fact();
	}
	*seen = (struct device_seen) { .age_ms = number(),
				       .waiting_ms = number(),
				       .lost = below(4) == 0,
				       .resting = below(2) };
}

static void make_report(struct report *r, struct snapshot *s)
{
	r->host = fact_text();
	r->cpu.name = fact_text();
	r->cpu.ram_total = fact();
	r->cpu.ram_available = fact();
	r->n_left_out = (uint32_t)number();
	r->n_gpus = below(8) ? below(4) : PROBE_GPUS_MAX;
	for (uint32_t i = 0; i < r->n_gpus; i++)
		make_gpu(&r->gpus[i], &s->devices[i]);
}

/* Numbers as they come, then what telem_check() wants of a page; the devices are some of the report's. */
static void make_page(struct telem_page *page, const struct report *r)
{
	struct telem_run *run = &page->run;

	noise(page, sizeof(*page));
	page->header = (struct telem_header) { .magic = TELEM_MAGIC,
					       .version = TELEM_VERSION,
					       .kind = TELEM_RUN,
					       .size = sizeof(*page),
					       .writer_pid = (int32_t)number() };
	words(run->model, sizeof(run->model));
	words(run->plan_id, sizeof(run->plan_id));
	words(run->name, sizeof(run->name));
	run->state = below(TELEM_STATE_COUNT);
	run->n_devices = below(TELEM_DEVICES_MAX + 1);
	run->verified = below(2);
	run->n_seq = below(2) ? below(8) : TELEM_SEQ_MAX;
	run->ring_next = below(TELEM_RING);
	run->ctx_tokens = (uint32_t)number();
	run->ctx_used_tokens = (uint32_t)number();
	for (uint64_t *c = (uint64_t *)&run->counts; c < (uint64_t *)(&run->counts + 1); c++)
		*c = number();
	for (uint32_t i = 0; i < run->n_devices; i++) {
		struct telem_device *d = &run->devices[i];

		words(d->name, sizeof(d->name));
		words(d->pci, sizeof(d->pci));
		if (r->n_gpus && below(2))
			memcpy(d->pci, r->gpus[below(r->n_gpus)].pci, sizeof(d->pci));
		d->planned = (struct telem_bytes) { number(), number(), number(), number() };
		d->measured = (struct telem_bytes) { number(), number(), number(), number() };
	}
}

static void make_run(struct run_seen *r, const struct report *report)
{
	memset(r, 0, sizeof(*r));
	words(r->file, sizeof(r->file));
	words(r->name, sizeof(r->name));
	words(r->phase, sizeof(r->phase));
	words(r->note, sizeof(r->note));
	words(r->last_class, sizeof(r->last_class));
	words(r->last_sentence, sizeof(r->last_sentence));
	r->supervised = below(2);
	r->starts = (uint32_t)number();
	r->life = (enum telem_life)below(TELEM_DEAD + 1);
	if (below(5)) {
		make_page(&r->page, report);
		r->rc = telem_check(&r->page, sizeof(r->page), NULL);
	} else {
		r->rc = -(int)(1 + below(4095));
	}
}

static void make_bridge(struct bridge_seen *b)
{
	struct telem_page page;

	noise(&page, sizeof(page));
	page.header = (struct telem_header) { .magic = TELEM_MAGIC,
					      .version = TELEM_VERSION,
					      .kind = TELEM_BRIDGE,
					      .size = (uint32_t)telem_size(TELEM_BRIDGE) };
	words(page.bridge.pci, sizeof(page.bridge.pci));
	words(page.bridge.guest, sizeof(page.bridge.guest));
	words(page.bridge.socket, sizeof(page.bridge.socket));
	words(page.bridge.trouble, sizeof(page.bridge.trouble));
	page.bridge.state = below(TELEM_BRIDGE_STATE_COUNT + 1);
	page.bridge.mode = below(TELEM_MODE_COUNT + 1);
	for (uint64_t *c = (uint64_t *)&page.bridge.counts; c < (uint64_t *)(&page.bridge + 1); c++)
		*c = number();
	if (telem_check(&page, telem_size(TELEM_BRIDGE), NULL))
		abort();
	*b = (struct bridge_seen) { .life = (enum telem_life)below(TELEM_DEAD + 1),
				    .pid = (int32_t)number(),
				    .page = page.bridge };
	words(b->file, sizeof(b->file));
	words(b->key, sizeof(b->key));
}

static void make(struct snapshot *s, struct report *r)
{
	memset(s, 0, offsetof(struct snapshot, runs));
	memset(r, 0, sizeof(*r));
	s->origin = (enum origin)below(ORIGIN_DEMO + 1);
	s->now_ns = number();
	s->device_age_ms = number();
	words(s->origin_name, sizeof(s->origin_name));
	make_report(r, s);
	if (below(8))
		s->report = r;
	if (below(4) == 0)
		words(s->device_error, sizeof(s->device_error));
	s->n_runs = below(32) ? below(4) : SNAP_RUNS_MAX;
	s->n_runs_left_out = (uint32_t)number();
	for (uint32_t i = 0; i < s->n_runs; i++)
		make_run(&s->runs[i], r);
	s->n_bridges = below(8) ? below(2) : SNAP_BRIDGES_MAX;
	for (uint32_t i = 0; i < s->n_bridges; i++)
		make_bridge(&s->bridges[i]);
}

/* As it comes, and some time later with more of everything, or less: what follows from both goes into it, too. */
static void move(struct snapshot *s, struct history *h)
{
	memset(h, 0, sizeof(*h));
	/* Half of them have a GPU, as real ones do, or no run would ever have a power */
	for (uint32_t i = 0; s->report && s->report->n_gpus && i < s->n_runs; i++) {
		struct telem_run *run = &s->runs[i].page.run;
		const struct gpu *g = &s->report->gpus[below(s->report->n_gpus)];

		if (below(2) || !run->n_devices)
			continue;
		run->n_devices = 1;
		text_copy(run->devices[0].pci, sizeof(run->devices[0].pci), g->pci);
	}
	s->interval_ms = below(2) ? 1000 : (uint32_t)number();
	history_add(h, s);
	s->now_ns += below(4) ? below(2000000000) : number();
	for (uint32_t i = 0; i < s->n_runs; i++) {
		struct telem_run *run = &s->runs[i].page.run;

		run->counts.generated_tokens += below(1000);
		run->counts.prompt_tokens += below(2) ? below(1000) : number();
	}
	history_add(h, s);
}

int main(int argc, char **argv)
{
	own_free struct history *h = calloc(1, sizeof(*h));
	struct prefs prefs = { .currency = "EUR" };
	own_free struct snapshot *s = calloc(1, sizeof(*s));
	own_free struct report *r = calloc(1, sizeof(*r));
	uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

	if (!n || !s || !r || !h)
		return 2;
	state = strtoull(argv[1], NULL, 10);
	for (; n; n--) {
		make(s, r);
		prefs.price_kwh = below(2) ? (double)number() * 1e-3 : 0;
		move(s, h);
		json_t *o = frame_to_json(
			&(struct frame) { .snap = s, .history = h, .prefs = &prefs });
		own_free char *line = json_dumps(o, JSON_COMPACT);

		json_decref(o);
		if (!line || puts(line) < 0)
			return 1;
	}
	return fflush(stdout) ? 1 : 0;
}
