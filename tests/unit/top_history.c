/* SPDX-License-Identifier: MIT */
/* What follows from several moments: curves, speeds, energy, events. No clock but the snapshots' own. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "tests/unit/moment.h"
#include "tui/events.h"
#include "tui/history.h"

struct stage {
	struct snapshot snap;
	struct report report;
	struct history history;
	struct events events;
	struct thresholds alarms;
};

static struct stage *stage_new(uint32_t n_gpus)
{
	struct stage *st = calloc(1, sizeof(*st));

	st->report.n_gpus = n_gpus;
	for (uint32_t i = 0; i < n_gpus; i++)
		moment_card(&st->report, i);
	st->snap.report = &st->report;
	st->snap.now_ns = 1000 * SECOND;
	strcpy(st->snap.clock, "12:00:00");
	st->alarms = thresholds_default;
	return st;
}

static struct run_seen *add_run(struct stage *st, const char *file)
{
	return moment_run(&st->snap.runs[st->snap.n_runs++], file, "model");
}

static void look(struct stage *st)
{
	history_add(&st->history, &st->snap);
	events_add(&st->events, &st->snap, &st->alarms);
}

/* A second goes by in which every run generated so many tokens. */
static void second(struct stage *st, uint32_t tokens)
{
	st->snap.now_ns += SECOND;
	for (uint32_t i = 0; i < st->snap.n_runs; i++)
		st->snap.runs[i].page.run.counts.generated_tokens += tokens;
	look(st);
}

static double newest(const struct series *s)
{
	return (double)s->points[HISTORY_POINTS - 1];
}

static void speeds_and_energy(void **state)
{
	struct stage *st = stage_new(1);
	const struct run_history *r;

	(void)state;
	add_run(st, "a.telem");
	look(st);
	r = history_run(&st->history, "a.telem");
	assert_true(newest(&r->s[SERIES_GENERATED]) < 0); /* one moment has no speed */
	assert_true(history_tokens_per_joule(r) < 0);
	for (int i = 0; i < 5; i++)
		second(st, 20);
	assert_float_equal(newest(&r->s[SERIES_GENERATED]), 20, 0.01);
	assert_float_equal(newest(&r->s[SERIES_CONTEXT]), 10, 0.01);
	assert_float_equal(history_tokens_per_joule(r), 0.2, 0.001); /* 20 tokens in 100 joules */
	assert_float_equal(series_mean(&r->s[SERIES_GENERATED], 5), 20, 0.01);
	assert_true(history_prompt_rate(r) < 0);
	assert_float_equal(history_device(&st->history, "0000:01:00.0")->joules, 500, 0.1);
	free(st);
}

/* Power is told of a moment: what was done within the second before a card came to rest was not done at rest. */
static void the_last_tokens_are_not_free(void **state)
{
	struct stage *st = stage_new(1);
	const struct run_history *r;

	(void)state;
	add_run(st, "a.telem");
	look(st);
	second(st, 10);
	st->report.gpus[0].power_mw = fact_of(20000, SRC_HWMON);
	second(st, 10);
	r = history_run(&st->history, "a.telem");
	assert_float_equal(history_tokens_per_joule(r), 20.0 / 160, 0.001);
	for (int i = 0; i < 9; i++)
		second(st, 0); /* the first of them leaves the window */
	assert_float_equal(history_tokens_per_joule(r), 10.0 / 60, 0.001);
	second(st, 0);
	assert_true(history_tokens_per_joule(r) < 0);
	free(st);
}

/* The machine slept: what its cards took meanwhile is not what they take now. */
static void a_night_asleep_took_nothing_known(void **state)
{
	struct stage *st = stage_new(1);
	const struct run_history *r;

	(void)state;
	add_run(st, "a.telem");
	for (int i = 0; i < 5; i++)
		second(st, 10);
	r = history_run(&st->history, "a.telem");
	assert_float_equal(history_tokens_per_joule(r), 0.1, 0.001);
	st->snap.now_ns += 8 * 3600 * SECOND;
	second(st, 10);
	assert_true(history_device(&st->history, "0000:01:00.0")->joules < 1000);
	assert_float_equal(history_tokens_per_joule(r), -1, 0.001);
	free(st);
}

/* Who looks once a minute wants to know the energy of all of it. */
static void slow_looks_count_all_energy(void **state)
{
	struct stage *st = stage_new(1);

	(void)state;
	st->snap.interval_ms = 60000;
	look(st);
	for (int i = 0; i < 3; i++) {
		st->snap.now_ns += 60 * SECOND;
		look(st);
	}
	assert_float_equal(history_device(&st->history, "0000:01:00.0")->joules, 18000, 1);
	free(st);
}

static void a_prompt_counts_the_time_spent_on_it(void **state)
{
	struct stage *st = stage_new(1);
	struct telem_run *run = &add_run(st, "a.telem")->page.run;

	(void)state;
	look(st);
	run->counts.prompt_tokens += 500;
	run->counts.prompt_ns += SECOND / 2;
	second(st, 0);
	second(st, 10);
	assert_float_equal(history_prompt_rate(history_run(&st->history, "a.telem")), 1000, 0.1);
	for (int i = 0; i < 61; i++)
		second(st, 10);
	assert_true(history_prompt_rate(history_run(&st->history, "a.telem")) < 0);
	free(st);
}

/* A core that came back counts from zero: that is no negative speed, and no huge one. */
static void a_restart_is_no_speed(void **state)
{
	struct stage *st = stage_new(1);
	struct run_seen *r = add_run(st, "a.telem");
	const struct run_history *h;

	(void)state;
	look(st);
	second(st, 1000);
	h = history_run(&st->history, "a.telem");
	r->page.run.counts.generated_tokens = 3;
	st->snap.now_ns += SECOND;
	look(st);
	assert_true(newest(&h->s[SERIES_GENERATED]) < 0);
	r->page.run.started_ns = 77;
	r->page.run.counts.generated_tokens = 50000;
	st->snap.now_ns += SECOND;
	look(st);
	assert_true(newest(&h->s[SERIES_GENERATED]) < 0);
	second(st, 7);
	assert_float_equal(newest(&h->s[SERIES_GENERATED]), 7, 0.01);
	free(st);
}

static void joules_of_two_are_nobodys(void **state)
{
	struct stage *st = stage_new(1);

	(void)state;
	add_run(st, "a.telem");
	add_run(st, "b.telem");
	look(st);
	second(st, 10);
	assert_true(history_tokens_per_joule(history_run(&st->history, "a.telem")) < 0);
	st->snap.n_runs = 1;
	second(st, 10);
	assert_true(history_tokens_per_joule(history_run(&st->history, "a.telem")) > 0);
	st->report.gpus[0].power_mw = fact_unknown(WHY_NOT_EXPORTED);
	second(st, 10);
	assert_true(history_tokens_per_joule(history_run(&st->history, "a.telem")) < 0);
	free(st);
}

static void power_from_two_readings_of_energy(void **state)
{
	struct stage *st = stage_new(1);
	struct gpu *g = &st->report.gpus[0];
	const struct device_history *d;

	(void)state;
	g->power_mw = fact_unknown(WHY_NOT_EXPORTED);
	g->live.energy_uj = fact_of(5000000, SRC_HWMON);
	look(st);
	d = history_device(&st->history, g->pci);
	assert_true(d->watts < 0);
	g->live.energy_uj.v += 42000000;
	second(st, 0);
	assert_float_equal(d->watts, 42, 0.1);
	/* The same reading shown again, older by a second, is no reading of zero watts. */
	st->snap.devices[0].age_ms = 1000;
	second(st, 0);
	assert_float_equal(d->watts, 42, 0.1);
	/* A counter that began anew. */
	st->snap.devices[0].age_ms = 0;
	g->live.energy_uj.v = 100;
	second(st, 0);
	assert_true(d->watts < 0);
	free(st);
}

static void slow_looks_leave_no_gaps_and_a_pause_does(void **state)
{
	struct stage *st = stage_new(1);
	const struct series *s;

	(void)state;
	look(st);
	st->snap.now_ns += 5 * SECOND;
	look(st);
	s = &history_device(&st->history, "0000:01:00.0")->s[SERIES_POWER_W];
	for (int i = 0; i < 6; i++)
		assert_float_equal((double)s->points[HISTORY_POINTS - 1 - i], 100, 0.1);
	st->snap.now_ns += 60 * SECOND;
	look(st);
	assert_float_equal(newest(s), 100, 0.1);
	assert_true(s->points[HISTORY_POINTS - 2] < 0);
	st->snap.now_ns = SECOND; /* wound back */
	look(st);
	s = &history_device(&st->history, "0000:01:00.0")->s[SERIES_POWER_W];
	assert_true(s->points[HISTORY_POINTS - 2] < 0);
	assert_float_equal(newest(s), 100, 0.1);
	free(st);
}

static void a_silent_device_has_no_curve(void **state)
{
	struct stage *st = stage_new(1);

	(void)state;
	look(st);
	st->snap.devices[0].waiting_ms = 12000;
	second(st, 0);
	assert_true(newest(&history_device(&st->history, "0000:01:00.0")->s[SERIES_POWER_W]) < 0);
	free(st);
}

/* --- events --- */

/* One of the newest events is this: what ends an alarm may come with what begins another. */
static void told(const struct stage *st, const char *rule, const char *words)
{
	const struct event *e;

	for (uint32_t i = 0; i < 2 && (e = events_newest(&st->events, i)); i++)
		if (!strcmp(e->rule, rule) && strstr(e->text, words))
			return;
	e = events_newest(&st->events, 0);
	print_error("no %s: '%s'; the last is %s: '%s'\n", rule, words, e ? e->rule : "none",
		    e ? e->text : "");
	assert_true(false);
}

static void a_quiet_machine_tells_nothing(void **state)
{
	struct stage *st = stage_new(3);

	(void)state;
	add_run(st, "a.telem");
	for (int i = 0; i < 10; i++)
		second(st, 10);
	assert_null(events_newest(&st->events, 0));
	assert_int_equal(events_standing(&st->events, SEVERITY_INFO), 0);
	free(st);
}

static void alarms_come_and_go_once(void **state)
{
	struct stage *st = stage_new(2);
	enum severity worst = SEVERITY_INFO;

	(void)state;
	look(st);
	st->report.gpus[1].temp_mc.v = 91000;
	second(st, 0);
	told(st, "hot", "91 C");
	second(st, 0);
	assert_int_equal(st->events.n, 1);
	assert_int_equal(events_standing(&st->events, SEVERITY_WARN), 1);
	assert_true(events_worst(&st->events, "0000:02:00.0", &worst));
	assert_int_equal(worst, SEVERITY_WARN);
	assert_false(events_worst(&st->events, "0000:01:00.0", &worst));
	st->report.gpus[1].temp_mc.v = 60000;
	second(st, 0);
	told(st, "hot", "cooled");
	assert_int_equal(events_standing(&st->events, SEVERITY_INFO), 0);
	st->alarms.temp_c = 0;
	st->report.gpus[1].temp_mc.v = 120000;
	second(st, 0);
	assert_int_equal(st->events.n, 2); /* never means never */
	free(st);
}

static void an_alarm_that_stands_at_the_start_is_told(void **state)
{
	struct stage *st = stage_new(1);

	(void)state;
	st->report.gpus[0].vram_used = fact_of(16 * GIB, SRC_SYSFS);
	look(st);
	told(st, "full", "100 %");
	free(st);
}

static void devices_leave_hang_sleep_and_come(void **state)
{
	struct stage *st = stage_new(2);

	(void)state;
	look(st);
	st->snap.devices[0].waiting_ms = 12000;
	second(st, 0);
	told(st, "silent", "12 s");
	assert_string_equal(events_newest(&st->events, 0)->help, "berth doctor");
	st->snap.devices[0] = (struct device_seen) { .lost = true };
	second(st, 0);
	told(st, "lost", "left");
	st->snap.devices[0] = (struct device_seen) { 0 };
	second(st, 0);
	told(st, "lost", "back");
	st->report.gpus[1].awake = AWAKE_NO;
	second(st, 0);
	told(st, "asleep", "fell asleep");
	st->report.gpus[1].awake = AWAKE_YES;
	second(st, 0);
	told(st, "asleep", "woke up");
	st->report.gpus[2] = st->report.gpus[1];
	strcpy(st->report.gpus[2].pci, "0000:09:00.0");
	st->report.n_gpus = 3;
	second(st, 0);
	told(st, "appeared", "Card");
	free(st);
}

static void runs_begin_crash_and_come_back(void **state)
{
	struct stage *st = stage_new(1);
	struct run_seen *r;

	(void)state;
	look(st);
	r = add_run(st, "run-1.telem");
	strcpy(r->name, "chat");
	strcpy(r->phase, "ready");
	r->supervised = true;
	r->starts = 1;
	second(st, 10);
	told(st, "began", "model");
	r->life = TELEM_DEAD;
	strcpy(r->phase, "waiting");
	strcpy(r->last_class, "segmentation fault");
	second(st, 0);
	told(st, "waiting", "segmentation fault");
	assert_string_equal(events_newest(&st->events, 0)->help, "berth logs chat");
	r->life = TELEM_ALIVE;
	strcpy(r->phase, "ready");
	strcpy(r->file, "run-2.telem");
	r->starts = 2;
	second(st, 0);
	told(st, "restarted", "started again");
	r->page.run.queue = 9;
	second(st, 0);
	told(st, "queue", "9 requests");
	r->page.run.queue = 0;
	r->page.run.ctx_used_tokens = 950;
	second(st, 0);
	told(st, "context", "95 %");
	r->page.run.devices[0].layers_asked = 3;
	second(st, 0);
	told(st, "elsewhere", "elsewhere");
	st->snap.n_runs = 0;
	second(st, 0);
	told(st, "gone", "gone");
	assert_int_equal(events_standing(&st->events, SEVERITY_INFO), 0);
	free(st);
}

/* --- bridges --- */

static struct telem_bridge *add_bridge(struct stage *st)
{
	struct bridge_seen *b = &st->snap.bridges[st->snap.n_bridges++];

	strcpy(b->key, "0000:05:00.0 bridge");
	b->life = TELEM_ALIVE;
	b->page.state = TELEM_BRIDGE_RUNNING;
	b->page.started_ns = 7;
	return &b->page;
}

/* A second in which so many accesses came, each of which took ns. */
static void trapped(struct stage *st, uint32_t n, enum telem_access what, uint64_t ns)
{
	for (uint32_t i = 0; i < n; i++)
		telem_access(&st->snap.bridges[0].page, TELEM_BAR0, what, ns);
	second(st, 0);
}

static void what_comes_by_a_bridge(void **state)
{
	struct stage *st = stage_new(0);
	struct telem_bridge *page = add_bridge(st);
	const struct bridge_history *b;

	(void)state;
	telem_access(page, TELEM_BAR0, TELEM_READ, 1 << 20); /* before anybody looked */
	look(st);
	b = history_bridge(&st->history, "0000:05:00.0 bridge");
	assert_non_null(b);
	assert_true(newest(&b->s[SERIES_ACCESSES]) < 0);
	assert_true(history_latency(b, 0.5) < 0);
	trapped(st, 300, TELEM_READ, 3000);
	trapped(st, 100, TELEM_POSTED, 3000);
	assert_float_equal(newest(&b->s[SERIES_ACCESSES]), 100, 0.01);
	assert_float_equal(newest(&b->s[SERIES_WRITES]), 100, 0.01);
	assert_float_equal(series_mean(&b->s[SERIES_ACCESSES], 2), 200, 0.01);
	assert_float_equal(history_latency(b, 0.5), 3072, 1);
	/* Ten seconds later they are out of the window, and of the page they are not. */
	for (int i = 0; i < 10; i++)
		trapped(st, 1, TELEM_READ, 100);
	assert_float_equal(history_latency(b, 1), 128, 1);
	assert_float_equal(newest(&b->s[SERIES_P99_US]), 0.127, 0.002);
	page->started_ns++; /* another bridge for the same device */
	memset(page->regions, 0, sizeof(page->regions));
	second(st, 0);
	assert_true(newest(&b->s[SERIES_ACCESSES]) < 0);
	trapped(st, 5, TELEM_WRITE, 100);
	assert_float_equal(newest(&b->s[SERIES_WRITES]), 5, 0.01);
	free(st);
}

static void bridges_lose_devices_and_workers(void **state)
{
	struct stage *st = stage_new(0);
	struct telem_bridge *page = add_bridge(st);

	(void)state;
	page->regions[TELEM_BAR0].denied = 5;
	page->counts.worker_restarts = 2;
	page->client_pid = 7;
	look(st);
	assert_int_equal(st->events.n, 0); /* what was before is no news */
	page->counts.worker_restarts = 3;
	second(st, 0);
	told(st, "worker", "another took over");
	page->regions[TELEM_BAR0].denied = 6;
	second(st, 0);
	told(st, "denied", "refuses");
	for (int i = 0; i < 59; i++)
		second(st, 0);
	assert_int_equal(st->events.n, 2);
	second(st, 0);
	second(st, 0);
	told(st, "denied", "nothing for a minute");
	page->state = TELEM_BRIDGE_LOST;
	strcpy(page->trouble, "the cable");
	second(st, 0);
	told(st, "bridge-lost", "all ones: the cable");
	assert_int_equal(events_standing(&st->events, SEVERITY_BAD), 1);
	page->state = TELEM_BRIDGE_RUNNING;
	second(st, 0);
	told(st, "bridge-lost", "is back");
	page->client_pid = 0;
	second(st, 0);
	told(st, "client", "no client");
	st->snap.bridges[0].life = TELEM_DEAD;
	second(st, 0);
	told(st, "bridge-dead", "gone");
	page->state = TELEM_BRIDGE_STOPPED;
	second(st, 0);
	assert_int_equal(events_standing(&st->events, SEVERITY_INFO), 0);
	st->snap.n_bridges = 0;
	second(st, 0);
	told(st, "gone", "gone");
	free(st);
}

static void the_log_keeps_the_newest(void **state)
{
	struct stage *st = stage_new(0);

	(void)state;
	for (int i = 0; i < 1000; i++)
		events_say(&st->events, &st->snap, SEVERITY_INFO, "word");
	assert_int_equal(events_newest(&st->events, 0)->seq, 1000);
	assert_int_equal(events_newest(&st->events, EVENTS_MAX - 1)->seq, 1000 - EVENTS_MAX + 1);
	assert_null(events_newest(&st->events, EVENTS_MAX));
	free(st);
}

/* More subjects than there is room for: those that are gone make place. */
/* A recording is wound back: what lies ahead is not told yet, and what is told once is not told again. */
static void time_goes_back(void **state)
{
	struct stage *st = stage_new(1);
	uint64_t before;

	(void)state;
	look(st);
	for (int i = 0; i < 300; i++) { /* twice an event each: the log is full */
		st->report.gpus[0].temp_mc.v = i % 2 ? 95000 : 50000;
		second(st, 0);
	}
	before = events_newest(&st->events, 0)->seq;
	st->snap.now_ns -= 10 * SECOND;
	look(st);
	assert_true(events_newest(&st->events, 0)->ns <= st->snap.now_ns);
	assert_int_equal(events_standing(&st->events, SEVERITY_WARN), 1); /* it is hot, silently */
	assert_non_null(events_newest(&st->events, EVENTS_MAX - 11));
	assert_null(events_newest(&st->events, EVENTS_MAX - 10));
	st->report.gpus[0].temp_mc.v = 50000;
	second(st, 0);
	told(st, "hot", "cooled");
	assert_true(events_newest(&st->events, 0)->seq > before);
	st->snap.now_ns = SECOND;
	look(st);
	assert_null(events_newest(&st->events, 0));
	free(st);
}

static void many_come_and_go(void **state)
{
	struct stage *st = stage_new(PROBE_GPUS_MAX);

	(void)state;
	for (uint32_t round = 0; round < 5; round++) {
		st->snap.n_runs = 0;
		for (uint32_t i = 0; i < SNAP_RUNS_MAX; i++) {
			char file[32];

			snprintf(file, sizeof(file), "%u-%u.telem", round, i);
			add_run(st, file);
		}
		second(st, 1);
		second(st, 5);
		assert_float_equal(newest(&history_run(&st->history, st->snap.runs[63].file)
						   ->s[SERIES_GENERATED]),
				   5, 0.01);
		assert_in_range(st->events.n_watched, PROBE_GPUS_MAX + SNAP_RUNS_MAX,
				PROBE_GPUS_MAX + SNAP_RUNS_MAX + SNAP_BRIDGES_MAX);
	}
	free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speeds_and_energy),
		cmocka_unit_test(the_last_tokens_are_not_free),
		cmocka_unit_test(a_prompt_counts_the_time_spent_on_it),
		cmocka_unit_test(a_restart_is_no_speed),
		cmocka_unit_test(a_night_asleep_took_nothing_known),
		cmocka_unit_test(slow_looks_count_all_energy),
		cmocka_unit_test(joules_of_two_are_nobodys),
		cmocka_unit_test(power_from_two_readings_of_energy),
		cmocka_unit_test(slow_looks_leave_no_gaps_and_a_pause_does),
		cmocka_unit_test(a_silent_device_has_no_curve),
		cmocka_unit_test(a_quiet_machine_tells_nothing),
		cmocka_unit_test(alarms_come_and_go_once),
		cmocka_unit_test(an_alarm_that_stands_at_the_start_is_told),
		cmocka_unit_test(devices_leave_hang_sleep_and_come),
		cmocka_unit_test(runs_begin_crash_and_come_back),
		cmocka_unit_test(what_comes_by_a_bridge),
		cmocka_unit_test(bridges_lose_devices_and_workers),
		cmocka_unit_test(the_log_keeps_the_newest),
		cmocka_unit_test(time_goes_back),
		cmocka_unit_test(many_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
