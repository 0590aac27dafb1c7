/* SPDX-License-Identifier: MIT */
/* Where things go, by rule: units, overrides, what is tied, what a device cannot use, and refusals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "tests/unit/harness.h"
#include "vram-planner/cache.h"
#include "vram-planner/refusal.h"

#define MIB (UINT64_C(1) << 20)

static const char *models_dir(void)
{
	static char dir[512];
	const char *build = getenv("BUILD");

	snprintf(dir, sizeof(dir), "%s/tests/models", build ? build : "build");
	return dir;
}

/* One configuration of one model on the device. */
struct trial {
	struct model *m;
	struct shape s;
	struct ask a;
	struct target targets[4];
	uint32_t n_targets;
	int8_t *forced;
	struct placement p;
	struct weights w;
	struct caches c;
};

static struct trial *open_trial(const char *set, const char *name)
{
	struct trial *t = calloc(1, sizeof(*t));
	struct err e = { 0 };
	char path[700];

	assert_non_null(t);
	snprintf(path, sizeof(path), "%s/headers%s/%s.gguf", models_dir(), set, name);
	if (model_open(&t->m, path, &e) || shape_read(&t->s, t->m, &e))
		fail_msg("%s", e.text);
	ask_default(&t->a);
	t->a.n_ctx = 8192;
	t->a.n_outputs = 1;
	for (int i = 0; i < 4; i++) {
		t->targets[i].backend = backend_find("cuda");
		t->a.split[i] = 1;
	}
	t->n_targets = 1;
	t->forced = malloc(model_n_tensors(t->m));
	assert_non_null(t->forced);
	return t;
}

static void close_trial(struct trial *t)
{
	placement_fini(&t->p);
	shape_fini(&t->s);
	model_close(t->m);
	free(t->forced);
	free(t);
}

static void place(struct trial *t)
{
	struct err e = { 0 };

	assert_int_equal(ask_settle(&t->a, t->s.n_ctx_train, t->s.causal, &e), 0);
	assert_int_equal(overrides_resolve(t->forced, &t->s, &t->a, &e), 0);
	assert_int_equal(
		placement_make(&t->p, &t->s, &t->a, t->targets, t->n_targets, t->forced, &e), 0);
	placement_weights(&t->p, &t->s, &t->w);
	caches_sum(&t->p, &t->s, &t->a, &t->c);
}

static const char *refused(struct trial *t)
{
	place(t);
	return refusal_find(&t->s, &t->a, &t->p);
}

static void says(const char *why, const char *word)
{
	assert_non_null(why);
	if (!strstr(why, word))
		fail_msg("'%s' does not say '%s'", why, word);
}

static void override(struct trial *t, const char *pattern, int device)
{
	struct plan_tensors *o = &t->a.overrides[t->a.n_overrides++];

	snprintf(o->pattern, sizeof(o->pattern), "%s", pattern);
	o->device = device;
}

static uint64_t host_sum(const struct trial *t)
{
	uint64_t sum = 0;

	for (int k = 0; k < HOST_KINDS; k++)
		sum += t->w.host[k];
	return sum;
}

/* Every unit is somewhere, in runs that follow each other. */
static void test_units(void **state)
{
	struct trial *t = open_trial("", "llama-3.1-8b");

	(void)state;
	for (uint32_t ngl = 0; ngl <= 40; ngl++) {
		for (t->n_targets = 0; t->n_targets <= 4; t->n_targets++) {
			t->a.n_gpu_layers = ngl;
			place(t);
			uint32_t next = t->p.n_host;

			for (uint32_t i = 0; i < t->n_targets; i++) {
				assert_true(!t->p.units[i] || t->p.first[i] == next);
				next += t->p.units[i];
			}
			assert_int_equal(next, 33);
			if (t->n_targets)
				assert_int_equal(33 - t->p.n_host, ngl < 33 ? ngl : 33);
			for (uint32_t i = 0; i < t->p.n_host; i++)
				assert_int_equal(t->p.unit[i], HOME_HOST);
		}
		t->n_targets = 4;
	}
	close_trial(t);
}

/* One unit on the device is the matrix of logits; a layer more brings its cache. */
static void test_output_first(void **state)
{
	struct trial *t = open_trial("", "llama-3.1-8b");
	const struct tensor *output = shape_global(&t->s, GLOBAL_OUTPUT);

	(void)state;
	t->a.n_gpu_layers = 1;
	place(t);
	assert_int_equal(t->w.device[0], (output->bytes + 127) / 128 * 128 +
						 shape_global(&t->s, GLOBAL_OUTPUT_NORM)->bytes);
	assert_int_equal(t->c.device[0], 0);
	t->a.n_gpu_layers = 2;
	place(t);
	assert_int_equal(t->p.unit[31], 0);
	assert_int_equal(t->c.device[0], 2 * 8192 * 1024 * 2);
	t->a.cache_on_host = true;
	place(t);
	assert_int_equal(t->c.device[0], 0);
	assert_int_equal(t->c.host, 32 * UINT64_C(2) * 8192 * 1024 * 2);
	close_trial(t);
}

/* A layer of each device has its own copy of the rope factors; nobody else has. */
static void test_every(void **state)
{
	struct trial *t = open_trial("", "llama-3.1-8b");
	const struct tensor *freqs = shape_global(&t->s, GLOBAL_ROPE_FREQS);
	uint64_t one, two;

	(void)state;
	assert_non_null(freqs);
	place(t);
	one = t->w.device[0] + host_sum(t);
	t->n_targets = 2;
	place(t);
	two = t->w.device[0] + t->w.device[1] + host_sum(t);
	assert_int_equal(two - one, (freqs->bytes + 127) / 128 * 128);
	assert_int_equal(tensor_home(&t->p, &t->s, freqs, 0), 0);
	assert_int_equal(tensor_home(&t->p, &t->s, freqs, 31), 1);
	close_trial(t);
}

/* A tied output is one more token_embd on the device, and none where the input has it already. */
static void test_tied(void **state)
{
	struct trial *t = open_trial("", "llama-3.2-1b");
	const struct tensor *embd = shape_global(&t->s, GLOBAL_TOKEN_EMBD);

	(void)state;
	assert_true(t->s.tied);
	place(t);
	assert_true(t->p.copied);
	assert_int_equal(t->p.output, 0);
	assert_int_equal(t->p.home[shape_index(&t->s, embd)], HOME_HOST);
	t->n_targets = 0;
	place(t);
	assert_false(t->p.copied);
	assert_int_equal(t->p.output, HOME_HOST);
	/* With a device at hand but unused: the logits go by its pinned memory, the rows do not. */
	t->n_targets = 1;
	t->a.n_gpu_layers = 0;
	place(t);
	assert_true(t->p.copied);
	assert_int_equal(t->w.host[HOST_PLAIN], embd->bytes);
	assert_true(t->w.host[HOST_PINNED] > embd->bytes);
	/* In a mapped file both are the same bytes. */
	t->a.mmap = true;
	place(t);
	assert_false(t->p.copied);
	assert_int_equal(t->w.host[HOST_PINNED], 0);
	t->a.mmap = false;
	/* Repacked for the processor it is a copy, too. */
	t->n_targets = 0;
	t->a.extra_buffers = true;
	place(t);
	assert_true(t->p.copied);
	assert_int_equal(t->p.output, HOME_EXTRA);
	assert_int_equal(t->p.output_kind, HOST_AMX);
	close_trial(t);
}

static void test_overrides(void **state)
{
	struct trial *t = open_trial("", "qwen3-30b-a3b");
	uint64_t before = UINT64_MAX;

	(void)state;
	t->n_targets = 2;
	for (uint32_t n = 0; n <= 49; n += 7) { /* more experts on the host, less on the devices */
		t->a.n_cpu_moe = n;
		place(t);
		assert_true(t->w.device[0] + t->w.device[1] <= before);
		assert_int_equal(t->p.overridden, n > 0);
		before = t->w.device[0] + t->w.device[1];
	}
	t->a.n_cpu_moe = 2;
	override(t, "blk\\.(?:0|1)\\.ffn_down_exps", 1); /* the first match counts */
	override(t, "blk\\.\\d+\\.ffn_down_exps", -1);
	place(t);
	for (uint32_t i = 0; i < 48; i++) {
		const struct tensor *down = shape_weight(&t->s, i, SLOT_FFN_DOWN_EXPS),
				    *up = shape_weight(&t->s, i, SLOT_FFN_UP_EXPS);

		assert_int_equal(tensor_home(&t->p, &t->s, down, i), i < 2 ? 1 : HOME_HOST);
		assert_int_equal(t->p.fate[shape_index(&t->s, down)], FATE_FORCED);
		assert_int_equal(tensor_home(&t->p, &t->s, up, i), i < 2 ? HOME_HOST : i >= 25);
	}
	close_trial(t);
}

static void test_bad_override(void **state)
{
	struct trial *t = open_trial("", "qwen3-0.6b");
	struct err e = { 0 };

	(void)state;
	override(t, "blk\\.(1", -1);
	assert_int_equal(overrides_resolve(t->forced, &t->s, &t->a, &e), -EINVAL);
	says(e.text, "'blk\\.(1' is no regular expression");
	close_trial(t);
}

/* Prediction layers are loaded when they are asked for, and have no cache all the same. */
static void test_nextn(void **state)
{
	struct trial *t = open_trial("", "glm-4.5-air");
	uint64_t weights, caches;

	(void)state;
	place(t);
	weights = t->w.device[0];
	caches = t->c.device[0];
	assert_int_equal(t->s.n_nextn, 1);
	t->a.mtp = true;
	place(t);
	assert_true(t->w.device[0] > weights + 1024 * MIB);
	assert_int_equal(t->c.device[0], caches);
	close_trial(t);
}

/* What is larger than a device's range, or would be with 512 rows, is left on the host. */
static void test_range(void **state)
{
	struct trial *t = open_trial("", "llama-3.1-8b");
	const struct tensor *output = shape_global(&t->s, GLOBAL_OUTPUT);

	(void)state;
	t->targets[0].backend = backend_find("vulkan");
	place(t);
	assert_int_equal(t->p.fate[shape_index(&t->s, output)], FATE_DEVICE);
	t->targets[0].max_buffer_bytes = 128 * MIB; /* 128256 logits of 512 rows are more */
	place(t);
	assert_int_equal(t->p.fate[shape_index(&t->s, output)], FATE_MOVED);
	assert_int_equal(t->p.output, HOME_HOST);
	close_trial(t);
}

/* --- refusals --- */

static void set_types(struct trial *t, const char *k, const char *v)
{
	assert_true(quant_from_name(k, &t->a.type_k));
	assert_true(quant_from_name(v, &t->a.type_v));
}

static void test_flash(void **state)
{
	struct trial *t = open_trial("", "llama-3.1-8b");

	(void)state;
	set_types(t, "q8_0", "q8_0");
	assert_null(refused(t));
	t->a.flash_attn = false;
	says(refused(t), "flash attention");
	set_types(t, "q8_0", "f16");
	assert_null(refused(t));
	close_trial(t);

	t = open_trial("-own", "grok-1"); /* has none, whatever is asked */
	set_types(t, "f16", "q8_0");
	says(refused(t), "grok");
	set_types(t, "q8_0", "f16");
	assert_null(refused(t));
	close_trial(t);
}

static void test_inner(void **state)
{
	struct trial *t = open_trial("-own", "granite-4.0-h-1b");

	(void)state;
	assert_null(refused(t));
	t->s.ssm_inner += 64;
	says(refused(t), "twice as wide");
	close_trial(t);

	t = open_trial("", "falcon-h1-7b"); /* as wide as it likes */
	t->s.ssm_inner += 64;
	assert_null(refused(t));
	close_trial(t);
}

static void test_types(void **state)
{
	const char *const compressed[] = { "deepseek-r1", "deepseek-v3.2", "deepseek-v4-flash" };

	(void)state;
	for (size_t i = 0; i < COUNT(compressed); i++) {
		struct trial *t = open_trial("", compressed[i]);

		set_types(t, "q8_0", "f16");
		says(refused(t), "one type");
		set_types(t, "q8_0", "q8_0");
		assert_null(refused(t));
		close_trial(t);
	}
	struct trial *t = open_trial("", "llama-3.1-8b");

	set_types(t, "q8_0", "f16");
	assert_null(refused(t));
	set_types(t, "f16", "q8_0");
	t->s.layers[7].head_v = 80;
	says(refused(t), "head size");
	close_trial(t);
}

static void test_large_cache(void **state)
{
	struct trial *t = open_trial("", "llama-3.2-1b");

	(void)state;
	t->a.n_ctx = 131072; /* 512 halves a cell: 128 MiB exactly */
	t->targets[0].max_buffer_bytes = 128 * MIB;
	assert_null(refused(t));
	t->targets[0].max_buffer_bytes = 128 * MIB - 1;
	says(refused(t), "larger than a buffer");
	t->a.cache_on_host = true;
	assert_null(refused(t));
	t->a.cache_on_host = false;
	t->targets[0].max_buffer_bytes = 0;
	assert_null(refused(t));
	close_trial(t);
}

static void test_aborts(void **state)
{
	struct trial *t = open_trial("", "deepseek-v2-lite");

	(void)state;
	t->a.extra_buffers = true;
	assert_null(refused(t));
	t->a.n_gpu_layers = 0; /* pinned memory comes before AMX */
	assert_null(refused(t));
	t->n_targets = 0;
	says(refused(t), "AMX");
	close_trial(t);

	t = open_trial("-own", "kimi-linear-48b-a3b");
	t->a.n_outputs = 4;
	t->a.n_seq = 5;
	says(refused(t), "every sequence needs an output");
	t->a.n_seq = 3;
	says(refused(t), "does not divide");
	t->a.n_seq = 4;
	assert_null(refused(t));
	t->a.n_seq = 3;
	t->a.unified = true;
	assert_null(refused(t));
	close_trial(t);

	t = open_trial("-own", "embeddinggemma-300m");
	t->a.embeddings = true;
	says(refused(t), "mean pooling");
	t->a.n_outputs = t->a.n_ubatch;
	assert_null(refused(t));
	close_trial(t);
}

/* The tables of the engine hold so many nodes and leaves, and not one more. */
static void test_tables(void **state)
{
	struct trial *t = open_trial("", "phi-4-14b");

	(void)state;
	place(t); /* 243 tensors: a budget of 1944 nodes, in a table of 2053 */
	assert_int_equal(model_n_tensors(t->m), 243);
	assert_null(refusal_of_graph(&t->s, &t->a, &t->p, 1800, 253));
	assert_non_null(refusal_of_graph(&t->s, &t->a, &t->p, 1800, 254));
	close_trial(t);

	t = open_trial("", "qwen3-next-80b"); /* 32 for each of its 951 tensors, not 8 */
	place(t);
	assert_null(refusal_of_graph(&t->s, &t->a, &t->p, 30000, 2771));
	assert_non_null(refusal_of_graph(&t->s, &t->a, &t->p, 30000, 2772));
	close_trial(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units),       cmocka_unit_test(test_output_first),
		cmocka_unit_test(test_every),       cmocka_unit_test(test_tied),
		cmocka_unit_test(test_overrides),   cmocka_unit_test(test_bad_override),
		cmocka_unit_test(test_nextn),       cmocka_unit_test(test_range),
		cmocka_unit_test(test_flash),       cmocka_unit_test(test_types),
		cmocka_unit_test(test_large_cache), cmocka_unit_test(test_aborts),
		cmocka_unit_test(test_tables),      cmocka_unit_test(test_inner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
