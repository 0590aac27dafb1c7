/* SPDX-License-Identifier: MIT */
/*
 * Time from path to verdict for each model header named, against the engine's own reader of the same
 * headers (gguf_init_from_file, which stops where our reader stops and decides nothing).
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

#include "vram-planner/plan.h"

#define RUNS 15

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Two devices too small for most models: the search has to go all the way. */
static int ours(const char *path)
{
	const struct host_place host = { .free_bytes = fact_of(INT64_C(1) << 40, SRC_USER) };
	struct place places[2] = {
		{ .pci = "0000:01:00.0",
		  .backend = "cuda",
		  .free_bytes = fact_of(INT64_C(6) << 30, SRC_USER) },
		{ .pci = "0000:02:00.0",
		  .backend = "cuda",
		  .free_bytes = fact_of(INT64_C(4) << 30, SRC_USER) },
	};
	struct wish w = { .n_ctx = 32768 };
	struct model *m;
	struct plan p;
	struct err e = { 0 };
	int rc = model_open(&m, path, &e);

	if (rc == 0)
		rc = plan_decide(&p, m, places, 2, &host, &w, &e);
	if (rc)
		fprintf(stderr, "%s\n", e.text);
	model_close(m);
	return rc;
}

static int peer(const char *path)
{
#if HAVE_PEER
	struct gguf_init_params params = { .no_alloc = true, .ctx = NULL };
	struct gguf_context *g = gguf_init_from_file(path, params);

	if (!g)
		return -1;
	gguf_free(g);
#else
	(void)path;
#endif
	return 0;
}

static double best_of(int (*f)(const char *), const char *path)
{
	double best = 1e9;

	for (int i = 0; i < RUNS; i++) {
		double start = now_ms(), t;

		if (f(path))
			return -1;
		t = now_ms() - start;
		best = t < best ? t : best;
	}
	return best;
}

int main(int argc, char **argv)
{
	double sum = 0, sum_peer = 0, worst = 0;
	const char *worst_path = "";

	for (int i = 1; i < argc; i++) {
		double a = best_of(ours, argv[i]), b = best_of(peer, argv[i]);

		if (a < 0 || b < 0)
			return 1;
		sum += a;
		sum_peer += b;
		if (a > worst) {
			worst = a;
			worst_path = argv[i];
		}
	}
	if (argc < 2)
		return 2;
	printf("parse and verdict of %d headers: mean %.2f ms, worst %.2f ms (%s)", argc - 1,
	       sum / (argc - 1), worst,
	       strrchr(worst_path, '/') ? strrchr(worst_path, '/') + 1 : worst_path);
	if (HAVE_PEER)
		printf("; the engine's own gguf_init_from_file %.2f ms: ratio %.2f\n",
		       sum_peer / (argc - 1), sum / sum_peer);
	else
		printf("; no engine headers here to compare with\n");
	return worst < 10 ? 0 : 1; /* the goal */
}
