/* SPDX-License-Identifier: MIT */
/*
 * The planner's three times, for each model header named: from path to facts, for one configuration, and
 * for a whole search on eight devices. Beside the first, the engine's own reader of the same headers
 * (gguf_init_from_file, which stops where ours stops). The goals are for the largest model, and for a
 * configuration for the mean: models whose layers keep constants of their own are built whole.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#if __has_include("gguf.h")
#include "gguf.h"
#define HAVE_PEER 1
#else
#define HAVE_PEER 0
#endif

#include "vram-planner/backend.h"
#include "vram-planner/bill.h"
#include "vram-planner/plan.h"

#define RUNS    15
#define CONFIGS 64
#define DEVICES 8
#define GIB     (INT64_C(1) << 30)

enum time_of { PARSE, PEER, CONFIGURE, SEARCH, TIMES };

static const double goals_ms[TIMES] = { [PARSE] = 5, [CONFIGURE] = 0.2, [SEARCH] = 100 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct trial {
	const char *path;
	struct model *m;
	struct biller *b;
};

static int parse(struct trial *t)
{
	struct model *m;
	int rc = model_open(&m, t->path, NULL);

	model_close(m);
	return rc;
}

static int peer(struct trial *t)
{
#if HAVE_PEER
	struct gguf_init_params params = { .no_alloc = true, .ctx = NULL };
	struct gguf_context *g = gguf_init_from_file(t->path, params);

	if (!g)
		return -1;
	gguf_free(g);
#else
	(void)t;
#endif
	return 0;
}

/* Bills over contexts and batches, on two devices: what a search or a list of jobs asks for. */
static int configure(struct trial *t)
{
	struct target targets[2];
	struct bill bill;

	for (uint32_t i = 0; i < 2; i++)
		targets[i] = (struct target) { .backend = backend_find("cuda"),
					       .memory_bytes = 80 * GIB };
	for (uint32_t i = 0; i < CONFIGS; i++) {
		struct ask a;
		int rc;

		ask_default(&a);
		a.n_ctx = 1024 * (1 + i);
		a.n_ubatch = 128 << i % 4;
		a.n_outputs = 1;
		rc = biller_bill(t->b, &a, targets, 1 + i % 2, &bill, NULL);
		if (rc)
			return rc;
	}
	return 0;
}

static int search(struct trial *t)
{
	const struct host_place host = { .free_bytes = fact_of(256 * GIB, SRC_USER) };
	struct wish w = { .want = WANT_CONTEXT };
	struct place places[DEVICES] = { 0 };
	struct plan p;

	for (uint32_t i = 0; i < DEVICES; i++) {
		snprintf(places[i].pci, sizeof(places[i].pci), "0000:0%u:00.0", (unsigned)i + 1);
		snprintf(places[i].backend, sizeof(places[i].backend), "cuda");
		places[i].free_bytes = fact_of((24 + 8 * (int64_t)(i % 3)) * GIB, SRC_USER);
	}
	return plan_decide(&p, t->m, places, DEVICES, &host, &w, NULL);
}

/* The best of some runs, in milliseconds; below 0: it failed. */
static double best_of(int (*f)(struct trial *), struct trial *t)
{
	double best = 1e9;

	for (int i = 0; i < RUNS; i++) {
		double start = now_ms(), ms;

		if (f(t))
			return -1;
		ms = now_ms() - start;
		best = ms < best ? ms : best;
	}
	return best;
}

static bool measure(const char *path, double ms[TIMES], uint64_t *bytes)
{
	struct trial t = { .path = path };
	bool fine = false;

	if (model_open(&t.m, path, NULL) == 0 &&
	    biller_open(&t.b, t.m, engine_default(), NULL) == 0) {
		ms[PARSE] = best_of(parse, &t);
		ms[PEER] = best_of(peer, &t);
		ms[CONFIGURE] = best_of(configure, &t) / CONFIGS;
		ms[SEARCH] = best_of(search, &t);
		*bytes = model_expected_bytes(t.m);
		fine = ms[PARSE] >= 0 && ms[PEER] >= 0 && ms[CONFIGURE] >= 0 && ms[SEARCH] >= 0;
	}
	biller_close(t.b);
	model_close(t.m);
	if (!fine)
		fprintf(stderr, "%s: not planned\n", path);
	return fine;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

struct totals {
	double sum[TIMES], worst[TIMES], largest[TIMES];
	const char *worst_path[TIMES], *largest_path;
	uint64_t largest_bytes;
	int n;
};

static void add(struct totals *t, const char *path, const double ms[TIMES], uint64_t bytes)
{
	t->n++;
	for (int k = 0; k < TIMES; k++) {
		t->sum[k] += ms[k];
		if (ms[k] > t->worst[k]) {
			t->worst[k] = ms[k];
			t->worst_path[k] = path;
		}
		if (bytes > t->largest_bytes)
			t->largest[k] = ms[k];
	}
	if (bytes > t->largest_bytes) {
		t->largest_bytes = bytes;
		t->largest_path = path;
	}
}

/* `judged`: the time that the goal is for. */
static bool print(const struct totals *t, enum time_of k, const char *what, double judged)
{
	printf("%s: mean %.3f ms, worst %.3f ms (%s), the largest model %.3f ms; goal %g ms\n",
	       what, t->sum[k] / t->n, t->worst[k], base(t->worst_path[k]), t->largest[k],
	       goals_ms[k]);
	return judged < goals_ms[k];
}

int main(int argc, char **argv)
{
	struct totals t = { 0 };
	bool fine;

	if (argc < 2)
		return 2;
	for (int i = 1; i < argc; i++) {
		double ms[TIMES];
		uint64_t bytes;

		if (!measure(argv[i], ms, &bytes))
			return 1;
		add(&t, argv[i], ms, bytes);
	}
	printf("%d headers; the largest model is %s\n", t.n, base(t.largest_path));
	fine = print(&t, PARSE, "parse", t.largest[PARSE]);
	if (HAVE_PEER)
		printf("the engine's own gguf_init_from_file: mean %.3f ms, ratio %.2f\n",
		       t.sum[PEER] / t.n, t.sum[PARSE] / t.sum[PEER]);
	fine &= print(&t, CONFIGURE, "configuration, on one or two devices",
		      t.sum[CONFIGURE] / t.n);
	fine &= print(&t, SEARCH, "search for the longest context on 8 devices", t.largest[SEARCH]);
	return fine ? 0 : 1;
}
