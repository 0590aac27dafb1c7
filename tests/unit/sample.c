/* SPDX-License-Identifier: MIT */
/* The thread that reads devices may hang; whoever looks must never wait for it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "tui/sample.h"

static void sleep_ms(uint64_t ms)
{
	nanosleep(&(struct timespec) { .tv_sec = (time_t)(ms / 1000),
				       .tv_nsec = (long)(ms % 1000) * 1000000 },
		  NULL);
}

/* A driver: how long a reading takes, and whether it fails. */
struct driver {
	uint64_t ms;
	const char *error;
};

static int slow_collect(void *ctx, struct report **r, struct err *e)
{
	struct driver *d = ctx;
	const char *error;

	sleep_ms(d->ms);
	error = __atomic_load_n(&d->error, __ATOMIC_SEQ_CST);
	if (error)
		return err_set(e, -EIO, "%s", error);
	*r = calloc(1, sizeof(**r));
	(*r)->n_gpus = 3;
	return *r ? 0 : -ENOMEM;
}

/* Wait for what the thread does, with a bound far above what it needs. */
static bool arrives(struct sampler *s, struct snapshot *snap, struct report **hold)
{
	for (int i = 0; i < 200; i++) {
		sampler_latest(s, snap, hold);
		if (snap->report || snap->device_error[0])
			return true;
		sleep_ms(10);
	}
	return false;
}

static void a_report_arrives(void **state)
{
	static struct driver d;
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct report *hold = NULL;
	struct sampler *s;

	(void)state;
	assert_int_equal(sampler_start(&s, slow_collect, &d, 5, NULL), 0);
	assert_true(arrives(s, snap, &hold));
	assert_int_equal(snap->report->n_gpus, 3);
	sleep_ms(30); /* several readings, of which all but the last are freed */
	sampler_latest(s, snap, &hold);
	assert_ptr_equal(snap->report, hold);
	assert_true(sampler_stop(s));
	probe_free(hold);
	free(snap);
}

static void an_error_is_told_and_the_last_report_stays(void **state)
{
	static struct driver d;
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct report *hold = NULL;
	struct sampler *s;

	(void)state;
	d.error = NULL;
	assert_int_equal(sampler_start(&s, slow_collect, &d, 5, NULL), 0);
	assert_true(arrives(s, snap, &hold));
	__atomic_store_n(&d.error, "the bus is gone", __ATOMIC_SEQ_CST);
	for (int i = 0; i < 200 && !snap->device_error[0]; i++) {
		sleep_ms(5);
		sampler_latest(s, snap, &hold);
	}
	assert_string_equal(snap->device_error, "the bus is gone");
	assert_non_null(snap->report);
	assert_true(sampler_stop(s));
	probe_free(hold);
	free(snap);
}

/* 5 s in a driver: each look stays far below the 50 ms that a key may take, and so does the end. */
static void a_hang_is_not_waited_for(void **state)
{
	static struct driver d = { .ms = 5000 };
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct report *hold = NULL;
	struct sampler *s;
	uint64_t start, worst = 0;

	(void)state;
	assert_int_equal(sampler_start(&s, slow_collect, &d, 1000, NULL), 0);
	for (int i = 0; i < 20; i++) {
		start = telem_now_ns();
		sampler_latest(s, snap, &hold);
		if (telem_now_ns() - start > worst)
			worst = telem_now_ns() - start;
		assert_null(snap->report);
		sleep_ms(5);
	}
	assert_true(worst < UINT64_C(50000000));
	start = telem_now_ns();
	assert_false(sampler_stop(s)); /* left behind, as the header says */
	assert_true(telem_now_ns() - start < UINT64_C(1000000000));
	free(snap);
}

static void only_the_folder_that_was_named(void **state)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	char dir[] = "/tmp/berth-sample-XXXXXX";
	char path[128];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("BERTH_RUNTIME_DIR", dir, 1);
	snprintf(path, sizeof(path), "%s/x\033.telem", dir);
	f = fopen(path, "w");
	fputs("junk", f);
	fclose(f);
	sample_runs(snap, dir);
	assert_int_equal(snap->n_runs, 1);
	assert_int_equal(snap->runs[0].rc, -EBADMSG);
	assert_string_equal(snap->runs[0].file, "x?.telem");
	assert_int_equal(strlen(snap->clock), 8);
	assert_true(snap->now_ns > 0);
	sample_runs(snap, "");
	assert_int_equal(snap->n_runs, 0);
	sample_runs(snap, "/tmp");
	assert_int_equal(snap->n_runs, 0);
	unlink(path);
	rmdir(dir);
	free(snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_arrives),
		cmocka_unit_test(an_error_is_told_and_the_last_report_stays),
		cmocka_unit_test(only_the_folder_that_was_named),
		cmocka_unit_test(a_hang_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
