/* SPDX-License-Identifier: MIT */
/* The planner's choice: verdicts, the engine's split rule, and what must hold for any machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/gguf_build.h"
#include "tests/unit/harness.h"
#include "vram-planner/placement.h"
#include "vram-planner/plan.h"

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static struct model *small(uint32_t n_layer)
{
	static struct built b; /* the model points into it */
	struct model *m;
	struct err e = { 0 };

	build_llama(&b, n_layer);
	if (model_from_bytes(&m, b.bytes, b.n, &e))
		fail_msg("%s", e.text);
	return m;
}

static struct place gpu(const char *pci, int64_t free_bytes)
{
	struct place p = { .total_bytes = fact_of(free_bytes, SRC_USER),
			   .free_bytes = fact_of(free_bytes, SRC_USER) };

	snprintf(p.pci, sizeof(p.pci), "%s", pci);
	snprintf(p.backend, sizeof(p.backend), "cuda");
	return p;
}

static const struct host_place big_host = { .free_bytes = { .v = 64 * (INT64_C(1) << 30),
							    .src = SRC_USER } };

/* No margin, so that sizes in tests are the model's own. */
static struct wish bare(void)
{
	return (struct wish) { .margin_bytes = fact_of(0, SRC_USER),
			       .n_ctx = 1024,
			       .n_ubatch = 32 };
}

static struct plan decide(const struct model *m, const struct place *places, uint32_t n,
			  const struct wish *w)
{
	struct plan p;
	struct err e = { 0 };

	if (plan_make(&p, m, places, n, &big_host, w, &e))
		fail_msg("%s", e.text);
	return p;
}

/* The engine's own rule, from layers on devices and shares to units of each. */
static void split_units(uint32_t n_layer, uint32_t ngl, const float *split, uint32_t n,
			uint32_t *units)
{
	static struct built b;
	struct target targets[PLAN_DEVICES_MAX];
	struct placement p = { 0 };
	struct model *m;
	struct shape s;
	struct ask a;
	struct err e;

	build_llama(&b, 1);
	assert_int_equal(model_from_bytes(&m, b.bytes, b.n, &e), 0);
	ask_default(&a);
	a.n_gpu_layers = ngl;
	for (uint32_t i = 0; i < n; i++) {
		targets[i] = (struct target) { .backend = backend_find("cuda") };
		a.split[i] = split[i];
	}
	assert_int_equal(shape_read(&s, m, &e), 0);
	s.n_layer = s.n_run = n_layer;
	assert_int_equal(placement_make(&p, &s, &a, targets, n, NULL, &e), 0);
	memcpy(units, p.units, n * sizeof(*units));
	placement_fini(&p);
	shape_fini(&s);
	model_close(m);
}

/* What holds for every plan that runs. */
static void check_sums(const struct plan *p)
{
	uint32_t units = p->host.layers, on_gpus = 0;

	if (p->verdict == VERDICT_REFUSED || p->verdict == VERDICT_UNKNOWN)
		return;
	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];

		assert_true(d->layers > 0);
		units += d->layers;
		on_gpus += d->layers;
		assert_int_equal(d->left_bytes,
				 d->free_bytes.v - (int64_t)plan_buffers_sum(&d->buffers));
		if (p->verdict != VERDICT_NO)
			assert_true(d->left_bytes >= 0);
	}
	assert_int_equal(units, p->n_layer + 1);
	assert_int_equal(on_gpus, p->flags.n_gpu_layers);
	if (p->verdict == VERDICT_FITS)
		assert_int_equal(p->host.layers, 0);
}

/* The plan's whole units must come out of the engine's floating-point rule again. */
static void check_split(const struct plan *p)
{
	float split[PLAN_DEVICES_MAX];
	uint32_t units[PLAN_DEVICES_MAX];

	for (uint32_t i = 0; i < p->n_devices; i++)
		split[i] = (float)p->devices[i].layers;
	split_units(p->n_layer, p->flags.n_gpu_layers, split, p->n_devices, units);
	for (uint32_t i = 0; i < p->n_devices; i++)
		assert_int_equal(units[i], p->devices[i].layers);
}

static void test_verdicts(void **state)
{
	struct model *m = small(8);
	struct wish w = bare();
	struct place one = gpu("0000:01:00.0", 8 * GIB), tiny = gpu("0000:02:00.0", 1 * MIB);
	struct plan p;

	(void)state;
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.verdict, VERDICT_FITS);
	assert_int_equal(plan_exit(&p), EXIT_YES);
	assert_int_equal(p.devices[0].layers, 9);
	assert_int_equal(p.flags.n_ctx, 1024);
	assert_true(p.flags.flash_attn);
	assert_int_equal(strlen(p.header_sha256), 64);
	check_sums(&p);

	p = decide(m, NULL, 0, &w);
	assert_int_equal(p.verdict, VERDICT_SPILLS);
	assert_int_equal(plan_exit(&p), EXIT_NO);
	assert_string_equal(p.nearest_yes, "--accept cpu");
	assert_int_equal(p.host.layers, 9);
	w.accept = ACCEPT_CPU;
	p = decide(m, NULL, 0, &w);
	assert_int_equal(plan_exit(&p), EXIT_YES);
	assert_string_equal(p.nearest_yes, "");

	w = bare();
	p = decide(m, &tiny, 1, &w);
	assert_int_equal(p.verdict, VERDICT_SPILLS);
	assert_int_equal(p.n_devices, 0);
	model_close(m);
}

static void test_no(void **state)
{
	struct model *m = small(8);
	struct wish w = bare();
	struct host_place poor = { .free_bytes = fact_of(100000, SRC_USER) };
	struct host_place mute = { .free_bytes = fact_unknown(WHY_NOT_EXPORTED) };
	struct place one = gpu("0000:01:00.0", 8 * GIB);
	struct plan p;
	struct err e;

	(void)state;
	assert_int_equal(plan_make(&p, m, NULL, 0, &poor, &w, &e), 0);
	assert_int_equal(p.verdict, VERDICT_NO);
	assert_true(p.host.left_bytes < 0);
	assert_non_null(strstr(p.decided_by, "host"));
	/* The GPU would hold it, but the host cannot even hold the embeddings. */
	assert_int_equal(plan_make(&p, m, &one, 1, &poor, &w, &e), 0);
	assert_int_equal(p.verdict, VERDICT_NO);
	assert_int_equal(plan_make(&p, m, NULL, 0, &mute, &w, &e), 0);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
	assert_int_equal(plan_make(&p, m, &one, 1, &mute, &w, &e), 0);
	assert_int_equal(p.verdict, VERDICT_FITS);
	model_close(m);
}

static void test_unknown_memory(void **state)
{
	struct model *m = small(8);
	struct wish w = bare();
	struct place two[2] = { gpu("0000:01:00.0", 8 * GIB), gpu("0000:02:00.0", 0) };
	struct plan p;

	(void)state;
	two[1].free_bytes = fact_unknown(WHY_ASLEEP);
	p = decide(m, two, 2, &w);
	assert_int_equal(p.verdict, VERDICT_FITS); /* the other one is enough */
	assert_int_equal(p.n_devices, 1);
	p = decide(m, two + 1, 1, &w);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
	assert_non_null(strstr(p.decided_by, "0000:02:00.0"));
	assert_non_null(strstr(p.decided_by, "--wake"));
	w.accept = ACCEPT_CPU; /* what is accepted anyway needs no doubt */
	p = decide(m, two + 1, 1, &w);
	assert_int_equal(p.verdict, VERDICT_SPILLS);
	w = bare();
	two[1].free_bytes = fact_unknown(WHY_NOT_APPLICABLE); /* shares the host's memory */
	p = decide(m, two + 1, 1, &w);
	assert_int_equal(p.verdict, VERDICT_SPILLS);
	two[1] = gpu("0000:02:00.0", 8 * GIB);
	snprintf(two[1].backend, sizeof(two[1].backend), "abacus");
	p = decide(m, two + 1, 1, &w);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
	assert_non_null(strstr(p.decided_by, "abacus"));
	model_close(m);
}

/* An architecture that nobody knows, with the keys that most have. */
static void build_bound(struct built *b)
{
	build_begin(b, 3);
	build_text(b, "general.architecture", "nonesuch");
	build_u32(b, "nonesuch.block_count", 1);
	build_u32(b, "nonesuch.context_length", 4096);
	build_u32(b, "nonesuch.embedding_length", 64);
	build_u32(b, "nonesuch.feed_forward_length", 128);
	build_u32(b, "nonesuch.attention.head_count", 2);
	build_tensor(b, "token_embd.weight", 8, 64, 1000);
	build_tensor(b, "output.weight", 8, 64, 1000);
	build_tensor(b, "blk.0.attn_q.weight", 8, 64, 64);
	build_end(b);
}

static void test_unknown_family(void **state)
{
	struct built b;
	struct model *m;
	struct wish w = bare();
	struct place one = gpu("0000:01:00.0", 8 * GIB);
	struct err e;
	struct plan p;

	(void)state;
	build_begin(&b, 3);
	build_text(&b, "general.architecture", "nonesuch");
	build_tensor(&b, "token_embd.weight", 8, 64, 1000);
	build_end(&b);
	assert_int_equal(model_from_bytes(&m, b.bytes, b.n, &e), 0);
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
	assert_int_equal(plan_exit(&p), EXIT_UNKNOWN);
	assert_non_null(strstr(p.decided_by, "'nonesuch'"));
	assert_int_equal(p.n_devices, 0);
	model_close(m);

	/* With the keys that matter there is an upper bound, and it says so. */
	build_bound(&b);
	assert_int_equal(model_from_bytes(&m, b.bytes, b.n, &e), 0);
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
	assert_non_null(strstr(p.decided_by, "upper bound fits"));
	assert_true(p.n_devices == 1 && p.devices[0].buffers.weights_bytes > 0);
	one.free_bytes = fact_of(513 * MIB, SRC_USER);
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
	assert_non_null(strstr(p.decided_by, "upper bound spills"));
	model_close(m);

	/* A tensor whose place nobody verified: the engine refuses such a file. */
	one.free_bytes = fact_of(8 * GIB, SRC_USER);
	build_llama(&b, 1);
	build_tensor(&b, "surprise.weight", 0, 32, 1);
	build_end(&b);
	assert_int_equal(model_from_bytes(&m, b.bytes, b.n, &e), 0);
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.verdict, VERDICT_UNKNOWN);
	assert_non_null(strstr(p.decided_by, "surprise.weight"));
	model_close(m);
}

/* Keys that the family needs, missing or absurd. */
static void test_contradictions(void **state)
{
	static const struct {
		const char *key;
		uint32_t v;
	} absurd[] = { { "llama.block_count", 0 },
		       { "llama.block_count", 513 },
		       { "llama.embedding_length", 1u << 30 },
		       { "llama.embedding_length", 96 },
		       { "llama.context_length", 0 },
		       { "llama.attention.head_count", 0 },
		       { "llama.attention.head_count", 1u << 31 },
		       { "llama.attention.key_length", 0 },
		       { "llama.attention.key_length", 1u << 31 },
		       { "llama.block_count", 1 } };
	struct wish w = bare();
	struct err e;
	struct plan p;

	(void)state;
	for (size_t i = 0; i < COUNT(absurd); i++) {
		static const struct {
			const char *key;
			uint32_t v;
		} keys[] = { { "llama.block_count", 2 },
			     { "llama.context_length", 4096 },
			     { "llama.embedding_length", 64 },
			     { "llama.attention.head_count", 2 } };
		struct built b;
		struct model *m;
		bool added = false;

		build_begin(&b, 3);
		build_text(&b, "general.architecture", "llama");
		for (size_t k = 0; k < COUNT(keys); k++) {
			bool same = strcmp(keys[k].key, absurd[i].key) == 0;

			build_u32(&b, keys[k].key, same ? absurd[i].v : keys[k].v);
			added |= same;
		}
		if (!added)
			build_u32(&b, absurd[i].key, absurd[i].v);
		build_tensor(&b, "token_embd.weight", 8, 64, 1000);
		build_tensor(&b, "blk.0.ffn_down.weight", 8, 128, 64);
		build_tensor(&b, "blk.1.ffn_down.weight", 8, 128, 64);
		build_end(&b);
		assert_int_equal(model_from_bytes(&m, b.bytes, b.n, &e), 0);
		e.text[0] = '\0';
		if (plan_make(&p, m, NULL, 0, &big_host, &w, &e) != -EBADMSG || !e.text[0])
			fail_msg("%s = %u was taken", absurd[i].key, absurd[i].v);
		model_close(m);
	}
}

static void test_wishes(void **state)
{
	struct model *m = small(4);
	struct place one = gpu("0000:01:00.0", 8 * GIB);
	struct wish w = bare();
	struct err e;
	struct plan p;

	(void)state;
	w.n_ctx = 0;
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.flags.n_ctx, 4096); /* the model's own, below the default */
	w.n_ctx = 1000;
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.flags.n_ctx, 1024); /* rounded as the engine does */
	w.n_ctx = 8192;
	p = decide(m, &one, 1, &w);
	assert_non_null(strstr(p.assumed[1], "beyond the 4096"));
	snprintf(w.type_k, sizeof(w.type_k), "q4_K");
	assert_int_equal(plan_make(&p, m, &one, 1, &big_host, &w, &e), -EINVAL);
	w = bare();
	w.n_seq_max = 1000;
	assert_int_equal(plan_make(&p, m, &one, 1, &big_host, &w, &e), -ERANGE);
	w = bare();
	w.n_ctx = UINT32_MAX - 1;
	assert_int_equal(plan_make(&p, m, &one, 1, &big_host, &w, &e), -ERANGE);
	model_close(m);
}

static void test_by_hand(void **state)
{
	struct model *m = small(8);
	struct place two[2] = { gpu("0000:01:00.0", 8 * GIB), gpu("0000:02:00.0", 9 * GIB) };
	struct wish w = bare();
	struct err e;
	struct plan p;

	(void)state;
	w.n_split = 2;
	w.split[0] = 2;
	w.split[1] = 7;
	p = decide(m, two, 2, &w);
	assert_int_equal(p.verdict, VERDICT_FITS);
	assert_string_equal(p.devices[0].pci, "0000:01:00.0"); /* in the order given, not by size */
	assert_int_equal(p.devices[0].layers, 2);
	assert_int_equal(p.devices[1].layers, 7);
	assert_string_equal(p.overrides[0], "--split 2,7");
	check_sums(&p);
	check_split(&p);
	w.split[1] = 4;
	p = decide(m, two, 2, &w);
	assert_int_equal(p.verdict, VERDICT_SPILLS);
	assert_int_equal(p.host.layers, 3);
	w.split[1] = 8;
	assert_int_equal(plan_make(&p, m, two, 2, &big_host, &w, &e), -EINVAL);
	w.n_split = 3;
	w.split[1] = 4;
	assert_int_equal(plan_make(&p, m, two, 2, &big_host, &w, &e), -EINVAL);
	w.n_split = 2;
	two[1].free_bytes = fact_unknown(WHY_ASLEEP);
	assert_int_equal(plan_make(&p, m, two, 2, &big_host, &w, &e), -ENODATA);
	two[1].free_bytes = fact_of(1 * MIB, SRC_USER);
	p = decide(m, two, 2, &w);
	assert_int_equal(p.verdict, VERDICT_NO);
	assert_non_null(strstr(p.decided_by, "0000:02:00.0"));
	model_close(m);
}

static void test_refused(void **state)
{
	struct model *m = small(4);
	struct place one = gpu("0000:01:00.0", 8 * GIB);
	struct wish w = bare();
	struct plan p;

	(void)state;
	snprintf(w.type_v, sizeof(w.type_v), "q8_0");
	w.flash_attn = CHOICE_OFF;
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.verdict, VERDICT_REFUSED);
	assert_int_equal(plan_exit(&p), EXIT_NO);
	assert_true(p.n_nearest > 0);
	assert_string_equal(p.nearest[0].change, "--flash-attn on");
	w.flash_attn = CHOICE_ON;
	p = decide(m, &one, 1, &w);
	assert_int_equal(p.verdict, VERDICT_FITS);
	model_close(m);
}

static void test_split_rule(void **state)
{
	static const struct {
		uint32_t n_layer, ngl, n;
		float split[4];
		uint32_t units[4];
	} known[] = {
		/* Measured placements of llama-3.2-1b (16 layers) on two to four devices. */
		{ 16, 99, 2, { 1, 1 }, { 9, 8 } },
		{ 16, 99, 2, { 3, 1 }, { 13, 4 } },
		{ 16, 99, 3, { 1, 1, 1 }, { 6, 6, 5 } },
		{ 16, 99, 4, { 1, 1, 1, 1 }, { 5, 4, 4, 4 } },
		{ 16, 8, 2, { 1, 1 }, { 4, 4 } },
		{ 16, 1, 1, { 1 }, { 1 } },
		{ 16, 0, 1, { 1 }, { 0 } },
	};
	uint32_t units[PLAN_DEVICES_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		split_units(known[i].n_layer, known[i].ngl, known[i].split, known[i].n, units);
		for (uint32_t k = 0; k < known[i].n; k++)
			assert_int_equal(units[k], known[i].units[k]);
	}
	/* Whole units handed back as the split give the same units, for any sizes up to the engine's bound. */
	for (uint32_t total = 1; total <= 513; total++) {
		for (uint32_t a = 1; a < total; a += 1 + total / 40) {
			float split[3] = { (float)a, (float)((total - a) / 2),
					   (float)(total - a - (total - a) / 2) };

			split_units(total - 1, total, split, 3, units);
			for (uint32_t k = 0; k < 3; k++)
				assert_true((float)units[k] == split[k]);
		}
	}
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* 0: no; then host only, n layers on GPUs, all of it. */
static uint32_t goodness(const struct plan *p)
{
	if (p->verdict == VERDICT_NO)
		return 0;
	return 1 + p->flags.n_gpu_layers;
}

/*
 * More free memory on any device never makes the answer worse, and every answer's sums hold. Small
 * models on small devices, so that every kind of answer occurs.
 */
static void test_more_is_never_worse(void **state)
{
	static const uint32_t layers[] = { 1, 23, 60 };
	uint32_t seed = 1, seen[VERDICT_REFUSED + 1] = { 0 }, several = 0;

	(void)state;
	for (uint32_t round = 0; round < 400; round++) {
		struct model *m = small(layers[round % COUNT(layers)]);
		struct wish w = bare();
		struct place places[3];
		uint32_t n = 1 + round % 3;
		struct plan less, more;

		w.n_ctx = 256 << next_random(&seed) % 9;
		/* 2 heads of 32 keys and values, in f16 */
		uint32_t cache = layers[round % COUNT(layers)] * w.n_ctx * 256;

		for (uint32_t i = 0; i < n; i++) {
			char pci[24];

			snprintf(pci, sizeof(pci), "0000:%02x:00.0", i + 1);
			/* cuda's own overhead, doubt and compute, and a part of the cache */
			places[i] = gpu(pci, 560 * MIB + (int64_t)(next_random(&seed) % cache));
		}
		less = decide(m, places, n, &w);
		check_sums(&less);
		check_split(&less);
		seen[less.verdict]++;
		several += less.n_devices > 1;
		uint32_t which = next_random(&seed) % n;

		places[which].free_bytes.v += next_random(&seed) % (64 * (uint32_t)MIB);
		more = decide(m, places, n, &w);
		if (goodness(&more) < goodness(&less))
			fail_msg("round %u: %u units on GPUs became %u with more memory", round,
				 less.flags.n_gpu_layers, more.flags.n_gpu_layers);
		model_close(m);
	}
	assert_true(seen[VERDICT_FITS] > 50 && seen[VERDICT_SPILLS] > 50 && several > 25);
}

static void test_one_device_first(void **state)
{
	struct model *m = small(8);
	struct place two[2] = { gpu("0000:01:00.0", 4 * GIB), gpu("0000:02:00.0", 6 * GIB) };
	struct wish w = bare();
	struct plan p;

	(void)state;
	p = decide(m, two, 2, &w);
	assert_int_equal(p.n_devices, 1); /* fewest devices, the one with the most free memory */
	assert_string_equal(p.devices[0].pci, "0000:02:00.0");
	model_close(m);
}

static void test_margin(void **state)
{
	struct model *m = small(4);
	struct place one = gpu("0000:01:00.0", 100 * GIB);
	struct wish w = bare();
	struct plan none, fixed, usual;

	(void)state;
	none = decide(m, &one, 1, &w);
	w.margin_bytes = fact_of(GIB, SRC_USER);
	fixed = decide(m, &one, 1, &w);
	w.margin_bytes = fact_unknown(WHY_NONE);
	usual = decide(m, &one, 1, &w);
	assert_int_equal(fixed.devices[0].buffers.overhead_bytes -
				 none.devices[0].buffers.overhead_bytes,
			 GIB);
	assert_int_equal(usual.devices[0].buffers.overhead_bytes -
				 none.devices[0].buffers.overhead_bytes,
			 100 * GIB / 100 * 2);
	one = gpu("0000:01:00.0", GIB);
	usual = decide(m, &one, 1, &w);
	assert_int_equal(usual.devices[0].buffers.overhead_bytes -
				 none.devices[0].buffers.overhead_bytes,
			 256 * MIB);
	model_close(m);
}

/* The wish as its options say it, for those that a nearest yes is made of. */
static struct wish from_options(const char *options)
{
	struct wish w = bare();
	char copy[256], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", options);
	for (char *o = strtok_r(copy, " ", &save); o; o = strtok_r(NULL, " ", &save)) {
		const char *v = strtok_r(NULL, " ", &save);

		assert_non_null(v);
		if (strcmp(o, "-c") == 0)
			w.n_ctx = (uint32_t)strtoul(v, NULL, 10);
		else if (strcmp(o, "--ubatch") == 0)
			w.n_ubatch = (uint32_t)strtoul(v, NULL, 10);
		else if (strcmp(o, "--cache-type-k") == 0)
			snprintf(w.type_k, sizeof(w.type_k), "%s", v);
		else if (strcmp(o, "--cache-type-v") == 0)
			snprintf(w.type_v, sizeof(w.type_v), "%s", v);
		else if (strcmp(o, "--accept") == 0)
			w.accept = strcmp(v, "spill") == 0 ? ACCEPT_SPILL : ACCEPT_CPU;
		else if (strcmp(o, "--margin") == 0)
			w.margin_bytes = fact_of(strtoll(v, NULL, 10), SRC_USER);
		else
			fail_msg("%s is not expected in '%s'", o, options);
	}
	return w;
}

/* Whatever is called nearest is a yes when it is asked; a shorter context is the longest that is one. */
static void test_nearest_yes(void **state)
{
	struct model *m = small(23);
	struct wish w = bare();
	struct place one = gpu("0000:01:00.0", 0);
	uint32_t by_ctx = 0, by_cache = 0, by_host = 0;

	(void)state;
	w.n_ctx = 65536;
	for (int64_t mib = 516; mib < 1400; mib += 8) {
		one.free_bytes = fact_of(mib * MIB, SRC_USER);
		struct plan p = decide(m, &one, 1, &w);

		if (p.verdict != VERDICT_FITS && !p.n_nearest)
			fail_msg("%d %s: %s", (int)mib, verdict_name(p.verdict), p.decided_by);
		for (uint32_t i = 0; i < p.n_nearest; i++) {
			struct wish then = from_options(p.nearest[i].options);
			struct plan q = decide(m, &one, 1, &then);

			assert_int_equal(plan_exit(&q), EXIT_YES);
			assert_int_equal(q.verdict, p.nearest[i].verdict);
			by_cache += then.type_k[0] != 0;
			by_host += then.accept != ACCEPT_GPU;
			if (then.n_ctx == w.n_ctx)
				continue;
			by_ctx++;
			then.n_ctx += 256;
			q = decide(m, &one, 1, &then);
			assert_int_not_equal(plan_exit(&q), EXIT_YES);
		}
	}
	assert_true(by_ctx > 3 && by_cache > 3 && by_host > 3);
	model_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),         cmocka_unit_test(test_no),
		cmocka_unit_test(test_unknown_memory),   cmocka_unit_test(test_unknown_family),
		cmocka_unit_test(test_contradictions),   cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_by_hand),          cmocka_unit_test(test_refused),
		cmocka_unit_test(test_split_rule),       cmocka_unit_test(test_more_is_never_worse),
		cmocka_unit_test(test_one_device_first), cmocka_unit_test(test_margin),
		cmocka_unit_test(test_nearest_yes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
