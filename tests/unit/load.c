/* SPDX-License-Identifier: MIT */
/* Models in several files: any shard opens all, and what is wrong with one is said with its name. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/unit/gguf_build.h"
#include "tests/unit/harness.h"
#include "vram-planner/model.h"
#include "vram-planner/split.h"

static char folder[] = "/tmp/berth-load-XXXXXX";

static void write_file(const char *name, const struct built *b, size_t n)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	own_file FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(b->bytes, 1, n, f), n);
}

/* Shard `no` (from 0) of `count` with one tensor; the first has the metadata. */
static struct built shard(uint32_t no, uint32_t count, uint32_t n_tensors)
{
	char name[64];
	struct built b;

	build_begin(&b, 3);
	if (no == 0) {
		build_text(&b, "general.architecture", "llama");
		build_text(&b, "general.name", "in parts");
		build_u32(&b, "llama.block_count", 7);
	}
	build_u32(&b, "split.no", no);
	build_u32(&b, "split.count", count);
	build_u32(&b, "split.tensors.count", n_tensors);
	snprintf(name, sizeof(name), "blk.%u.attn_q.weight", no);
	build_tensor(&b, name, 8, 64, 64);
	build_end(&b);
	return b;
}

static void write_shards(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct built b = shard(i, count, count);
		char name[64];

		snprintf(name, sizeof(name), "m-%05u-of-%05u.gguf", i + 1, count);
		write_file(name, &b, b.n);
	}
}

static int open_in_folder(struct model **m, const char *name, struct err *e)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return model_open(m, path, e);
}

static void any_shard_opens_all(void **state)
{
	char hash[2][65], name[64];
	uint64_t layers;

	(void)state;
	write_shards(3);
	for (uint32_t i = 0; i < 3; i++) {
		struct err e = { 0 };
		struct model *m;

		snprintf(name, sizeof(name), "m-%05u-of-00003.gguf", i + 1);
		assert_int_equal(open_in_folder(&m, name, &e), 0);
		assert_string_equal(model_name(m), "in parts");
		assert_non_null(strstr(model_path(m), "m-00001-of-00003.gguf"));
		assert_int_equal(model_n_shards(m), 3);
		assert_int_equal(model_n_tensors(m), 3);
		assert_true(model_u64(m, "block_count", &layers));
		for (uint32_t k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "blk.%u.attn_q.weight", k);
			assert_non_null(model_find_tensor(m, name));
			assert_int_equal(model_find_tensor(m, name)->shard, k);
		}
		assert_null(model_find_tensor(m, "blk.3.attn_q.weight"));
		/* Three tensors of 64 x 64 in q8_0, none of which is in the files. */
		assert_int_equal(model_expected_bytes(m) - model_size_bytes(m) < 3 * (4352 + 32) &&
					 model_expected_bytes(m) - model_size_bytes(m) >= 3 * 4352,
				 1);
		model_header_sha256(m, hash[i > 0]);
		assert_string_equal(hash[0], hash[i > 0]);
		model_close(m);
	}
}

static void what_is_wrong_with_a_shard_is_said(void **state)
{
	static const struct {
		const char *file;
		uint32_t no, count, total;
		size_t cut; /* bytes kept; 0: all, SIZE_MAX: no file */
		const char *says;
	} cases[] = {
		{ "m-00002-of-00003.gguf", 1, 3, 3, SIZE_MAX,
		  "shard 2 of 3 is missing: m-00002-of-00003.gguf" },
		{ "m-00002-of-00003.gguf", 1, 3, 3, 150,
		  "shard 2 of 3, m-00002-of-00003.gguf: trunc" },
		{ "m-00003-of-00003.gguf", 1, 3, 3, 0,
		  "shard 3 of 3, m-00003-of-00003.gguf: it is "
		  "shard 2 of 3 by its keys" },
		{ "m-00002-of-00003.gguf", 0, 1, 3, 0, "it is shard 1 of 1 by its keys" },
		{ "m-00001-of-00003.gguf", 0, 3, 9, 0,
		  "hold 3 tensors together; their keys promise 9" },
		{ "m-00001-of-00003.gguf", 0, 4, 3, 0,
		  "its name makes it shard 1 of 3, its keys shard "
		  "1 of 4" },
		{ "m-00003-of-00003.gguf", 0, 3, 3, 0, "shard 1 of 3 by its keys" },
		{ "m-00001-of-00003.gguf", 5, 3, 3, 0, "its keys make it shard 5" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct built b = shard(cases[i].no, cases[i].count, cases[i].total);
		struct err e = { 0 };
		struct model *m;
		char path[256];

		write_shards(3);
		snprintf(path, sizeof(path), "%s/%s", folder, cases[i].file);
		if (cases[i].cut == SIZE_MAX)
			assert_int_equal(unlink(path), 0);
		else
			write_file(cases[i].file, &b, cases[i].cut ? cases[i].cut : b.n);
		assert_int_equal(open_in_folder(&m, "m-00001-of-00003.gguf", &e), -EBADMSG);
		assert_null(m);
		if (!strstr(e.text, cases[i].says))
			fail_msg("case %zu: '%s' lacks '%s'", i, e.text, cases[i].says);
	}
}

/* Renamed, a shard has no siblings; twice the same tensor is no model. */
static void names_and_tensors_must_agree(void **state)
{
	struct built b = shard(0, 3, 3);
	struct err e = { 0 };
	struct model *m;

	(void)state;
	write_file("renamed.gguf", &b, b.n);
	assert_int_equal(open_in_folder(&m, "renamed.gguf", &e), -EBADMSG);
	assert_non_null(strstr(e.text, "does not end in -00001-of-00003.gguf"));
	b = shard(0, 2, 2);
	write_file("d-00001-of-00002.gguf", &b, b.n);
	build_begin(&b, 3);
	build_u32(&b, "split.no", 1);
	build_u32(&b, "split.count", 2);
	build_tensor(&b, "blk.0.attn_q.weight", 8, 64, 64);
	build_end(&b);
	write_file("d-00002-of-00002.gguf", &b, b.n);
	assert_int_equal(open_in_folder(&m, "d-00001-of-00002.gguf", &e), -EBADMSG);
	assert_non_null(strstr(e.text, "two tensors are called 'blk.0.attn_q.weight'"));
}

static void shard_names_are_read_and_made(void **state)
{
	char to[64];
	uint32_t no, count;

	(void)state;
	assert_true(split_parse("a/x-00002-of-00005.gguf", &no, &count));
	assert_int_equal(no, 2);
	assert_int_equal(count, 5);
	assert_true(split_parse("https://h/x-00001-of-00005.gguf?download=true", &no, &count));
	assert_true(split_name("https://h/x-00001-of-00005.gguf?a=-00001-of-00005.gguf", 3, to,
			       sizeof(to)));
	assert_string_equal(to, "https://h/x-00003-of-00005.gguf?a=-00001-of-00005.gguf");
	assert_false(split_parse("-00002-of-00005.gguf", &no, &count));
	assert_false(split_parse("x-00006-of-00005.gguf", &no, &count));
	assert_false(split_parse("x-00000-of-00005.gguf", &no, &count));
	assert_false(split_parse("x-0002-of-00005.gguf", &no, &count));
	assert_false(split_parse("x-00002-of-00005.bin", &no, &count));
	assert_false(split_name("x-00002-of-00005.gguf", 3, to, 21));
	assert_true(split_name("x-00002-of-00005.gguf", 3, to, 22));
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_shard_opens_all),
		cmocka_unit_test(what_is_wrong_with_a_shard_is_said),
		cmocka_unit_test(names_and_tensors_must_agree),
		cmocka_unit_test(shard_names_are_read_and_made),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
