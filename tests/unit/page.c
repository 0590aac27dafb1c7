/* SPDX-License-Identifier: MIT */
/* What a run says on its page from its plan to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/page.h"
#include "tests/unit/harness.h"

static int setup(void **state)
{
	char *dir = strdup("/tmp/berth-page-XXXXXX");

	*state = dir;
	return dir && mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char line[128];

	snprintf(line, sizeof(line), "rm -rf %s", (char *)*state);
	free(*state);
	return system(line);
}

/* A page of a plan without GPUs. */
static void begin(struct page *p, void **state, char path[128])
{
	own_free struct plan *plan = calloc(1, sizeof(*plan));

	assert_non_null(plan);
	snprintf(path, 128, "%s/run.telem", (char *)*state);
	strcpy(plan->model_name, "tiny");
	plan->flags.n_seq_max = 4;
	plan->flags.n_ctx = 2048;
	assert_int_equal(page_open(p, path, plan, "chat", NULL), 0);
}

static struct telem_run seen(const char *path)
{
	static struct telem_page page;
	enum telem_life life;

	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	assert_int_equal(life, TELEM_ALIVE);
	return page.run;
}

/* The last step counts before it ends the last request: who rests has nothing at work. */
static void nothing_is_at_work_where_nothing_is_generated(void **state)
{
	const enum telem_state rests[] = { TELEM_READY, TELEM_ASLEEP, TELEM_STOPPING, TELEM_STOPPED,
					   TELEM_FAILED };
	const struct page_counts step = { .all.generated_tokens = 7, .ctx_used = 30, .busy = 3 };
	struct page p;
	char path[128];

	begin(&p, state, path);
	for (size_t i = 0; i < COUNT(rests); i++) {
		page_state(&p, TELEM_GENERATING);
		page_count(&p, &step);
		assert_int_equal(seen(path).busy, 3);
		page_state(&p, TELEM_GENERATING); /* the next request, while these go on */
		assert_int_equal(seen(path).busy, 3);
		page_state(&p, rests[i]);
		assert_int_equal(seen(path).state, rests[i]);
		assert_int_equal(seen(path).busy, 0);
		assert_int_equal(seen(path).counts.generated_tokens, 7); /* counters only grow */
	}
	page_close(&p);
}

static void a_sleeping_run_holds_nothing(void **state)
{
	const struct page_counts step = { .ctx_used = 30, .n_seq = 2, .seq_tokens = { 30, 4 } };
	const struct account a = {
		.n_devices = 1,
		.devices = { { .name = "CPU", .layers = 5, .bytes = { 10, 20, 30, 40 } } }
	};
	struct telem_run run;
	struct page p;
	char path[128];

	begin(&p, state, path);
	page_account(&p, &a, 1024);
	page_count(&p, &step);
	run = seen(path);
	assert_int_equal(run.ctx_tokens, 1024);
	assert_int_equal(run.devices[0].measured.kv, 20);
	assert_int_equal(run.seq_tokens[1], 4);
	page_sleep(&p);
	run = seen(path);
	assert_int_equal(run.state, TELEM_ASLEEP);
	assert_int_equal(run.ctx_used_tokens, 0);
	assert_int_equal(run.seq_tokens[1], 0);
	assert_int_equal(run.devices[0].measured.kv, 0);
	assert_true(run.devices[0].measured.other == TELEM_UNKNOWN);
	assert_int_equal(run.devices[0].layers_verified, 5);
	page_close(&p);
}

static void ready_is_once(void **state)
{
	uint64_t first;
	struct page p;
	char path[128];

	begin(&p, state, path);
	assert_string_equal(seen(path).name, "chat");
	assert_int_equal(seen(path).state, TELEM_STARTING);
	assert_true(seen(path).ready_ns == 0);
	page_state(&p, TELEM_READY);
	first = seen(path).ready_ns;
	assert_true(first >= seen(path).started_ns);
	page_state(&p, TELEM_GENERATING);
	page_state(&p, TELEM_READY);
	assert_true(seen(path).ready_ns == first);
	page_close(&p);
}

static void without_a_path_nothing_is_done(void **state)
{
	struct page p;

	(void)state;
	assert_int_equal(page_open(&p, NULL, NULL, NULL, NULL), 0);
	page_state(&p, TELEM_READY);
	page_sleep(&p);
	page_beat(&p);
	page_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_at_work_where_nothing_is_generated,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_sleeping_run_holds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(ready_is_once, setup, teardown),
		cmocka_unit_test(without_a_path_nothing_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
