/* SPDX-License-Identifier: MIT */
#include "tui/lookout.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "tui/judge.h"
#include "tui/reader.h"

#define BUS_MS     2000  /* between looks for devices that came or went */
#define WHOLE_MS   60000 /* and at all of them, links and names included */
#define HOLDERS_MS 5000
#define ASLEEP_MS  2000 /* its power state alone, which wakes nothing */
#define IDLE_MS    5000
#define DOZE_MS                                                                                    \
	15000 /* longer than the usual delay of autosuspend, 5 s: it can fall asleep between */
#define IDLE_AFTER   30  /* readings without work */
#define NVML_WAIT_MS 500 /* how long a wait for one device takes before the thread looks around */

/* What one thread reads into; `now` belongs to the thread, the rest is guarded by the lock of struct lookout. */
struct eye {
	struct lookout *live;
	struct reader *reader;
	struct gpu now;
	struct gpu gpu;
	struct fact_text name; /* as the whole collection has it, for devices without NVML */
	uint64_t read_ns;      /* 0: never yet */
	bool lost, resting, may_sleep, nvml, works;
	bool asked; /* of NVIDIA's: its answer is awaited */
	uint64_t asked_ns;
	uint32_t idle;
};

struct lookout {
	struct senses senses;
	const char *run_dir;
	pthread_mutex_t lock;
	uint32_t interval_ms;
	struct report *base; /* the last whole collection; its gpus in the order of eyes */
	uint64_t base_ns;
	struct err error;
	struct eye *eyes[PROBE_GPUS_MAX];
	uint32_t n_eyes;
	struct holders *holders; /* parallel to eyes; NULL: not read yet */
	bool more_cards;         /* that an open library does not know of */

	/* Of one thread each. */
	struct reader *scanner, *keeper, *library;
	uint64_t mark;
	struct probe_nvml *nvml;
	bool waits; /* a round of it is in flight */

	struct report *shown; /* of the thread that draws */
};

/* --- one device --- */

/* Idle: nothing runs on it, and it says that it is not busy. */
static void judge_rest(struct eye *e)
{
	bool busy = e->works || (fact_known(&e->gpu.busy_percent) && e->gpu.busy_percent.v > 0);

	e->idle = busy ? 0 : e->idle + 1;
	e->resting = e->idle >= IDLE_AFTER;
}

static uint32_t next_look(const struct lookout *l, const struct eye *e)
{
	if (e->gpu.awake == AWAKE_NO)
		return ASLEEP_MS;
	if (!e->resting)
		return l->interval_ms;
	return e->may_sleep ? DOZE_MS : IDLE_MS;
}

static uint32_t read_device(void *ctx)
{
	struct eye *e = ctx;
	struct lookout *l = e->live;
	int rc = l->senses.refresh(l->senses.ctx, &e->now);
	bool may_sleep = !rc && l->senses.may_sleep(l->senses.ctx, &e->now);
	uint32_t ms;

	pthread_mutex_lock(&l->lock);
	e->lost = rc == -ENODEV;
	if (!rc) {
		/* NVIDIA's numbers come by another way. */
		if (e->nvml) {
			e->gpu.awake = e->now.awake;
			e->gpu.driver = e->now.driver;
		} else {
			e->gpu = e->now;
			e->read_ns = telem_now_ns();
		}
	}
	judge_rest(e);
	e->may_sleep = may_sleep;
	ms = next_look(l, e);
	pthread_mutex_unlock(&l->lock);
	return rc ? ASLEEP_MS : ms;
}

/* --- NVIDIA's library, for all of its devices --- */

static uint32_t index_of(const struct lookout *l, const char *pci)
{
	uint32_t i = 0;

	while (i < l->n_eyes && strcmp(l->eyes[i]->gpu.pci, pci) != 0)
		i++;
	return i;
}

static struct eye *eye_of(struct lookout *l, const char *pci)
{
	uint32_t i = index_of(l, pci);

	return i < l->n_eyes ? l->eyes[i] : NULL;
}

static void took(void *ctx, const char *pci)
{
	struct lookout *l = ctx;
	struct eye *e;

	pthread_mutex_lock(&l->lock);
	e = eye_of(l, pci);
	if (e) {
		/* The library's processes join those that hold the device's files. */
		e->gpu.holders = l->holders ? l->holders[index_of(l, pci)] : (struct holders) { 0 };
		probe_nvml_take(l->nvml, l->senses.machine, &e->gpu);
		e->read_ns = telem_now_ns();
		e->asked = false;
	}
	pthread_mutex_unlock(&l->lock);
}

/* Whether the library may be asked: it opens every card, and wakes those that sleep. */
static bool may_ask(struct lookout *l, uint32_t *rest_ms)
{
	bool any = false, all_awake = true;

	*rest_ms = DOZE_MS;
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		const struct eye *e = l->eyes[i];

		if (!e->nvml || e->lost)
			continue;
		any = true;
		all_awake = all_awake && e->gpu.awake == AWAKE_YES;
		if (next_look(l, e) < *rest_ms)
			*rest_ms = next_look(l, e);
	}
	pthread_mutex_unlock(&l->lock);
	return any && all_awake;
}

static void expect_answers(struct lookout *l)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		l->eyes[i]->asked = l->eyes[i]->nvml && !l->eyes[i]->lost;
		l->eyes[i]->asked_ns = telem_now_ns();
	}
	pthread_mutex_unlock(&l->lock);
}

/* The child is gone, or is not wanted: what it said last stays, with its age. */
static void close_nvml(struct lookout *l, bool failed)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		struct eye *e = l->eyes[i];

		if (failed && e->nvml)
			probe_nvml_take(l->nvml, l->senses.machine, &e->gpu);
		e->asked = false;
	}
	pthread_mutex_unlock(&l->lock);
	probe_nvml_close(l->nvml);
	l->nvml = NULL;
	l->waits = false;
}

/* Cards that came after it was opened. */
static bool knows_too_little(struct lookout *l)
{
	bool more;

	pthread_mutex_lock(&l->lock);
	more = l->more_cards && l->nvml;
	l->more_cards = false;
	pthread_mutex_unlock(&l->lock);
	return more;
}

static bool open_nvml(struct lookout *l)
{
	struct err e = { 0 };
	int rc;

	if (l->nvml)
		return true;
	pthread_mutex_lock(&l->lock);
	rc = l->base ? probe_nvml_open(&l->nvml, l->senses.machine, l->base, &e) : -EAGAIN;
	pthread_mutex_unlock(&l->lock);
	return !rc;
}

static uint32_t read_library(void *ctx)
{
	struct lookout *l = ctx;
	uint32_t rest_ms;
	int rc;

	if (!may_ask(l, &rest_ms)) {
		if (l->nvml)
			close_nvml(l, false);
		return ASLEEP_MS;
	}
	if (knows_too_little(l))
		close_nvml(l, false);
	if (!open_nvml(l))
		return BUS_MS;
	if (!l->waits)
		expect_answers(l);
	rc = probe_nvml_ask(l->nvml, l->waits, NVML_WAIT_MS, took, l);
	l->waits = rc == -ETIMEDOUT;
	if (l->waits)
		return 0;
	if (rc)
		close_nvml(l, true);
	/* An open library keeps its cards from sleeping. */
	else if (rest_ms == DOZE_MS)
		close_nvml(l, false);
	return rc ? DOZE_MS : rest_ms;
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
	struct eye *e = l->n_eyes < PROBE_GPUS_MAX ? calloc(1, sizeof(*e)) : NULL;

	if (!e)
		return false;
	e->live = l;
	e->now = e->gpu = *g;
	l->eyes[l->n_eyes++] = e;
	judge_library(l, e, g);
	return true;
}

/* A new collection: devices known already keep their place, new ones come last, and none is dropped. */
static void take_base(struct lookout *l, struct report *r, uint32_t *first_new)
{
	*first_new = l->n_eyes;
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct eye *e = eye_of(l, r->gpus[i].pci);

		if (!e) {
			add_eye(l, &r->gpus[i]);
			continue;
		}
		judge_library(l, e, &r->gpus[i]);
		if (e->lost) {
			e->gpu = r->gpus[i]; /* plugged in again */
		} else {
			e->gpu.link = r->gpus[i].link;
			e->gpu.tunnel = r->gpus[i].tunnel;
		}
	}
	probe_free(l->base);
	l->base = r;
	l->base_ns = telem_now_ns();
}

static void start_eyes(struct lookout *l, uint32_t first)
{
	bool library = false;

	for (uint32_t i = 0; i < l->n_eyes; i++)
		library = library || l->eyes[i]->nvml;
	for (uint32_t i = first; i < l->n_eyes; i++) {
		/* One that cannot be read by a thread of its own shows what the collection found. */
		if (reader_start(&l->eyes[i]->reader, read_device, l->eyes[i], NULL))
			l->eyes[i]->reader = NULL;
	}
	if (library && !l->library && reader_start(&l->library, read_library, l, NULL))
		l->library = NULL;
}

static uint32_t scan(void *ctx)
{
	struct lookout *l = ctx;
	uint64_t mark = l->senses.mark(l->senses.ctx), now = telem_now_ns();
	struct report *r = NULL;
	struct err e = { 0 };
	uint32_t first = 0;
	int rc;

	if (l->base_ns && mark == l->mark && now - l->base_ns < UINT64_C(1000000) * WHOLE_MS)
		return BUS_MS;
	rc = l->senses.collect(l->senses.ctx, &r, &e);
	pthread_mutex_lock(&l->lock);
	l->error = (struct err) { 0 };
	if (rc) {
		l->error = e;
		l->error.rc = rc;
	} else {
		l->mark = mark;
		take_base(l, r, &first);
	}
	pthread_mutex_unlock(&l->lock);
	if (!rc)
		start_eyes(l, first);
	return BUS_MS;
}

static struct report *report_of_eyes(struct lookout *l)
{
	struct report *r = NULL;

	pthread_mutex_lock(&l->lock);
	if (l->base)
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

static uint32_t read_holders(void *ctx)
{
	struct lookout *l = ctx;
	struct report *r = report_of_eyes(l);
	struct err e = { 0 };

	if (!r)
		return 50; /* nobody knows yet what there is */
	if (r->n_gpus && !l->senses.holders(l->senses.ctx, r, &e)) {
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
	return HOLDERS_MS;
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
	if (l->base && !l->shown)
		l->shown = malloc(sizeof(*l->shown));
	if (l->base && l->shown) {
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
	int rc;

	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	l->senses = *senses;
	l->run_dir = run_dir;
	l->interval_ms = interval_ms;
	pthread_mutex_init(&l->lock, NULL);
	rc = reader_start(&l->scanner, scan, l, e);
	if (!rc && senses->holders && reader_start(&l->keeper, read_holders, l, NULL))
		l->keeper = NULL; /* without it nobody's memory is told apart */
	if (rc) {
		free(l);
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
	if (l->keeper)
		all[n++] = l->keeper;
	if (l->library)
		all[n++] = l->library;
	for (uint32_t i = 0; i < l->n_eyes; i++)
		if (l->eyes[i]->reader)
			all[n++] = l->eyes[i]->reader;
	if (!readers_stop(all, n))
		return false;
	for (uint32_t i = 0; i < l->n_eyes; i++)
		free(l->eyes[i]);
	probe_nvml_close(l->nvml);
	probe_free(l->base);
	free(l->shown);
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

static int holders(void *ctx, struct report *r, struct err *e)
{
	return probe_refresh_holders(ctx, r, e);
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
				 .mark = mark,
				 .may_sleep = may_sleep,
				 .machine = m,
				 .ctx = (void *)(uintptr_t)m };
}
