/* SPDX-License-Identifier: MIT */
#include "tui/lookout_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/pages.h"
#include "base/text.h"
#include "tui/judge.h"

/* --- one device --- */

uint32_t eye_index(const struct lookout *l, const char *pci)
{
	uint32_t i = 0;

	while (i < l->n_eyes && strcmp(l->eyes[i]->gpu.pci, pci) != 0)
		i++;
	return i;
}

struct eye *eye_of(struct lookout *l, const char *pci)
{
	uint32_t i = eye_index(l, pci);

	return i < l->n_eyes ? l->eyes[i] : NULL;
}

/* NVIDIA's library tells of it, and this thread only of the rest. */
static bool stands_beside(const struct lookout *l, const struct eye *e)
{
	return e->nvml && e->read_ns && l->interval_ms && l->interval_ms < BESIDE_MS;
}

/* Idle: nothing runs on it, and it says that it is not busy. */
static void judge_rest(const struct lookout *l, struct eye *e)
{
	bool busy = e->works || (fact_known(&e->gpu.busy_percent) && e->gpu.busy_percent.v > 0);
	uint32_t readings = stands_beside(l, e) ? BESIDE_MS / l->interval_ms : 1;

	e->idle = busy ? 0 : e->idle + readings;
	e->resting = e->idle >= IDLE_AFTER;
}

uint32_t eye_next_look(const struct lookout *l, const struct eye *e)
{
	if (e->gpu.awake == AWAKE_NO)
		return ASLEEP_MS;
	if (!e->resting)
		return l->interval_ms;
	return e->may_sleep ? DOZE_MS : IDLE_MS;
}

static bool same_text(const struct fact_text *a, const struct fact_text *b)
{
	return fact_text_known(a) == fact_text_known(b) &&
	       (!fact_text_known(a) || !strcmp(a->v, b->v));
}

/* What was read; the rest of what is shown comes from other threads, or came meanwhile. */
static void publish(struct eye *e)
{
	/* Another driver brings other nodes and names, which a whole collection finds. */
	if (e->looked && !same_text(&e->now.driver, &e->driver))
		e->stale = e->live->stale = true;
	e->driver = e->now.driver;
	e->looked = true;
	/* NVIDIA's numbers come by another way. */
	if (e->nvml) {
		e->gpu.awake = e->now.awake;
		e->gpu.driver = e->now.driver;
		return;
	}
	e->now.link = e->gpu.link;
	e->now.tunnel = e->gpu.tunnel;
	e->now.holders = e->gpu.holders;
	e->gpu = e->now;
	e->read_ns = telem_now_ns();
}

/* When this thread looks again. */
static uint32_t next_look(const struct lookout *l, const struct eye *e)
{
	uint32_t ms = eye_next_look(l, e);

	return stands_beside(l, e) && ms < BESIDE_MS ? BESIDE_MS : ms;
}

static uint32_t read_device(void *ctx)
{
	struct eye *e = ctx;
	struct lookout *l = e->live;
	bool was_resting;
	uint32_t ms;

	pthread_mutex_lock(&l->lock);
	/* Else it goes on from its own last reading. */
	if (e->now_turn != e->turn)
		e->now = e->gpu;
	e->now_turn = e->turn;
	was_resting = e->resting;
	pthread_mutex_unlock(&l->lock);

	int rc = l->senses.refresh(l->senses.ctx, &e->now);
	/* Of one that works it makes no difference. */
	bool may_sleep = !rc && was_resting && l->senses.may_sleep(l->senses.ctx, &e->now);

	pthread_mutex_lock(&l->lock);
	e->lost = rc == -ENODEV;
	if (!rc && e->now_turn == e->turn)
		publish(e);
	judge_rest(l, e);
	if (was_resting && !e->resting && l->keeper)
		reader_kick(l->keeper); /* somebody works on it: who? */
	e->may_sleep = may_sleep;
	ms = next_look(l, e);
	pthread_mutex_unlock(&l->lock);
	return rc ? ASLEEP_MS : ms;
}

/* --- what there is --- */

/* A driver may be bound later, and another card plugged in. */
static void judge_library(struct lookout *l, struct eye *e, const struct gpu *g)
{
	bool nvml = l->senses.machine && probe_has_nvml(g);

	l->more_cards = l->more_cards || (nvml && (!e->nvml || e->lost));
	e->nvml = nvml;
}

static bool add_eye(struct lookout *l, const struct gpu *g)
{
	struct eye *e = l->n_eyes < PROBE_GPUS_MAX ? pages_new(sizeof(*e)) : NULL;

	if (!e)
		return false;
	e->live = l;
	e->now = e->gpu = *g;
	l->eyes[l->n_eyes++] = e;
	judge_library(l, e, g);
	return true;
}

static bool same_card(const struct gpu *a, const struct gpu *b)
{
	return a->vendor == b->vendor && a->device == b->device && a->subvendor == b->subvendor &&
	       a->subdevice == b->subdevice && a->class == b->class;
}

/* What the collection found of a device that is known: all, when it came anew in one way or another. */
static void take_known(struct eye *e, const struct gpu *g)
{
	if (!e->lost && !e->stale && same_card(&e->gpu, g)) {
		e->gpu.link = g->link;
		e->gpu.tunnel = g->tunnel;
		return;
	}
	e->gpu = *g;
	e->stale = false;
	e->turn++; /* a reading in flight is of what was there before */
}

/* A new collection: devices known already keep their place, new ones come last, and none is dropped. */
static void take_base(struct lookout *l, const struct report *r, uint32_t *first_new)
{
	*first_new = l->n_eyes;
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct eye *e = eye_of(l, r->gpus[i].pci);

		if (!e) {
			add_eye(l, &r->gpus[i]);
			continue;
		}
		judge_library(l, e, &r->gpus[i]);
		take_known(e, &r->gpus[i]);
	}
	memcpy(l->base, r, offsetof(struct report, gpus));
	l->base->n_gpus = 0;
	l->base_ns = telem_now_ns();
}

/* Without a thread of its own a device shows what the collection found. */
static struct reader *start(read_fn *read, void *ctx)
{
	struct reader *r = NULL;

	return reader_start(&r, read, ctx, NULL) ? NULL : r;
}

static void start_eyes(struct lookout *l, uint32_t first)
{
	bool library = false;

	/* Eyes are added by this thread alone; who shows them looks at their readers under the lock. */
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		struct reader *r = i < first ? NULL : start(read_device, l->eyes[i]);

		pthread_mutex_lock(&l->lock);
		if (r)
			l->eyes[i]->reader = r;
		library = library || l->eyes[i]->nvml;
		pthread_mutex_unlock(&l->lock);
	}
	if (library && !l->library)
		l->library = start(library_read, l);
}

/* Whether all has to be collected again. */
static bool is_due(struct lookout *l, uint64_t mark)
{
	bool stale;

	pthread_mutex_lock(&l->lock);
	stale = l->stale || !l->base_ns || mark != l->mark ||
		telem_now_ns() - l->base_ns >= UINT64_C(1000000) * WHOLE_MS;
	l->stale = false;
	pthread_mutex_unlock(&l->lock);
	return stale;
}

/* The host's memory and work, which change all the time; a whole collection is rare. */
static void look_at_host(struct lookout *l)
{
	struct cpu c;

	if (!l->senses.host || !l->base_ns) /* written by this thread alone, as the base is */
		return;
	c = l->base->cpu;
	l->senses.host(l->senses.ctx, &c, &l->time);
	pthread_mutex_lock(&l->lock);
	l->base->cpu = c;
	pthread_mutex_unlock(&l->lock);
}

static uint32_t scan(void *ctx)
{
	struct lookout *l = ctx;
	uint64_t mark = l->senses.mark(l->senses.ctx);
	struct report *r = NULL;
	struct err e = { 0 };
	uint32_t first = 0;
	int rc;

	if (!is_due(l, mark)) {
		look_at_host(l);
		return BUS_MS;
	}
	rc = l->senses.collect(l->senses.ctx, &r, &e);
	pthread_mutex_lock(&l->lock);
	l->error = (struct err) { 0 };
	if (rc) {
		l->error = e;
		l->error.rc = rc;
		l->stale = true;
	} else {
		l->mark = mark;
		take_base(l, r, &first);
	}
	pthread_mutex_unlock(&l->lock);
	probe_free(r);
	if (!rc)
		start_eyes(l, first);
	look_at_host(l);
	return BUS_MS;
}

static struct report *report_of_eyes(struct lookout *l)
{
	struct report *r = NULL;

	pthread_mutex_lock(&l->lock);
	if (l->base_ns)
		r = malloc(sizeof(*r));
	if (r) {
		memcpy(r, l->base, offsetof(struct report, gpus));
		r->n_gpus = l->n_eyes;
		for (uint32_t i = 0; i < l->n_eyes; i++)
			r->gpus[i] = l->eyes[i]->gpu;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

/* Where every device rests, who holds them is asked as rarely as the drowsiest of them is looked at. */
static uint32_t next_holders(struct lookout *l)
{
	bool rest = true;

	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++)
		rest = rest && (l->eyes[i]->resting || l->eyes[i]->gpu.awake == AWAKE_NO);
	pthread_mutex_unlock(&l->lock);
	return rest ? DOZE_MS : HOLDERS_MS;
}

static uint32_t read_holders(void *ctx)
{
	struct lookout *l = ctx;
	struct report *r = report_of_eyes(l);
	struct err e = { 0 };

	if (!r)
		return 50; /* nobody knows yet what there is */
	if (r->n_gpus && !l->senses.holders(l->senses.ctx, r, &l->past, &e)) {
		pthread_mutex_lock(&l->lock);
		if (!l->holders)
			l->holders = calloc(PROBE_GPUS_MAX, sizeof(*l->holders));
		for (uint32_t i = 0; l->holders && i < r->n_gpus; i++) {
			l->holders[i] = r->gpus[i].holders;
			/* NVIDIA's list comes with its numbers. */
			if (!l->eyes[i]->nvml)
				l->eyes[i]->gpu.holders = r->gpus[i].holders;
		}
		pthread_mutex_unlock(&l->lock);
	}
	free(r);
	return next_holders(l);
}

/* --- the feed --- */

static void mark_work(struct lookout *l, const struct snapshot *s)
{
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		struct eye *e = l->eyes[i];

		e->works = false;
		for (uint32_t k = 0; k < s->n_runs && !e->works; k++) {
			const struct telem_run *run = &s->runs[k].page.run;

			for (uint32_t d = 0; judge_run(&s->runs[k]) == RUN_GENERATING &&
					     d < run->n_devices && d < TELEM_DEVICES_MAX;
			     d++)
				e->works = e->works || !strcasecmp(run->devices[d].pci, e->gpu.pci);
		}
		if (e->works && e->resting && e->reader)
			reader_kick(e->reader);
	}
}

static void show_device(struct lookout *l, uint32_t i, struct device_seen *seen, uint64_t now)
{
	struct eye *e = l->eyes[i];
	uint64_t library_ms = e->asked ? (now - e->asked_ns) / 1000000 : 0;
	uint64_t own_ms = e->reader ? reader_waiting_ms(e->reader) : 0;

	l->shown->gpus[i] = e->gpu;
	*seen = (struct device_seen) {
		.age_ms = e->read_ns ? (now - e->read_ns) / 1000000 : AGE_UNKNOWN,
		.waiting_ms = own_ms > library_ms ? own_ms : library_ms,
		.lost = e->lost,
		.resting = e->resting,
	};
}

static void next(void *ctx, struct snapshot *s)
{
	struct lookout *l = ctx;
	uint64_t now;

	runs_read(s, l->run_dir);
	now = telem_now_ns();
	pthread_mutex_lock(&l->lock);
	l->interval_ms = s->interval_ms;
	if (l->base_ns && !l->shown)
		l->shown = pages_new(sizeof(*l->shown));
	if (l->base_ns && l->shown) {
		memcpy(l->shown, l->base, offsetof(struct report, gpus));
		l->shown->n_gpus = l->n_eyes;
		for (uint32_t i = 0; i < l->n_eyes; i++)
			show_device(l, i, &s->devices[i], now);
		s->report = l->shown;
	}
	s->device_age_ms = l->base_ns ? reader_waiting_ms(l->scanner) : 0;
	s->device_error[0] = '\0';
	if (l->error.rc)
		text_copy(s->device_error, sizeof(s->device_error), l->error.text);
	mark_work(l, s);
	pthread_mutex_unlock(&l->lock);
}

struct feed lookout_feed(struct lookout *l)
{
	return (struct feed) { .next = next, .may_kill = true, .ctx = l };
}

int lookout_start(struct lookout **out, const struct senses *senses, const char *run_dir,
		  uint32_t interval_ms, struct err *e)
{
	struct lookout *l = calloc(1, sizeof(*l));
	struct report *base = pages_new(sizeof(*base));
	int rc;

	if (!l || !base) {
		free(l);
		pages_free(base, sizeof(*base));
		return err_set(e, -ENOMEM, "out of memory");
	}
	l->base = base;
	l->senses = *senses;
	l->run_dir = run_dir;
	l->interval_ms = interval_ms;
	pthread_mutex_init(&l->lock, NULL);
	/* Without this one nobody's memory is told apart. It comes first: the others' eyes kick it. */
	if (senses->holders)
		l->keeper = start(read_holders, l);
	rc = reader_start(&l->scanner, scan, l, e);
	if (rc) {
		if (!l->keeper || readers_stop(&l->keeper, 1)) {
			pthread_mutex_destroy(&l->lock);
			pages_free(base, sizeof(*base));
			free(l);
		}
		return rc;
	}
	*out = l;
	return 0;
}

bool lookout_stop(struct lookout *l)
{
	struct reader *all[PROBE_GPUS_MAX + 3];
	uint32_t n = 0;

	/* The scanner first: it starts others. */
	if (!readers_stop(&l->scanner, 1))
		return false;
	pthread_mutex_lock(&l->lock);
	if (l->keeper)
		all[n++] = l->keeper;
	l->keeper = NULL; /* nobody kicks it any more, not even one that hangs until later */
	pthread_mutex_unlock(&l->lock);
	if (l->library)
		all[n++] = l->library;
	for (uint32_t i = 0; i < l->n_eyes; i++)
		if (l->eyes[i]->reader)
			all[n++] = l->eyes[i]->reader;
	if (!readers_stop(all, n))
		return false;
	for (uint32_t i = 0; i < l->n_eyes; i++)
		pages_free(l->eyes[i], sizeof(*l->eyes[i]));
	probe_nvml_close(l->nvml);
	probe_past_free(l->past);
	pages_free(l->base, sizeof(*l->base));
	pages_free(l->shown, sizeof(*l->shown));
	free(l->holders);
	pthread_mutex_destroy(&l->lock);
	free(l);
	return true;
}

/* --- this machine --- */

static int collect(void *ctx, struct report **r, struct err *e)
{
	const struct probe_opts o = { .no_procs = true, .no_nvml = true };

	return probe_collect(ctx, &o, r, e);
}

static int refresh(void *ctx, struct gpu *g)
{
	return probe_refresh(ctx, g);
}

static int holders(void *ctx, struct report *r, struct claims_past **past, struct err *e)
{
	return probe_refresh_holders(ctx, r, past, e);
}

static void host(void *ctx, struct cpu *c, struct cpu_time *past)
{
	probe_refresh_host(ctx, c, past);
}

static uint64_t mark(void *ctx)
{
	return probe_bus_mark(ctx);
}

static bool may_sleep(void *ctx, const struct gpu *g)
{
	return probe_may_sleep(ctx, g);
}

struct senses senses_of(const struct machine *m)
{
	return (struct senses) { .collect = collect,
				 .refresh = refresh,
				 .holders = holders,
				 .host = host,
				 .mark = mark,
				 .may_sleep = may_sleep,
				 .machine = m,
				 .give_up_ms = GIVE_UP_MS,
				 .ctx = (void *)(uintptr_t)m };
}
