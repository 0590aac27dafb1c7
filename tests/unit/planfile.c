/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/planfile.h"
#include "tests/unit/harness.h"

static struct plan sample(void)
{
	struct plan p = {
		.model_path = "/models/x.gguf",
		.model_size_bytes = 123456789,
		.model_name = "x",
		.arch = "llama",
		.n_layer = 8,
		.engine = "llama.cpp v0.5.0",
		.verdict = VERDICT_SPILLS,
		.accept = ACCEPT_SPILL,
		.flags = { .n_ctx = 4096,
			   .n_batch = 2048,
			   .n_ubatch = 512,
			   .n_seq_max = 1,
			   .n_gpu_layers = 6,
			   .type_k = "f16",
			   .type_v = "f16",
			   .flash_attn = true,
			   .n_cpu_moe = 3,
			   .no_kv_offload = true },
		.n_tensors = 2,
		.tensors = { { "ffn_up", 1 }, { "attn", -1 } },
		.n_devices = 2,
		.unverified = true,
		.decided_by = "because",
	};

	strcpy(p.devices[0].pci, "0000:c1:00.0");
	p.devices[0].layers = 4;
	p.devices[0].buffers = (struct plan_buffers) { 1, 2, 3, 4 };
	p.devices[0].free_bytes = fact_of(100, SRC_NVML);
	p.devices[0].left_bytes = 90;
	strcpy(p.devices[1].engine_name, "Vulkan1");
	p.devices[1].layers = 2;
	p.devices[1].free_bytes = fact_unknown(WHY_ASLEEP);
	p.host.layers = 3;
	p.host.free_bytes = fact_of(50, SRC_PROC);
	p.host.left_bytes = -10;
	plan_assume(&p, "the card's memory is %s", "all free");
	plan_override(&p, "--split 4,2");
	return p;
}

static void round_trip(void **state)
{
	struct plan p = sample(), q;
	struct err e = { 0 };
	json_t *a = plan_to_json(&p), *b;

	(void)state;
	assert_int_equal(plan_from_json(&q, a, &e), 0);
	b = plan_to_json(&q);
	assert_true(json_equal(a, b));
	assert_int_equal(q.host.left_bytes, -10);
	assert_false(fact_known(&q.devices[1].free_bytes));
	assert_int_equal(q.flags.n_cpu_moe, 3);
	assert_true(q.flags.no_kv_offload);
	assert_int_equal(q.tensors[0].device, 1);
	assert_int_equal(q.tensors[1].device, -1);
	assert_string_equal(q.tensors[1].pattern, "attn");
	/* Plans of before have neither. */
	json_object_del(a, "tensors");
	json_object_del(json_object_get(a, "flags"), "n_cpu_moe");
	assert_int_equal(plan_from_json(&q, a, &e), 0);
	assert_int_equal(q.flags.n_cpu_moe + q.n_tensors, 0);
	json_decref(a);
	json_decref(b);
}

static void tensors_are_checked(void **state)
{
	static const char *const wrong[] = {
		"3",
		"[3]",
		"[{}]",
		"[{\"pattern\":\"\",\"device\":null}]",
		"[{\"pattern\":\"x\",\"device\":2}]",
		"[{\"pattern\":\"x\",\"device\":-1}]",
	};
	struct plan p = sample(), q;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct err e = { 0 };
		json_t *o = plan_to_json(&p);

		json_object_set_new(o, "tensors", json_loads(wrong[i], JSON_DECODE_ANY, NULL));
		assert_int_equal(plan_from_json(&q, o, &e), -EBADMSG);
		assert_non_null(strstr(e.text, "tensors"));
		json_decref(o);
	}
}

static struct plan with_draft(void)
{
	struct plan p = sample();

	p.flags.n_outputs_max = 5;
	p.draft = (struct plan_draft) { .path = "/models/small.gguf",
					.size_bytes = 77,
					.name = "small",
					.n_layer = 2,
					.n_max = 4,
					.device = 1,
					.flags = p.flags,
					.buffers = { 5, 6, 7, 0 },
					.host_bytes = 8 };
	return p;
}

static void draft_round_trip(void **state)
{
	struct plan p = with_draft(), q;
	struct err e = { 0 };
	json_t *a = plan_to_json(&p), *b;
	char with[65], without[65];

	(void)state;
	assert_int_equal(plan_from_json(&q, a, &e), 0);
	b = plan_to_json(&q);
	assert_true(json_equal(a, b));
	assert_string_equal(q.draft.path, "/models/small.gguf");
	assert_int_equal(q.draft.device, 1);
	assert_int_equal(q.draft.buffers.kv_bytes, 6);
	assert_int_equal(q.draft.host_bytes, 8);
	plan_id(&p, with);
	p.draft.n_max = 0;
	plan_id(&p, without);
	assert_string_not_equal(with, without);
	json_object_del(a, "draft");
	assert_int_equal(plan_from_json(&q, a, &e), 0);
	assert_int_equal(q.draft.n_max, 0);
	json_decref(a);
	json_decref(b);
}

/* Guesses that the model has no outputs for would end its process. */
static void drafts_are_checked(void **state)
{
	static const struct {
		const char *key, *value;
	} wrong[] = {
		{ "n_max", "0" },       { "n_max", "5" },      { "n_max", "65" },
		{ "n_max", "-1" },      { "n_layer", "5000" }, { "device", "2" },
		{ "device", "\"x\"" },  { "flags", "null" },   { "buffers", "{}" },
		{ "size_bytes", "-1" }, { "path", "3" },
	};
	struct plan p = with_draft(), q;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct err e = { 0 };
		json_t *o = plan_to_json(&p);

		json_object_set_new(json_object_get(o, "draft"), wrong[i].key,
				    json_loads(wrong[i].value, JSON_DECODE_ANY, NULL));
		assert_int_equal(plan_from_json(&q, o, &e), -EBADMSG);
		json_decref(o);
	}
}

static void file_round_trip(void **state)
{
	struct plan p = sample(), q;
	char path[] = "/tmp/berth-plan-XXXXXX";
	struct err e = { 0 };

	(void)state;
	close(mkstemp(path));
	assert_int_equal(plan_write(&p, path, &e), 0);
	assert_int_equal(plan_read(&q, path, &e), 0);
	assert_string_equal(q.assumed[0], "the card's memory is all free");
	assert_string_equal(q.overrides[0], "--split 4,2");
	unlink(path);
	assert_int_equal(plan_read(&q, path, &e), -ENOENT);
	assert_int_equal(plan_write(&p, "/nowhere/at/all", &e), -ENOENT);
}

static void writes_into_a_device(void **state)
{
	struct plan p = sample();
	struct stat st;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(plan_write(&p, "/dev/null", &e), 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(plan_write(&p, "/dev/full", &e), -EIO);
}

/* A plan is shown before it is carried out: it must not talk to the terminal. */
static void texts_are_cleaned(void **state)
{
	static const char evil[] = "a\033]0;b\007";
	struct plan p = sample(), q;
	struct err e = { 0 };
	json_t *o = plan_to_json(&p);

	(void)state;
	json_object_set_new(o, "decided_by", json_string(evil));
	json_object_set_new(json_array_get(json_object_get(o, "devices"), 0), "pci",
			    json_string("0000:C1:00.0"));
	json_array_append_new(json_object_get(o, "assumed"), json_string(evil));
	json_object_set_new(json_object_get(o, "model"), "name", json_string(evil));
	json_object_set_new(json_object_get(o, "model"), "path", json_string("/a\tb"));
	assert_int_equal(plan_from_json(&q, o, &e), 0);
	assert_string_equal(q.decided_by, "a?]0;b?");
	assert_string_equal(q.devices[0].pci, "0000:c1:00.0");
	assert_string_equal(q.assumed[1], "a?]0;b?");
	assert_string_equal(q.model_name, "a?]0;b?");
	assert_string_equal(q.model_path, "/a\tb");
	json_decref(o);
}

/* Change one key by path and expect a sentence that names it. */
static void refused(const char *object, const char *key, json_t *value, const char *says)
{
	struct plan p = sample(), q;
	struct err e = { 0 };
	json_t *o = plan_to_json(&p);
	json_t *in = *object ? json_object_get(o, object) : o;

	json_object_set_new(in, key, value);
	assert_int_equal(plan_from_json(&q, o, &e), -EBADMSG);
	if (!strstr(e.text, says))
		fail_msg("'%s' lacks '%s'", e.text, says);
	json_decref(o);
}

static void bad_plans_name_the_key(void **state)
{
	(void)state;
	refused("", "schema", json_string("berth.plan/9"), "berth.plan/1");
	refused("", "verdict", json_string("maybe"), "verdict");
	refused("", "devices", json_integer(1), "devices");
	refused("model", "size_bytes", json_integer(-1), "model.size_bytes");
	refused("model", "n_layer", json_string("8"), "model.n_layer");
	refused("model", "n_layer", json_integer(100000), "n_layer");
	refused("flags", "n_ctx", json_integer(INT64_MAX), "flags.n_ctx");
	refused("flags", "type_k", json_string("a type with a very long name"), "flags.type_k");
	refused("flags", "n_gpu_layers", json_integer(5), "do not add up");
	refused("host", "layers", json_integer(4), "do not add up");
	refused("host", "buffers", json_null(), "host.buffers");
}

static void too_many_devices(void **state)
{
	struct plan p = sample(), q;
	struct err e = { 0 };
	json_t *o = plan_to_json(&p), *all = json_object_get(o, "devices");

	(void)state;
	while (json_array_size(all) <= PLAN_DEVICES_MAX)
		json_array_append(all, json_array_get(all, 0));
	assert_int_equal(plan_from_json(&q, o, &e), -EBADMSG);
	json_decref(o);
}

static void exit_by_verdict_and_accept(void **state)
{
	static const struct {
		enum verdict v;
		enum accept a;
		uint32_t gpu_layers;
		enum exit_code code;
	} rows[] = {
		{ VERDICT_FITS, ACCEPT_GPU, 9, EXIT_YES },
		{ VERDICT_FITS, ACCEPT_CPU, 9, EXIT_YES },
		{ VERDICT_SPILLS, ACCEPT_GPU, 6, EXIT_NO },
		{ VERDICT_SPILLS, ACCEPT_SPILL, 6, EXIT_YES },
		{ VERDICT_SPILLS, ACCEPT_SPILL, 0, EXIT_NO },
		{ VERDICT_SPILLS, ACCEPT_CPU, 0, EXIT_YES },
		{ VERDICT_NO, ACCEPT_CPU, 0, EXIT_NO },
		{ VERDICT_REFUSED, ACCEPT_CPU, 0, EXIT_NO },
		{ VERDICT_UNKNOWN, ACCEPT_CPU, 0, EXIT_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct plan p = { .verdict = rows[i].v, .accept = rows[i].a, .n_devices = 1 };

		p.flags.n_gpu_layers = rows[i].gpu_layers;
		assert_int_equal(plan_exit(&p), rows[i].code);
	}
}

static void id_ignores_what_was_free(void **state)
{
	struct plan p = sample();
	char a[65], b[65];

	(void)state;
	plan_id(&p, a);
	p.devices[0].free_bytes.v = 12345;
	p.devices[0].left_bytes = 7;
	p.host.left_bytes = 8;
	plan_id(&p, b);
	assert_string_equal(a, b);
	p.devices[0].layers = 5;
	plan_id(&p, b);
	assert_string_not_equal(a, b);
}

static void sums_saturate(void **state)
{
	struct plan_buffers b = { UINT64_MAX, 1, 2, 3 };

	(void)state;
	assert_true(plan_buffers_sum(&b) == UINT64_MAX);
}

static void assumptions_never_overflow(void **state)
{
	struct plan p = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++) {
		plan_assume(&p, "assumption %d", i);
		plan_override(&p, "--x");
	}
	assert_int_equal(p.n_assumed, PLAN_ASSUMED_MAX);
	assert_string_equal(p.assumed[PLAN_ASSUMED_MAX - 1], "more");
	assert_int_equal(p.n_overrides, PLAN_ASSUMED_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(draft_round_trip),
		cmocka_unit_test(drafts_are_checked),
		cmocka_unit_test(tensors_are_checked),
		cmocka_unit_test(file_round_trip),
		cmocka_unit_test(writes_into_a_device),
		cmocka_unit_test(texts_are_cleaned),
		cmocka_unit_test(bad_plans_name_the_key),
		cmocka_unit_test(too_many_devices),
		cmocka_unit_test(exit_by_verdict_and_accept),
		cmocka_unit_test(id_ignores_what_was_free),
		cmocka_unit_test(sums_saturate),
		cmocka_unit_test(assumptions_never_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
