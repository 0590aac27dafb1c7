/* SPDX-License-Identifier: MIT */
/* Last known values: what is stored, what is filled in, and how little a file is trusted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/seen.h"
#include "tests/unit/harness.h"

#define NOW 1800000000

static struct report r;

static struct gpu *reset(enum awake awake)
{
	struct gpu *g = &r.gpus[0];

	memset(&r, 0, sizeof(r));
	r.n_gpus = 1;
	g->vendor = 0x10de;
	g->device = 0x28e0;
	text_copy(g->pci, sizeof(g->pci), "0000:01:00.0");
	g->awake = awake;
	if (awake == AWAKE_YES) {
		g->vram_total = fact_of(8LL << 30, SRC_NVML);
		g->uuid = fact_text_of("GPU-1234", SRC_NVML);
		g->name = fact_text_of("NVIDIA GeForce", SRC_NVML);
	} else {
		g->vram_total = fact_unknown(WHY_ASLEEP);
		g->uuid = fact_text_unknown(WHY_ASLEEP);
		g->name = fact_text_of("AD107M", SRC_PCI);
	}
	return g;
}

/* The file after a look at an awake GPU. */
static json_t *stored(void)
{
	reset(AWAKE_YES);
	json_t *file = seen_update(NULL, &r, NOW, false);

	assert_non_null(file);
	return file;
}

static void test_there_and_back(void **state)
{
	json_t *file = stored();
	struct gpu *g = reset(AWAKE_NO);
	json_t *answer = seen_answer(file, &r, NOW + 3600, false);

	(void)state;
	assert_non_null(answer);
	seen_take(&r, answer);
	assert_int_equal(g->vram_total.v, 8LL << 30);
	assert_int_equal(g->vram_total.src, SRC_CACHE);
	assert_string_equal(g->uuid.v, "GPU-1234");
	assert_int_equal(g->seen_s_ago.v, 3600);
	/* What can be known asleep is not from yesterday. */
	assert_string_equal(g->name.v, "AD107M");
	json_decref(answer);
	json_decref(file);
}

static void test_awake_is_not_filled(void **state)
{
	json_t *file = stored();
	struct gpu *g = reset(AWAKE_YES);

	(void)state;
	g->vram_total = fact_unknown(WHY_GARBLED);
	assert_null(seen_answer(file, &r, NOW, false));
	json_decref(file);
}

static void test_another_card_is_another(void **state)
{
	json_t *file = stored();

	(void)state;
	reset(AWAKE_NO)->subdevice = 7;
	assert_null(seen_answer(file, &r, NOW, false));
	json_decref(file);
}

static void test_captures_are_scrubbed(void **state)
{
	json_t *file = stored();

	(void)state;
	reset(AWAKE_NO);
	json_t *answer = seen_answer(file, &r, NOW, true);
	char *text = json_dumps(answer, 0);

	assert_null(strstr(text, "GPU-1234"));
	assert_non_null(strstr(text, "GPU-00000000-0000-0000-0000-000000000000"));
	free(text);
	json_decref(answer);
	json_decref(file);
}

static void test_written_seldom(void **state)
{
	json_t *file = stored(), *again;
	struct gpu *g = reset(AWAKE_YES);

	(void)state;
	assert_null(seen_update(file, &r, NOW + 60, false)); /* nothing new */
	again = seen_update(file, &r, NOW + 90000, false);   /* the time is */
	assert_non_null(again);
	json_decref(again);
	g->vram_total = fact_of(4LL << 30, SRC_NVML);
	again = seen_update(file, &r, NOW + 60, false);
	assert_non_null(again);
	json_decref(again);
	/* A look that learned less does not forget. */
	g->vram_total = fact_unknown(WHY_TIMEOUT);
	assert_null(seen_update(file, &r, NOW + 60, false));
	json_decref(file);
}

static void test_sleeping_is_not_stored(void **state)
{
	struct gpu *g = reset(AWAKE_NO);

	(void)state;
	g->uuid = fact_text_of("GPU-5678", SRC_CACHE);
	g->seen_s_ago = fact_of(5, SRC_CACHE);
	assert_null(seen_update(NULL, &r, NOW, false));
	/* Awake itself, but its library was not opened for another's sake. */
	g->awake = AWAKE_YES;
	g->vram_total = fact_of(1 << 30, SRC_CACHE);
	assert_null(seen_update(NULL, &r, NOW, false));
	/* Woken: what it says then is worth keeping. */
	reset(AWAKE_NO)->vram_total = fact_of(1 << 30, SRC_NVML);
	json_t *file = seen_update(NULL, &r, NOW, true);

	assert_non_null(file);
	json_decref(file);
}

static void check_hostile(const char *text)
{
	json_error_t error;
	json_t *file = json_loads(text, 0, &error);
	struct gpu *g = reset(AWAKE_NO);
	json_t *answer = seen_answer(file, &r, NOW, false);

	assert_non_null(file);
	if (answer)
		seen_take(&r, answer);
	assert_false(fact_known(&g->vram_total));
	json_decref(answer);
	reset(AWAKE_YES);
	answer = seen_update(file, &r, NOW, false);
	assert_non_null(answer); /* and is written anew */
	json_decref(answer);
	json_decref(file);
}

#define ENTRY(facts)                                                                               \
	"{\"schema\":\"berth.seen/1\",\"gpus\":{\"0000:01:00.0 10de:28e0 0000:0000\":" facts "}}"

static void test_hostile_files(void **state)
{
	(void)state;
	check_hostile("{}");
	check_hostile("{\"schema\":\"berth.seen/2\",\"gpus\":{}}");
	check_hostile("{\"schema\":\"berth.seen/1\",\"gpus\":[]}");
	check_hostile(ENTRY("7"));
	check_hostile(ENTRY(
		"{\"time_s\":1900000000,\"vram_total_bytes\":1,\"vram_total_bytes_src\":\"nvml\"}"));
	check_hostile(ENTRY(
		"{\"time_s\":\"x\",\"vram_total_bytes\":1,\"vram_total_bytes_src\":\"nvml\"}"));
	check_hostile(
		ENTRY("{\"time_s\":5,\"vram_total_bytes\":-1,\"vram_total_bytes_src\":\"nvml\"}"));
	check_hostile(
		ENTRY("{\"time_s\":5,\"vram_total_bytes\":1,\"vram_total_bytes_src\":\"me\"}"));
}

static void test_bounded(void **state)
{
	json_t *file = stored(), *next;
	char pci[24];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct gpu *g = reset(AWAKE_YES);

		snprintf(pci, sizeof(pci), "0000:%02x:00.0", i + 2);
		text_copy(g->pci, sizeof(g->pci), pci);
		next = seen_update(file, &r, NOW + 1 + i, false);
		assert_non_null(next);
		json_decref(file);
		file = next;
	}
	assert_int_equal(json_object_size(json_object_get(file, "gpus")), 64);
	reset(AWAKE_NO); /* the oldest */
	assert_null(seen_answer(file, &r, NOW + 1000, false));
	json_decref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_awake_is_not_filled),
		cmocka_unit_test(test_another_card_is_another),
		cmocka_unit_test(test_captures_are_scrubbed),
		cmocka_unit_test(test_written_seldom),
		cmocka_unit_test(test_sleeping_is_not_stored),
		cmocka_unit_test(test_hostile_files),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
