/* SPDX-License-Identifier: MIT */
/*
 * The threads that read devices: one that hangs holds up nobody else, what leaves and comes keeps its row,
 * idle ones are looked at less often. The devices are made up; nothing waits longer than it must.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "tui/lookout.h"

/* A machine that a test changes while it is watched. */
struct world {
	int n;        /* devices on the bus, from slot 1 on */
	int hung;     /* slot of the one whose driver hangs; 0: none */
	int gone;     /* slot of the one that was pulled out */
	int looks[8]; /* by slot */
	int busy;     /* percent, of all */
	int collected;
	int id;    /* of the card in the first slot */
	int bound; /* to a driver, all of them */
	int asked; /* how often who holds them was */
	const char *error;
	const char *driver; /* NULL: amdgpu */
};

static int get(const int *v)
{
	return __atomic_load_n(v, __ATOMIC_SEQ_CST);
}

static void set(int *to, int v)
{
	__atomic_store_n(to, v, __ATOMIC_SEQ_CST);
}

static void sleep_ms(uint64_t ms)
{
	nanosleep(&(struct timespec) { .tv_sec = (time_t)(ms / 1000),
				       .tv_nsec = (long)(ms % 1000) * 1000000 },
		  NULL);
}

static int slot_of(const struct gpu *g)
{
	return g->pci[6] - '0';
}

static int collect(void *ctx, struct report **r, struct err *e)
{
	struct world *w = ctx;
	const char *error = __atomic_load_n(&w->error, __ATOMIC_SEQ_CST);

	if (error)
		return err_set(e, -EIO, "%s", error);
	*r = calloc(1, sizeof(**r));
	for (int i = 1; i <= get(&w->n); i++) {
		struct gpu *g = &(*r)->gpus[(*r)->n_gpus];

		if (i == get(&w->gone))
			continue;
		snprintf(g->pci, sizeof(g->pci), "0000:0%d:00.0", i);
		g->awake = AWAKE_YES;
		g->device = i == 1 ? (uint32_t)get(&w->id) : 0;
		if (get(&w->bound))
			g->drm_card = fact_text_of("/dev/dri/card1", SRC_SYSFS);
		if (w->driver)
			g->driver = fact_text_of(w->driver, SRC_SYSFS);
		g->link.n_hops = (uint32_t)get(&w->collected) + 1;
		(*r)->n_gpus++;
	}
	__atomic_add_fetch(&w->collected, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static int refresh(void *ctx, struct gpu *g)
{
	struct world *w = ctx;

	while (get(&w->hung) == slot_of(g))
		sleep_ms(2);
	if (get(&w->gone) == slot_of(g))
		return -ENODEV;
	g->power_mw = fact_of(__atomic_add_fetch(&w->looks[slot_of(g)], 1, __ATOMIC_SEQ_CST),
			      SRC_HWMON);
	g->busy_percent = fact_of(get(&w->busy), SRC_SYSFS);
	g->driver = get(&w->bound) ? fact_text_of(w->driver ? w->driver : "amdgpu", SRC_SYSFS)
				   : fact_text_unknown(WHY_NO_DRIVER);
	return 0;
}

static uint64_t mark(void *ctx)
{
	struct world *w = ctx;

	return (uint64_t)(get(&w->n) * 16 + get(&w->gone) + get(&w->id) * 256);
}

static int holders(void *ctx, struct report *r, struct claims_past **past, struct err *e)
{
	struct world *w = ctx;

	(void)e;
	(void)past;
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		r->gpus[i].holders.n_procs = 1;
		r->gpus[i].holders.procs[0].pid = 4711;
	}
	__atomic_add_fetch(&w->asked, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* Less memory and more work at each look. */
static void host(void *ctx, struct cpu *c, struct cpu_time *past)
{
	(void)ctx;
	past->all++;
	c->ram_available = fact_of(1000 - (int64_t)past->all, SRC_PROC);
	c->busy_percent = fact_of((int64_t)past->all, SRC_PROC);
}

static bool may_sleep(void *ctx, const struct gpu *g)
{
	(void)ctx;
	(void)g;
	return false;
}

struct stage {
	struct world *w;
	struct lookout *l;
	struct feed feed;
	struct snapshot *snap;
};

/* With NVIDIA's library, one process of which may hang that long; or 0: without. */
static struct stage stage_of(struct world *w, uint32_t give_up_ms)
{
	static const struct machine nowhere;
	const struct senses senses = { .collect = collect,
				       .refresh = refresh,
				       .holders = holders,
				       .host = host,
				       .mark = mark,
				       .may_sleep = may_sleep,
				       .machine = give_up_ms ? &nowhere : NULL,
				       .give_up_ms = give_up_ms,
				       .ctx = w };
	struct stage st = { .w = w, .snap = calloc(1, sizeof(*st.snap)) };

	st.snap->interval_ms = 100;
	assert_int_equal(lookout_start(&st.l, &senses, "", 100, NULL), 0);
	st.feed = lookout_feed(st.l);
	return st;
}

static struct stage stage_new(struct world *w)
{
	return stage_of(w, 0);
}

static void end(struct stage *st)
{
	assert_true(lookout_stop(st->l));
	free(st->snap);
}

typedef bool until_fn(const struct stage *st);

/* Look until it holds; the bound is far above what it takes. */
static void until(struct stage *st, until_fn *holds)
{
	for (int i = 0; i < 6000; i++) {
		st->feed.next(st->feed.ctx, st->snap);
		if (holds(st))
			return;
		sleep_ms(10);
	}
	fail_msg("it never came");
}

static bool all_read(const struct stage *st)
{
	const struct report *r = st->snap->report;

	if (!r || r->n_gpus != (uint32_t)st->w->n)
		return false;
	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (st->snap->devices[i].age_ms == AGE_UNKNOWN)
			return false;
	return true;
}

static bool host_read_twice(const struct stage *st)
{
	const struct report *r = st->snap->report;

	return r && r->cpu.busy_percent.v >= 2 && r->cpu.ram_available.v <= 998;
}

/* Between two collections, too. */
static void the_host_is_looked_at_again(void **state)
{
	struct world w = { .n = 1 };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, host_read_twice);
	end(&st);
}

static void each_device_is_read(void **state)
{
	struct world w = { .n = 3, .busy = 50 };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, all_read);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(fact_known(&st.snap->report->gpus[i].power_mw));
		assert_false(st.snap->devices[i].lost);
	}
	end(&st);
}

static bool second_waits(const struct stage *st)
{
	return st->snap->report && st->snap->report->n_gpus == 3 &&
	       st->snap->devices[1].waiting_ms > 300;
}

static bool others_go_on(const struct stage *st)
{
	return get(&st->w->looks[1]) > 3 && get(&st->w->looks[3]) > 3;
}

static struct lookout *volatile left; /* so that it counts as held, not as lost */

/* The looks themselves never wait: the whole test would, as the device hangs until it is let go. */
static void one_that_hangs_is_alone(void **state)
{
	static struct world w = { .n = 3,
				  .hung = 2,
				  .busy = 50 }; /* the thread that is left has it */
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, second_waits);
	until(&st, others_go_on);
	assert_int_equal(get(&w.looks[2]), 0);
	assert_int_equal(st.snap->devices[1].age_ms, AGE_UNKNOWN);
	assert_true(st.snap->devices[0].waiting_ms < st.snap->devices[1].waiting_ms);
	left = st.l;
	assert_false(lookout_stop(st.l)); /* left behind, as the header says */
	set(&w.hung, 0);
	free(st.snap);
}

static bool first_waits(const struct stage *st)
{
	return st->snap->report && st->snap->devices[0].waiting_ms >= 50;
}

static bool first_answers(const struct stage *st)
{
	return !st->snap->devices[0].waiting_ms && st->snap->devices[0].age_ms != AGE_UNKNOWN;
}

/* A process of NVIDIA's library hangs for good, and the one after it does not. */
static void another_is_asked(void **state)
{
	static struct world w = { .n = 1, .bound = 1, .busy = 50, .driver = "nvidia" };
	const char *build = getenv("BUILD");
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/fake/lib_nvml.so", build ? build : "build");
	char *whole = realpath(path, NULL);

	assert_non_null(whole);
	setenv("BERTH_NVML", whole, 1);
	setenv("FAKE_NVML", "hang", 1);
	free(whole);
	struct stage st = stage_of(&w, 1000);

	until(&st, first_waits);
	assert_int_equal(st.snap->devices[0].age_ms, AGE_UNKNOWN);
	setenv("FAKE_NVML", "ok", 1); /* for those that begin from now on */
	until(&st, first_answers);
	left = st.l;
	lookout_stop(st.l); /* a round may be in flight */
	free(st.snap);
}

static bool first_lost(const struct stage *st)
{
	return st->snap->devices[0].lost;
}

static bool first_back(const struct stage *st)
{
	return !st->snap->devices[0].lost && st->snap->report->n_gpus == 3;
}

static bool four(const struct stage *st)
{
	return st->snap->report->n_gpus == 4;
}

/* What is pulled out keeps its row, comes back into it, and a new one comes last. */
static void rows_stay(void **state)
{
	struct world w = { .n = 3, .busy = 50 };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, all_read);
	set(&w.gone, 1);
	until(&st, first_lost);
	assert_int_equal(st.snap->report->n_gpus, 3);
	assert_string_equal(st.snap->report->gpus[0].pci, "0000:01:00.0");
	set(&w.gone, 0);
	until(&st, first_back);
	set(&w.n, 4);
	until(&st, four);
	assert_string_equal(st.snap->report->gpus[3].pci, "0000:04:00.0");
	end(&st);
}

static bool first_held(const struct stage *st)
{
	return st->snap->report && st->snap->report->n_gpus &&
	       st->snap->report->gpus[0].holders.n_procs == 1;
}

/* Who holds a device, and how it is linked, comes from other threads than its numbers. */
static void numbers_leave_the_rest(void **state)
{
	struct world w = { .n = 1, .busy = 50 };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, first_held);
	for (int looks = get(&w.looks[1]); get(&w.looks[1]) < looks + 4; sleep_ms(10)) {
		st.feed.next(st.feed.ctx, st.snap);
		assert_true(first_held(&st));
	}
	set(&w.n, 2);
	until(&st, all_read);
	for (int looks = get(&w.looks[1]); get(&w.looks[1]) < looks + 4; sleep_ms(10)) {
		st.feed.next(st.feed.ctx, st.snap);
		assert_int_equal(st.snap->report->gpus[0].link.n_hops, 2);
	}
	end(&st);
}

static bool first_is_new(const struct stage *st)
{
	return st->snap->report->gpus[0].device == 7 && st->snap->devices[0].age_ms < 1000;
}

/* Between two looks one card was pulled out and another put in. */
static void another_card_is_told(void **state)
{
	struct world w = { .n = 2, .busy = 50 };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, all_read);
	set(&w.id, 7);
	until(&st, first_is_new);
	assert_int_equal(st.snap->report->n_gpus, 2);
	end(&st);
}

static bool has_node(const struct stage *st)
{
	return fact_text_known(&st->snap->report->gpus[0].drm_card);
}

/* Its nodes come with its driver, and no device does: the bus alone would not say so for a minute. */
static void a_driver_brings_its_nodes(void **state)
{
	struct world w = { .n = 1, .busy = 50 };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, all_read);
	assert_false(has_node(&st));
	set(&w.bound, 1);
	until(&st, has_node);
	end(&st);
}

static bool told_error(const struct stage *st)
{
	return st->snap->device_error[0];
}

static void an_error_is_told(void **state)
{
	struct world w = { .n = 1, .error = "the bus is gone" };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, told_error);
	assert_string_equal(st.snap->device_error, "the bus is gone");
	assert_null(st.snap->report);
	__atomic_store_n(&w.error, (const char *)NULL, __ATOMIC_SEQ_CST);
	until(&st, all_read);
	assert_string_equal(st.snap->device_error, "");
	end(&st);
}

static bool rests(const struct stage *st)
{
	return st->snap->report && st->snap->devices[0].resting;
}

static void an_idle_device_is_let_rest(void **state)
{
	struct world w = { .n = 1 };
	struct stage st = stage_new(&w);

	(void)state;
	until(&st, rests);
	assert_in_range(get(&w.looks[1]), 20, 40);
	end(&st);
}

static void only_the_folder_that_was_named(void **state)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	char dir[] = "/tmp/berth-runs-XXXXXX";
	char path[128], record[128];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("BERTH_RUNTIME_DIR", dir, 1);
	snprintf(path, sizeof(path), "%s/x\033.telem", dir);
	f = fopen(path, "w");
	fputs("junk", f);
	fclose(f);
	snprintf(record, sizeof(record), "%s/chat.run.json", dir);
	f = fopen(record, "w");
	fputs("{\"state\":\"waiting\",\"starts\":3,\"page\":\"/x/run-9.telem\",\"last_class\":\"killed\"}",
	      f);
	fclose(f);
	runs_read(snap, dir);
	assert_int_equal(snap->n_runs, 2);
	assert_int_equal(snap->runs[0].rc, -EBADMSG);
	assert_string_equal(snap->runs[0].file, "x?.telem");
	assert_int_equal(snap->runs[1].rc, -ENOENT); /* between two cores there is no page */
	assert_string_equal(snap->runs[1].name, "chat");
	assert_string_equal(snap->runs[1].phase, "waiting");
	assert_string_equal(snap->runs[1].last_class, "killed");
	assert_int_equal(snap->runs[1].starts, 3);
	assert_false(snap->runs[1].supervised); /* nobody holds the lock */
	assert_int_equal(strlen(snap->clock), 8);
	assert_true(snap->now_ns > 0);
	runs_read(snap, "");
	assert_int_equal(snap->n_runs, 0);
	runs_read(snap, "/tmp");
	assert_int_equal(snap->n_runs, 0);
	unlink(path);
	unlink(record);
	rmdir(dir);
	free(snap);
}

static void put_page(const char *dir, const char *file, const char *name, const char *model)
{
	struct telem_writer w;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	assert_int_equal(telem_create(&w, path, TELEM_RUN, NULL), 0);
	telem_begin(&w);
	snprintf(w.page->run.name, sizeof(w.page->run.name), "%s", name);
	snprintf(w.page->run.model, sizeof(w.page->run.model), "%s", model);
	telem_end(&w);
	telem_close(&w);
}

static void two_runs_of_one_name(void **state)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	char ours[] = "/tmp/berth-runs-XXXXXX", theirs[] = "/tmp/berth-xdg-XXXXXX";
	char dir[128], record[160], line[256];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(ours));
	assert_non_null(mkdtemp(theirs));
	snprintf(dir, sizeof(dir), "%s/berth", theirs);
	assert_int_equal(mkdir(dir, 0700), 0);
	setenv("BERTH_RUNTIME_DIR", ours, 1);
	setenv("XDG_RUNTIME_DIR", theirs, 1);
	put_page(ours, "run-1.telem", "", "one");
	put_page(ours, "run-2.telem", "run-1.telem", "two"); /* called as another's page */
	put_page(ours, "run-3.telem", "chat", "three");
	put_page(dir, "run-3.telem", "chat", "four");
	put_page(dir, "run-1.telem", "", "none knows it from the first");
	snprintf(record, sizeof(record), "%s/chat.run.json", dir);
	f = fopen(record, "w");
	fputs("{\"state\":\"ready\",\"starts\":1,\"page\":\"run-3.telem\"}", f);
	fclose(f);
	runs_read(snap, NULL);
	assert_true(snap->n_runs >= 4); /* and what /run/berth has */
	for (uint32_t i = 0; i < snap->n_runs; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_string_not_equal(run_key(&snap->runs[i]), run_key(&snap->runs[k]));
	assert_true(snap->n_runs_left_out >= 1);
	snprintf(line, sizeof(line), "rm -r %s %s", ours, theirs);
	assert_int_equal(system(line), 0);
	unsetenv("XDG_RUNTIME_DIR");
	free(snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_is_looked_at_again),
		cmocka_unit_test(each_device_is_read),
		cmocka_unit_test(rows_stay),
		cmocka_unit_test(numbers_leave_the_rest),
		cmocka_unit_test(another_card_is_told),
		cmocka_unit_test(a_driver_brings_its_nodes),
		cmocka_unit_test(an_error_is_told),
		cmocka_unit_test(an_idle_device_is_let_rest),
		cmocka_unit_test(only_the_folder_that_was_named),
		cmocka_unit_test(two_runs_of_one_name),
		cmocka_unit_test(another_is_asked),
		cmocka_unit_test(one_that_hangs_is_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
