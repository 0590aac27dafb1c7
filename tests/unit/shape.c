/* SPDX-License-Identifier: MIT */
/* The shape of models: every architecture has one, and headers that contradict themselves are named. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "tests/unit/harness.h"
#include "vram-planner/cache.h"
#include "vram-planner/shape.h"

static const char *models_dir(void)
{
	static char dir[512];
	const char *build = getenv("BUILD");

	snprintf(dir, sizeof(dir), "%s/tests/models", build ? build : "build");
	return dir;
}

/* A header that can be changed in place: one of the measured ones, in memory. */
struct header {
	uint8_t *bytes;
	size_t n;
};

static void header_read(struct header *h, const char *set, const char *name)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/headers%s/%s.gguf", models_dir(), set, name);
	own_file FILE *f = fopen(path, "r");

	if (!f)
		fail_msg("no header %s", path);
	h->bytes = malloc(8 << 20);
	assert_non_null(h->bytes);
	h->n = fread(h->bytes, 1, 8 << 20, f);
}

/* Where a key's value is: behind its name and its type. */
static uint8_t *value_of(const struct header *h, const char *key)
{
	uint8_t *at = memmem(h->bytes, h->n, key, strlen(key));

	assert_non_null(at);
	return at + strlen(key) + 4;
}

static void set_u32(struct header *h, const char *key, uint32_t v)
{
	memcpy(value_of(h, key), &v, sizeof(v));
}

/* The shape, and what is said of it. */
static int read_header(const struct header *h, struct shape *s, struct model **m, struct err *e)
{
	*e = (struct err) { 0 };
	assert_int_equal(model_from_bytes(m, h->bytes, h->n, e), 0);
	return shape_read(s, *m, e);
}

static void contradicts(const char *name, const char *key, uint32_t v, const char *says)
{
	static struct shape s;
	struct header h;
	struct model *m;
	struct err e;

	header_read(&h, "", name);
	set_u32(&h, key, v);
	assert_int_equal(read_header(&h, &s, &m, &e), -EBADMSG);
	if (!strstr(e.text, says))
		fail_msg("'%s' does not say '%s'", e.text, says);
	assert_null(strchr(e.text, '\n'));
	model_close(m);
	free(h.bytes);
}

/* A tensor under a name that none of its kind has is lacking where it belongs. */
static void lacks(const char *name, const char *tensor, const char *other, const char *says)
{
	static struct shape s;
	struct header h;
	struct model *m;
	struct err e;

	assert_int_equal(strlen(tensor), strlen(other));
	header_read(&h, "", name);
	memcpy(value_of(&h, tensor) - strlen(tensor) - 4, other, strlen(other));
	assert_int_equal(read_header(&h, &s, &m, &e), -EBADMSG);
	if (!strstr(e.text, says))
		fail_msg("'%s' does not say '%s'", e.text, says);
	model_close(m);
	free(h.bytes);
}

static void test_lacking(void **state)
{
	(void)state;
	lacks("llama-3.1-8b", "blk.5.ffn_norm.", "blk.5.ssm_norm.",
	      "layer 5 lacks the tensor ffn_norm that layer 4 has");
	lacks("llama-3.1-8b", "blk.0.attn_norm.", "blk.0.post_norm.",
	      "layer 0 lacks the tensor attn_norm that layer 1 has");
	lacks("qwen3-30b-a3b", "blk.47.ffn_gate_inp.", "blk.47.ffn_up_shexp.",
	      "layer 47 has experts and lacks the tensor ffn_gate_inp");
	lacks("gemma-3-4b", "output_norm.weight", "token_types.weight", "output_norm.weight");
}

/* A layer that reads another's cache may have no norm of keys, though its kind has one elsewhere. */
static void test_not_lacking(void **state)
{
	static struct shape s;
	struct header h;
	struct model *m;
	struct err e;

	(void)state;
	header_read(&h, "-forms", "gemma-4-e4b");
	for (int il = 24; il < 42; il++) {
		char name[48];

		snprintf(name, sizeof(name), "blk.%d.attn_k_norm.", il);
		memcpy(value_of(&h, name) - strlen("attn_k_norm.") - 4, "ssm_dt_norm", 11);
	}
	if (read_header(&h, &s, &m, &e))
		fail_msg("%s", e.text);
	assert_int_not_equal(s.layers[24].cache, 24);
	assert_int_equal(s.layers[23].cache, 23);
	shape_fini(&s);
	model_close(m);
	free(h.bytes);
}

static void test_contradictions(void **state)
{
	(void)state;
	contradicts("llama-3.1-8b", "llama.block_count", 33, "layer 32 of 33 has no tensors");
	contradicts("llama-3.1-8b", "llama.block_count", 31, "belongs to layer 31 of 31");
	contradicts("llama-3.1-8b", "llama.block_count", 0, "block_count is 0");
	contradicts("llama-3.1-8b", "llama.block_count", 4000000000, "block_count");
	contradicts("llama-3.1-8b", "llama.embedding_length", 4097, "token_embd.weight");
	contradicts("llama-3.1-8b", "llama.embedding_length", 0, "embedding_length");
	contradicts("llama-3.1-8b", "llama.attention.head_count_kv", 16,
		    "'blk.0.attn_k.weight' is 4096 by 1024 where the keys say 4096 by 2048");
	contradicts("llama-3.1-8b", "llama.attention.head_count", 0, "no attention heads");
	contradicts("llama-3.1-8b", "llama.attention.key_length", 70000, "at most 65536");
	contradicts("llama-3.1-8b", "llama.feed_forward_length", 14337, "ffn_down");
	contradicts("qwen3-30b-a3b", "qwen3moe.expert_count", 64, "holds 128 experts");
	contradicts("qwen3-30b-a3b", "qwen3moe.expert_used_count", 0, "uses none");
	contradicts("qwen3-30b-a3b", "qwen3moe.expert_used_count", 129, "at most 128");
	contradicts("glm-4.5-air", "glm4moe.nextn_predict_layers", 47, "of 47 layers");
	contradicts("mamba-2.8b", "mamba.ssm.inner_size", 0, "states");
	contradicts("mamba-2.8b", "mamba.ssm.state_size", 70000, "at most 65536");
	contradicts("rwkv7-2.9b", "rwkv7.wkv.head_size", 0, "states");
	contradicts("deepseek-r1", "deepseek2.attention.key_length_mla", 0, "only one of");
	contradicts("deepseek-v3.2", "deepseek32.attention.indexer.key_length", 0, "indexer");
	contradicts("deepseek-v4-flash", "deepseek4.hyper_connection.count", 0, "hyper_connection");
	contradicts("gemma-4-31b", "gemma4.attention.shared_kv_layers", 10,
		    "layer 53 would share the cache of layer 49");
	contradicts("command-r7b", "cohere2.attention.sliding_window", 0,
		    "sliding_window is absurd");
	contradicts("qwen3-next-80b", "qwen3next.full_attention_interval", 0,
		    "full_attention_interval is 0");
}

/* An architecture without rules is named; the bound of it says that nobody verified it. */
static void test_unknown(void **state)
{
	static struct shape s;
	struct header h;
	struct model *m;
	struct err e;

	(void)state;
	header_read(&h, "", "llama-3.1-8b");
	for (uint8_t *at = h.bytes;
	     (at = memmem(at, h.n - (size_t)(at - h.bytes), "llama", 5)) != NULL; at += 5)
		memcpy(at, "lamma", 5);
	assert_int_equal(read_header(&h, &s, &m, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "'lamma'"));
	assert_int_equal(shape_read_bound(&s, m, &e), 0);
	assert_true(s.unverified);
	assert_int_equal(s.n_run, 32);
	assert_int_equal(s.layers[31].cache, 31);
	shape_fini(&s);
	model_close(m);
	free(h.bytes);
}

/* A tensor that no architecture has. */
static void test_stranger(void **state)
{
	static struct shape s;
	struct header h;
	struct model *m;
	struct err e;

	(void)state;
	header_read(&h, "", "llama-3.1-8b");
	uint8_t *at = memmem(h.bytes, h.n, "blk.3.ffn_gate", 14);

	assert_non_null(at);
	memcpy(at, "blk.3.ffn_late", 14);
	assert_int_equal(read_header(&h, &s, &m, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "'blk.3.ffn_late.weight'"));
	model_close(m);
	free(h.bytes);
}

static void test_slots(void **state)
{
	(void)state;
	for (int i = 0; i < SLOTS; i++) {
		char name[80];
		struct tensor t = { .name = name, .layer = 17 };
		enum slot slot;
		enum part part;

		if (i)
			assert_true(strcmp(slot_name((enum slot)(i - 1)), slot_name((enum slot)i)) <
				    0);
		t.name_len = (uint32_t)snprintf(name, sizeof(name), "blk.17.%s.bias",
						slot_name((enum slot)i));
		assert_true(slot_find(&t, &slot, &part));
		assert_int_equal(slot, i);
		assert_int_equal(part, PART_BIAS);
		t.name_len -= 5; /* without an ending it is the weight */
		assert_true(slot_find(&t, &slot, &part));
		assert_int_equal(part, PART_WEIGHT);
	}
	for (int i = 0; i < GLOBALS; i++) {
		char name[80];
		struct tensor t = { .name = name, .layer = -1 };
		enum global global;
		enum part part;

		t.name_len = (uint32_t)snprintf(name, sizeof(name), "%s.weight",
						global_name((enum global)i));
		assert_true(global_find(&t, &global, &part));
		assert_int_equal(global, i);
		assert_int_equal(part, PART_WEIGHT);
	}
}

static uint64_t all_caches(const struct shape *s, const struct ask *a)
{
	struct cache_tensor t[CACHE_TENSORS_MAX];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->n_layer; i++) {
		uint32_t n = cache_tensors(s, a, i, t);

		while (n-- > 0)
			sum += t[n].bytes;
	}
	return sum;
}

static void settle(struct ask *a, const struct shape *s, uint32_t n_ctx, uint32_t n_seq,
		   bool unified)
{
	struct err e;

	ask_default(a);
	a->n_ctx = n_ctx;
	a->n_seq = n_seq;
	a->unified = unified;
	assert_int_equal(ask_settle(a, s->n_ctx_train, s->causal, &e), 0);
}

/* More context never costs less, the bound is none below, and a layer reads a cache that is there. */
static void check_caches(const struct shape *s, const struct shape *bound)
{
	uint64_t before = 0;
	struct ask a;

	for (uint32_t n_ctx = 256; n_ctx <= 262144; n_ctx *= 2) {
		settle(&a, s, n_ctx, 1, false);
		uint64_t sum = all_caches(s, &a);

		assert_true(sum >= before);
		/* DeepSeek V4's partial keys are its engine's own idea: no key says them. */
		assert_true(all_caches(bound, &a) >= sum || s->memory == MEMORY_DSV4);
		before = sum;
	}
	for (uint32_t n_seq = 1; n_seq <= 8; n_seq++) {
		settle(&a, s, 32768, n_seq, n_seq % 2);
		assert_true(all_caches(bound, &a) >= all_caches(s, &a) ||
			    s->memory == MEMORY_DSV4); /* it shares nothing, whatever is asked */
	}
	for (uint32_t i = 0; i < s->n_layer; i++) {
		int32_t owner = s->layers[i].cache;

		assert_true(owner >= -1 && owner <= (int32_t)i);
		assert_true(owner < 0 || s->layers[owner].cache == owner);
		assert_true(layer_attends(&s->layers[i]) || owner < 0);
	}
}

static void check_model(const char *path, bool *seen)
{
	static struct shape s, bound;
	struct model *m = NULL;
	struct err e = { 0 };

	if (model_open(&m, path, &e) || shape_read(&s, m, &e) || shape_read_bound(&bound, m, &e))
		fail_msg("%s: %s", path, e.text);
	for (uint32_t i = 0; shape_arch_at(i); i++)
		seen[i] |= strcmp(shape_arch_at(i), s.arch) == 0;
	check_caches(&s, &bound);
	assert_false(s.unverified);
	for (uint32_t i = 0; i < model_n_tensors(m); i++) {
		const struct tensor *t = model_tensor(m, i);
		enum slot slot;
		enum part part;

		assert_int_equal(shape_index(&s, t), i);
		if (t->layer >= 0 && slot_find(t, &slot, &part))
			assert_ptr_equal(shape_part(&s, (uint32_t)t->layer, slot, part), t);
	}
	assert_null(shape_weight(&s, s.n_layer, SLOT_ATTN_NORM));
	shape_fini(&s);
	shape_fini(&bound);
	model_close(m);
}

/* Every architecture of the table has a header here, measured or of our own making. */
static void test_all(void **state)
{
	bool seen[64] = { false };
	const char *const sets[] = { "", "-own" };
	uint32_t n = 0;

	(void)state;
	for (size_t k = 0; k < COUNT(sets); k++) {
		char pattern[700];
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%s/headers%s/*.gguf", models_dir(), sets[k]);
		assert_int_equal(glob(pattern, 0, NULL, &found), 0);
		for (size_t i = 0; i < found.gl_pathc; i++)
			check_model(found.gl_pathv[i], seen);
		globfree(&found);
	}
	for (; shape_arch_at(n); n++) {
		if (!seen[n])
			fail_msg("no header of %s", shape_arch_at(n));
	}
	assert_int_equal(n, 46);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),          cmocka_unit_test(test_all),
		cmocka_unit_test(test_contradictions), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_stranger),       cmocka_unit_test(test_lacking),
		cmocka_unit_test(test_not_lacking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
