/* SPDX-License-Identifier: MIT */
/* Facts, fields and JSON: what is written is read back, and unknown stays unknown. */
#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "base/own.h"
#include "tests/unit/harness.h"

struct thing {
	struct fact vram;
	struct fact power;
	struct fact_text name;
	char path[16];
	uint32_t id;
	uint64_t big;
	bool on;
};

static const struct field rows[] = {
	FIELD_KEY(struct thing, vram, "vram_bytes", FIELD_FACT, UNIT_BYTES, "VRAM"),
	FIELD_KEY(struct thing, power, "power_mw", FIELD_FACT, UNIT_MW, "power"),
	FIELD(struct thing, name, FIELD_FACT_TEXT, UNIT_NONE, "name"),
	FIELD(struct thing, path, FIELD_TEXT, UNIT_NONE, "path"),
	FIELD(struct thing, id, FIELD_U32, UNIT_HEX, "id"),
	FIELD(struct thing, big, FIELD_U64, UNIT_BYTES, "big"),
	FIELD(struct thing, on, FIELD_BOOL, UNIT_NONE, "on"),
};

static json_t *sample_json(struct thing *t)
{
	json_t *o = json_answer("berth.test/1");

	*t = (struct thing) {
		.vram = fact_of(0, SRC_DRM),
		.power = fact_unknown(WHY_ASLEEP),
		.name = fact_text_of("Navi \033[31m", SRC_PCI),
		.id = 0x744c,
		.big = UINT64_MAX,
		.on = true,
	};
	fields_to_json(o, rows, COUNT(rows), t);
	return o;
}

static void zero_is_not_unknown(void **state)
{
	struct thing t;
	json_t *o = sample_json(&t);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(o, "vram_bytes")), 0);
	assert_true(json_is_integer(json_object_get(o, "vram_bytes")));
	assert_string_equal(json_string_value(json_object_get(o, "vram_bytes_src")), "drm");
	assert_true(json_is_null(json_object_get(o, "power_mw")));
	assert_string_equal(json_string_value(json_object_get(o, "power_mw_why")), "asleep");
	assert_null(json_object_get(o, "power_mw_src"));
	assert_true(json_is_null(json_object_get(o, "path")));
	assert_string_equal(json_string_value(json_object_get(o, "id")), "0x744c");
	assert_int_equal(json_integer_value(json_object_get(o, "big")), INT64_MAX);
	assert_string_equal(json_string_value(json_object_get(o, "name")), "Navi ?[31m");
	json_decref(o);
}

static void facts_survive_a_round_trip(void **state)
{
	struct thing t, back = { 0 };
	json_t *o = sample_json(&t);

	(void)state;
	fields_from_json(o, rows, COUNT(rows), &back);
	assert_true(fact_known(&back.vram));
	assert_int_equal(back.vram.src, SRC_DRM);
	assert_false(fact_known(&back.power));
	assert_int_equal(back.power.why, WHY_ASLEEP);
	assert_string_equal(back.name.v, t.name.v);
	json_decref(o);
}

static void ill_typed_facts_are_garbled(void **state)
{
	const char *const bad[] = {
		"{\"x\":1}",
		"{\"x\":\"1\",\"x_src\":\"drm\"}",
		"{\"x\":1,\"x_src\":\"martian\"}",
		"{}",
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		json_t *o = json_parse(bad[i], strlen(bad[i]), "test", &e);
		struct fact f = json_get_fact(o, "x");

		assert_false(fact_known(&f));
		assert_int_equal(f.why, WHY_GARBLED);
		json_decref(o);
	}
}

static void words_for_people(void **state)
{
	struct thing t;
	char buf[64];
	struct text text;

	(void)state;
	json_decref(sample_json(&t));
	t.vram = fact_of(INT64_C(17179869184), SRC_SYSFS);
	text_init(&text, buf, sizeof(buf));
	field_text(&text, &rows[0], &t);
	assert_string_equal(buf, "16.0 GiB");
	text_init(&text, buf, sizeof(buf));
	field_text(&text, &rows[1], &t);
	assert_string_equal(buf, "unknown (asleep)");
	t.power = fact_of(72500, SRC_HWMON);
	text_init(&text, buf, sizeof(buf));
	field_text(&text, &rows[1], &t);
	assert_string_equal(buf, "72.5 W");
}

static void every_name_reads_back(void **state)
{
	(void)state;
	for (int i = 1; i < SRC_COUNT; i++)
		assert_int_equal(src_from_name(src_name((enum src)i)), i);
	for (int i = 0; i < WHY_COUNT; i++)
		assert_int_equal(why_from_name(why_name((enum why)i)), i);
}

static void bad_json_is_one_sentence(void **state)
{
	static const struct {
		const char *bytes;
		const char *says;
	} cases[] = {
		{ "[1]", "x holds no JSON object" },
		{ "{\"a\":1,\"a\":2}", "x is not sound JSON: line 1" },
		{ "{\"a\":", "x is not sound JSON: line 1" },
		{ "", "x is not sound JSON: line 1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = { 0 };

		assert_null(json_parse(cases[i].bytes, strlen(cases[i].bytes), "x", &e));
		assert_int_equal(e.rc, -EBADMSG);
		assert_memory_equal(e.text, cases[i].says, strlen(cases[i].says));
	}
}

static void deep_json_is_refused(void **state)
{
	static char deep[200001];
	struct err e = { 0 };

	(void)state;
	memset(deep, '[', 100000);
	memset(deep + 100000, ']', 100000);
	assert_null(json_parse(deep, 200000, "deep", &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_is_not_unknown),
		cmocka_unit_test(facts_survive_a_round_trip),
		cmocka_unit_test(ill_typed_facts_are_garbled),
		cmocka_unit_test(words_for_people),
		cmocka_unit_test(every_name_reads_back),
		cmocka_unit_test(bad_json_is_one_sentence),
		cmocka_unit_test(deep_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
