/* SPDX-License-Identifier: MIT */
/* NVIDIA's library in its child: answers, absence, refusal, hangs and crashes, against a fake one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe/probe_priv.h"
#include "tests/unit/harness.h"

static const char pci[][24] = { "0000:41:00.0", "0000:61:00.0", "0000:99:00.0" };

static struct nvml_view *ask(const char *mode, uint32_t n)
{
	static struct nvml_view v;
	const char *build = getenv("BUILD");
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/fake/lib_nvml.so", build ? build : "build");
	char *whole = realpath(path, NULL);

	assert_non_null(whole);
	setenv("BERTH_NVML", whole, 1);
	setenv("FAKE_NVML", mode, 1);
	free(whole);
	nvml_ask(pci, n, 300, &v);
	return &v;
}

/* Every child is collected: none is left running or as a zombie. */
static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void answers(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("ok", 3);

	assert_int_equal(v->n, 3);
	assert_int_equal(v->why, WHY_NONE);
	assert_string_equal(v->driver_version.v, "570.86.16");
	assert_string_equal(v->fns[0].pci, "0000:41:00.0");
	assert_string_equal(v->fns[0].name.v, "NVIDIA GeForce RTX 3090");
	assert_string_equal(v->fns[0].uuid.v, "GPU-11111111-2222-3333-4444-555555555555");
	assert_int_equal(v->fns[0].vram_total.v, 25769803776);
	/* What the driver reserves is not free, so it counts as used. */
	assert_int_equal(v->fns[0].vram_used.v, 469762048);
	assert_int_equal(v->fns[0].vram_free.v, 25769803776 - 469762048);
	assert_int_equal(v->fns[0].power_mw.v, 21350);
	assert_int_equal(v->fns[0].power_cap_mw.v, 350000);
	assert_int_equal(v->fns[0].temp_mc.v, 36000);
	assert_int_equal(v->fns[0].busy_percent.v, 7);
	assert_int_equal(v->fns[0].vram_total.src, SRC_NVML);
	/* Not supported is unknown with a reason, not 0 W. */
	assert_false(fact_known(&v->fns[1].power_mw));
	assert_int_equal(v->fns[1].power_mw.why, WHY_NOT_EXPORTED);
	/* A device the driver does not manage. */
	assert_false(fact_known(&v->fns[2].vram_total));
	assert_int_equal(v->fns[2].vram_total.why, WHY_NOT_EXPORTED);
	assert_no_child();
}

static void old_driver(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("old", 1);

	assert_int_equal(v->fns[0].vram_total.v, 25769803776);
	assert_int_equal(v->fns[0].vram_used.v, 469762048);
	assert_int_equal(v->fns[0].vram_free.v, 25769803776 - 469762048);
}

static void no_library(void **state)
{
	struct nvml_view v;

	(void)state;
	setenv("BERTH_NVML", "/nonexistent/libnvidia-ml.so.1", 1);
	nvml_ask(pci, 2, 300, &v);
	assert_int_equal(v.n, 0);
	assert_int_equal(v.why, WHY_NO_LIBRARY);
	assert_no_child();
}

static void refuses(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("refuse", 2);

	assert_int_equal(v->n, 0);
	assert_int_equal(v->why, WHY_NO_LIBRARY);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void hangs(void **state)
{
	(void)state;
	int64_t start = now_ms();
	const struct nvml_view *v = ask("hang", 2);
	int64_t took = now_ms() - start;

	assert_int_equal(v->n, 0);
	assert_int_equal(v->why, WHY_TIMEOUT);
	assert_true(took >= 290);
	assert_true(took < 5000);
	assert_no_child();
	v = ask("hang-device", 2);
	assert_int_equal(v->n, 1); /* what came in time is kept */
	assert_int_equal(v->fns[0].vram_total.v, 25769803776);
	assert_int_equal(v->why, WHY_TIMEOUT);
	assert_no_child();
}

static void crashes(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("crash", 2);

	assert_int_equal(v->n, 0);
	assert_int_equal(v->why, WHY_GARBLED);
	assert_no_child();
	v = ask("crash-device", 2);
	assert_int_equal(v->n, 1);
	assert_int_equal(v->why, WHY_GARBLED);
	assert_no_child();
}

/* The library prints what it likes; our output stays ours. */
static void keeps_stdout_clean(void **state)
{
	char buf[64];
	int ends[2], saved;

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	ask("ok", 1);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	assert_int_equal(read(ends[0], buf, sizeof(buf)), -1);
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

static void scrubs(void **state)
{
	(void)state;
	struct nvml_view *v = ask("ok", 2);

	nvml_view_scrub(v);
	assert_string_equal(v->fns[0].uuid.v, "GPU-00000000-0000-0000-0000-000000000000");
	assert_string_equal(v->fns[1].uuid.v, "GPU-00000000-0000-0000-0000-000000000001");
}

static void survives_json(void **state)
{
	static struct nvml_view back;

	(void)state;
	const struct nvml_view *v = ask("ok", 3);
	json_t *o = nvml_view_to_json(v);

	nvml_view_from_json(&back, o);
	json_decref(o);
	assert_int_equal(back.n, v->n);
	assert_string_equal(back.fns[0].uuid.v, v->fns[0].uuid.v);
	assert_int_equal(back.fns[0].vram_free.v, v->fns[0].vram_free.v);
	assert_int_equal(back.fns[1].power_mw.why, v->fns[1].power_mw.why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(old_driver),
		cmocka_unit_test(no_library),
		cmocka_unit_test(refuses),
		cmocka_unit_test(hangs),
		cmocka_unit_test(crashes),
		cmocka_unit_test(keeps_stdout_clean),
		cmocka_unit_test(scrubs),
		cmocka_unit_test(survives_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
