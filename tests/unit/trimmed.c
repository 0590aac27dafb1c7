/* SPDX-License-Identifier: MIT */
/*
 * Layers that are left out of a graph change nothing: every header that we have, in configurations drawn
 * at random (the same each time), from some of its layers and from all of them.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/harness.h"
#include "vram-planner/compute.h"
#include "vram-planner/refusal.h"

#define TRIALS 40
#define GIB    (UINT64_C(1) << 30)

static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % below;
}

static void draw_ask(uint64_t *seed, struct ask *a, const struct shape *s)
{
	static const uint32_t types[] = { 1, 1, 8, 2, 0, 30 }; /* f16 q8_0 q4_0 f32 bf16 */

	ask_default(a);
	a->n_ctx = 256u << draw(seed, 9);
	a->n_ubatch = 1u << draw(seed, 12);
	a->n_batch = 64u << draw(seed, 6);
	a->n_seq = 1 + draw(seed, 4);
	a->n_outputs = draw(seed, 2) ? a->n_seq : 100;
	a->unified = draw(seed, 3) == 0;
	a->flash_attn = draw(seed, 4) != 0;
	a->type_k = types[draw(seed, 6)];
	a->type_v = types[draw(seed, 6)];
	a->cache_on_host = draw(seed, 8) == 0;
	a->op_offload = draw(seed, 8) != 0;
	if (draw(seed, 2))
		a->n_gpu_layers = draw(seed, s->n_layer + 2);
	if (draw(seed, 3) == 0)
		a->n_cpu_moe = draw(seed, s->n_layer + 1);
	for (uint32_t i = 0; i < 4; i++)
		a->split[i] = (float)(1 + draw(seed, 4));
}

static bool settle(uint64_t *seed, struct ask *a, const struct shape *s, struct placement *p)
{
	static const char *const names[] = { "cuda", "vulkan", "rpc" };
	const struct backend *backend = backend_find(names[draw(seed, 3)]);
	uint32_t n = draw(seed, 5);
	struct target targets[4];

	for (uint32_t i = 0; i < n; i++)
		targets[i] = (struct target) { backend, 24 * GIB, 0 };
	draw_ask(seed, a, s);
	return ask_settle(a, s->n_ctx_train, s->causal, NULL) == 0 &&
	       placement_make(p, s, a, targets, n, NULL, NULL) == 0 && !refusal_find(s, a, p);
}

struct tally {
	uint32_t compared, cut;
};

static void compare(struct compute *c, const struct shape *s, const struct ask *a,
		    const struct placement *p, struct tally *t)
{
	struct compute_bytes some, all;
	int rc = compute_bytes(c, a, p, engine_default(), &some);

	assert_int_equal(compute_bytes_whole(c, a, p, engine_default(), &all), rc);
	if (rc)
		return;
	t->compared++;
	t->cut += some.n_built < s->n_run;
	assert_memory_equal(some.device, all.device, sizeof(all.device));
	assert_true(some.host == all.host);
	assert_int_equal(some.n_nodes, all.n_nodes);
	assert_int_equal(some.n_leaves, all.n_leaves);
	assert_int_equal(some.n_splits, all.n_splits);
}

static void check_model(const char *path, uint64_t *seed, struct tally *t)
{
	static struct shape s;
	struct placement p = { 0 };
	struct compute *c;
	struct err e = { 0 };
	struct model *m;
	struct ask a;

	if (model_open(&m, path, &e) || shape_read(&s, m, &e))
		fail_msg("%s: %s", path, e.text);
	assert_int_equal(compute_open(&c, &s), 0);
	for (uint32_t i = 0; i < TRIALS; i++) {
		if (settle(seed, &a, &s, &p))
			compare(c, &s, &a, &p, t);
	}
	compute_close(c);
	placement_fini(&p);
	shape_fini(&s);
	model_close(m);
}

static void test_some_are_all(void **state)
{
	const char *build = getenv("BUILD");
	uint64_t seeds[] = { 2, 19 }; /* what fell over mistakes that were made */
	struct tally t = { 0 };
	char pattern[700];
	glob_t g;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/tests/models/headers*/*.gguf",
		 build ? build : "build");
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 82);
	for (size_t k = 0; k < COUNT(seeds); k++) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			check_model(g.gl_pathv[i], &seeds[k], &t);
	}
	globfree(&g);
	printf("%u configurations, layers left out in %u\n", t.compared, t.cut);
	assert_true(t.cut > t.compared / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_some_are_all) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
