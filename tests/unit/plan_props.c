/* SPDX-License-Identifier: MIT */
/*
 * What must hold for any model, machine and wish, whatever the numbers are: tried on every model header
 * of tests/models. That the numbers are right is weights_truth.c's.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "vram-planner/backend.h"
#include "vram-planner/load.h"
#include "vram-planner/options.h"
#include "vram-planner/plan.h"
#include "vram-planner/search_priv.h"

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

/* --- the models --- */

static const char *at_model; /* for messages */

static void each_model(void (*try)(const struct model *m), uint32_t step)
{
	const char *build = getenv("BUILD");
	char pattern[600];
	glob_t found = { 0 };
	uint32_t tried = 0;

	snprintf(pattern, sizeof(pattern), "%s/tests/models/headers*/*.gguf",
		 build ? build : "build");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i += step) {
		struct model *m;
		struct err e = { 0 };

		at_model = strrchr(found.gl_pathv[i], '/') + 1;
		if (model_load(&m, found.gl_pathv[i], &opener_files, &e))
			fail_msg("%s: %s", at_model, e.text);
		try(m);
		model_close(m);
		tried++;
	}
	globfree(&found);
	assert_true(tried * step > 60);
}

#define HOLDS(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			fail_msg("%s: not so: %s", at_model, #what);                               \
	} while (0)

/* --- bills --- */

static struct target cuda_device(void)
{
	return (struct target) { .backend = backend_find("cuda"),
				 .memory_bytes = (uint64_t)GIB << 10 };
}

static struct ask small_ask(void)
{
	struct ask a;

	ask_default(&a);
	a.n_ctx = 4096;
	a.n_outputs = 1;
	return a;
}

/* The sums of a bill; false: refused, or not to be had. */
struct sums {
	uint64_t weights, kv, kv_device, output;
};

static bool sum_bill(struct biller *b, struct ask *a, uint32_t n, struct sums *s)
{
	struct target targets[PLAN_DEVICES_MAX];
	struct bill bill;
	struct err e = { 0 };
	uint32_t units;

	for (uint32_t i = 0; i < n; i++)
		targets[i] = cuda_device();
	if (biller_bill(b, a, targets, n, &bill, &e))
		fail_msg("%s: %s", at_model, e.text);
	memset(s, 0, sizeof(*s));
	if (bill.refused)
		return false;
	units = bill.n_host;
	for (uint32_t i = 0; i < n; i++)
		units += bill.units[i];
	HOLDS(units == biller_shape(b)->n_layer + 1);
	for (uint32_t i = 0; i < bill.n; i++) {
		const struct bill_part *p = &bill.parts[i];

		s->weights += p->weights_bytes;
		s->kv += p->kv_bytes;
		s->kv_device += p->kind == BILL_DEVICE ? p->kv_bytes : 0;
		s->output += p->output_bytes;
	}
	return true;
}

static struct biller *open_bills(const struct model *m)
{
	struct biller *b;
	struct err e = { 0 };

	if (biller_open(&b, m, engine_default(), &e))
		fail_msg("%s: %s", at_model, e.text);
	return b;
}

/* A longer context, more sequences and wider cells never take less cache, and change no weight. */
static void try_context(const struct model *m)
{
	struct biller *b = open_bills(m);
	struct sums before = { 0 }, now;
	uint32_t f16 = 1, q8_0 = 8;

	for (uint32_t n_ctx = 256; n_ctx <= 131072; n_ctx *= 8) {
		struct ask a = small_ask();

		a.n_ctx = n_ctx;
		if (!sum_bill(b, &a, 1, &now))
			break;
		HOLDS(now.kv >= before.kv);
		HOLDS(!before.weights || now.weights == before.weights);
		before = now;
	}
	for (uint32_t n_seq = 1; n_seq <= 8; n_seq *= 2) {
		struct ask a = small_ask();

		a.n_seq = a.n_outputs = n_seq;
		a.unified = true;
		if (!sum_bill(b, &a, 1, &now))
			break;
		HOLDS(n_seq == 1 || now.kv >= before.kv);
		HOLDS(n_seq == 1 || now.output > before.output || !now.output);
		before = now;
	}
	for (uint32_t narrow = 0; narrow < 2; narrow++) {
		struct ask a = small_ask();

		a.type_k = a.type_v = narrow ? q8_0 : f16;
		if (!sum_bill(b, &a, 1, &now))
			break;
		HOLDS(!narrow || now.kv <= before.kv);
		before = now;
	}
	biller_close(b);
}

/* However a model is cut up, its caches are the same, and its weights but for what is there twice. */
static void try_splits(const struct model *m)
{
	static const float cuts[][4] = { { 1 }, { 1, 1 }, { 3, 1 }, { 1, 2, 5 }, { 1, 1, 1, 1 } };
	struct biller *b = open_bills(m);
	struct sums one, now;
	struct ask a = small_ask();

	if (!sum_bill(b, &a, 1, &one)) {
		biller_close(b);
		return;
	}
	for (size_t i = 0; i < COUNT(cuts); i++) {
		uint32_t n = 0;

		a = small_ask();
		for (; n < 4 && cuts[i][n] > 0; n++)
			a.split[n] = cuts[i][n];
		HOLDS(sum_bill(b, &a, n, &now));
		HOLDS(now.kv == one.kv);
		HOLDS(now.weights >= one.weights && now.weights - one.weights < 64 * 1024 * n);
	}
	for (uint32_t layers = 0, all = biller_shape(b)->n_layer + 1; layers <= all; layers++) {
		a = small_ask();
		a.n_gpu_layers = layers;
		HOLDS(sum_bill(b, &a, 1, &now));
		HOLDS(now.kv_device <= one.kv && now.kv <= one.kv + 4096);
	}
	biller_close(b);
}

/* --- plans --- */

static const struct host_place big_host = { .free_bytes = { .v = 2048 * GIB, .src = SRC_USER } };

static struct place gpu(uint32_t number, int64_t free_bytes)
{
	struct place p = { .total_bytes = fact_of(free_bytes, SRC_USER),
			   .free_bytes = fact_of(free_bytes, SRC_USER) };

	snprintf(p.pci, sizeof(p.pci), "0000:%02x:00.0", number + 1);
	snprintf(p.backend, sizeof(p.backend), "cuda");
	return p;
}

static struct plan decide(const struct model *m, const struct place *places, uint32_t n,
			  const struct wish *w)
{
	struct plan p;
	struct err e = { 0 };

	if (plan_decide(&p, m, places, n, &big_host, w, &e))
		fail_msg("%s: %s", at_model, e.text);
	return p;
}

/* 0: no; host only; layers on GPUs; all layers, with fewer and fewer experts on the host; all of it. */
static uint32_t goodness(const struct plan *p)
{
	if (p->verdict == VERDICT_NO || p->verdict == VERDICT_REFUSED)
		return 0;
	if (p->flags.n_gpu_layers <= p->n_layer)
		return 1 + p->flags.n_gpu_layers;
	return 1 + p->flags.n_gpu_layers + (p->n_layer - p->flags.n_cpu_moe);
}

static void check_plan(const struct plan *p)
{
	uint32_t units = p->host.layers;

	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];

		units += d->layers;
		HOLDS(d->left_bytes == d->free_bytes.v - (int64_t)plan_buffers_sum(&d->buffers));
		HOLDS(p->verdict == VERDICT_NO || d->left_bytes >= 0);
	}
	HOLDS(p->verdict == VERDICT_REFUSED || units == p->n_layer + 1);
	HOLDS(p->verdict != VERDICT_FITS || p->host.layers == 0);
}

/* All bytes of a model on one device, to choose memory sizes around. */
static int64_t size_of(const struct model *m, const struct wish *w)
{
	struct place huge = gpu(0, 4096 * GIB);
	struct plan p = decide(m, &huge, 1, w);

	if (p.verdict == VERDICT_REFUSED)
		return 0;
	HOLDS(p.verdict == VERDICT_FITS);
	return (int64_t)plan_buffers_sum(&p.devices[0].buffers);
}

static struct wish bare(void)
{
	return (struct wish) { .margin_bytes = fact_of(0, SRC_USER), .n_ctx = 4096 };
}

/* One byte decides; more memory never makes an answer worse, nor does another device. */
static void try_memory(const struct model *m)
{
	struct wish w = bare();
	int64_t all = size_of(m, &w);
	uint32_t before = 0;

	if (!all)
		return;
	for (int64_t k = 1; k <= 8; k++) {
		struct place places[2] = { gpu(0, all * k / 8), gpu(1, 3 * GIB) };
		struct plan p = decide(m, places, 1, &w), q;

		check_plan(&p);
		HOLDS((p.verdict == VERDICT_FITS) == (k == 8));
		HOLDS(goodness(&p) >= before);
		before = goodness(&p);
		if (k % 4)
			continue;
		q = decide(m, places, 2, &w);
		check_plan(&q);
		HOLDS(goodness(&q) >= goodness(&p));
	}
	struct place exact = gpu(0, all), short_of = gpu(0, all - 1);
	struct plan yes = decide(m, &exact, 1, &w), no = decide(m, &short_of, 1, &w);

	HOLDS(yes.verdict == VERDICT_FITS && yes.devices[0].left_bytes == 0);
	HOLDS(no.verdict != VERDICT_FITS);
}

/* A margin only takes; the same question has the same answer. */
static void try_margin(const struct model *m)
{
	struct wish w = bare();
	int64_t all = size_of(m, &w);
	struct place one = gpu(0, all + GIB);
	struct plan none, some, again;

	if (!all)
		return;
	none = decide(m, &one, 1, &w);
	w.margin_bytes = fact_of(GIB, SRC_USER);
	some = decide(m, &one, 1, &w);
	HOLDS(some.verdict == VERDICT_FITS && some.devices[0].left_bytes == 0);
	HOLDS(none.devices[0].left_bytes == GIB);
	w.margin_bytes = fact_of(GIB + 1, SRC_USER);
	some = decide(m, &one, 1, &w);
	HOLDS(some.verdict != VERDICT_FITS);
	again = decide(m, &one, 1, &w);
	char a[65], b[65];

	plan_id(&some, a);
	plan_id(&again, b);
	HOLDS(strcmp(a, b) == 0);
}

/* With a goal the context only grows with the memory, and every answer runs within what is accepted. */
static void try_goal(const struct model *m)
{
	struct wish w = bare(), goal = { .margin_bytes = w.margin_bytes, .want = WANT_CONTEXT };
	int64_t all = size_of(m, &w);
	uint32_t n_ctx = 0;

	if (!all)
		return;
	for (int64_t k = 4; k <= 12; k += 4) {
		struct place one = gpu(0, all * k / 8);
		struct plan p = decide(m, &one, 1, &goal);

		check_plan(&p);
		if (p.verdict != VERDICT_FITS)
			continue;
		HOLDS(plan_exit(&p) == EXIT_YES);
		HOLDS(p.flags.n_ctx >= n_ctx);
		n_ctx = p.flags.n_ctx;
	}
	HOLDS(n_ctx > 0);
}

/* At the same memory a longer context is never better. */
static void try_longer(const struct model *m)
{
	struct wish w = bare();
	int64_t all = size_of(m, &w);
	uint32_t before = UINT32_MAX;

	if (!all)
		return;
	for (w.n_ctx = 1024; w.n_ctx <= 65536; w.n_ctx *= 4) {
		struct place two[2] = { gpu(0, all), gpu(1, all / 2) };
		struct plan p = decide(m, two, 2, &w);

		check_plan(&p);
		HOLDS(w.n_ctx > 4096 || p.verdict == VERDICT_FITS);
		HOLDS(goodness(&p) <= before);
		before = goodness(&p);
	}
}

/* The options of a nearest yes, read as if they were typed. */
static struct wish typed(const char *text)
{
	struct options o = options_none();
	char copy[512], *argv[40], *save = NULL;
	struct wish w = { 0 };
	int n = 0, first;

	snprintf(copy, sizeof(copy), "plan %s model.gguf", text);
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		assert_true(n < 39);
		argv[n++] = t;
	}
	argv[n] = NULL;
	if (cmd_parse(&plan_command, n, argv, &o, &first) != CMD_RUN || options_wish(&w, &o))
		fail_msg("%s: '%s' cannot be typed", at_model, text);
	return w;
}

static uint32_t n_yes;

/* What is called nearest is a yes, and the one that it says, when it is asked. */
static void try_nearest(const struct model *m)
{
	struct wish w = bare();
	int64_t all = size_of(m, &w);

	for (int64_t k = 2; all && k <= 10; k += 4) {
		struct place one = gpu(0, all * k / 12);
		struct plan p = decide(m, &one, 1, &w);

		HOLDS(p.verdict != VERDICT_FITS && plan_exit(&p) != EXIT_YES);
		HOLDS(p.n_nearest > 0);
		for (uint32_t i = 0; i < p.n_nearest; i++) {
			struct wish then = typed(p.nearest[i].options);
			struct plan q = decide(m, &one, 1, &then);

			n_yes++;
			if (plan_exit(&q) != EXIT_YES || q.verdict != p.nearest[i].verdict)
				fail_msg("%s: '%s' is called %s, and is %s", at_model,
					 p.nearest[i].options, verdict_name(p.nearest[i].verdict),
					 verdict_name(q.verdict));
		}
	}
}

/* --- */

static void test_longer(void **state)
{
	(void)state;
	each_model(try_longer, 1);
}

static void test_nearest(void **state)
{
	(void)state;
	each_model(try_nearest, 1);
	assert_true(n_yes > 200);
}

static void test_context(void **state)
{
	(void)state;
	each_model(try_context, 1);
}

static void test_splits(void **state)
{
	(void)state;
	each_model(try_splits, 1);
}

static void test_memory(void **state)
{
	(void)state;
	each_model(try_memory, 1);
}

static void test_margin(void **state)
{
	(void)state;
	each_model(try_margin, 1);
}

static void test_goal(void **state)
{
	(void)state;
	each_model(try_goal, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context), cmocka_unit_test(test_splits),
		cmocka_unit_test(test_memory),  cmocka_unit_test(test_margin),
		cmocka_unit_test(test_goal),    cmocka_unit_test(test_longer),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
