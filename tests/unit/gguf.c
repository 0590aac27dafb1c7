/* SPDX-License-Identifier: MIT */
/* The GGUF reader: sound headers, and every kind of broken one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/gguf_build.h"
#include "tests/unit/harness.h"
#include "vram-planner/model.h"

/* Read an exact copy, so that a sanitizer sees any step beyond its end. */
static int read_copy(const uint8_t *bytes, size_t n, struct err *e)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct model *m;

	memcpy(copy, bytes, n);
	*e = (struct err) { 0 };
	int rc = model_from_bytes(&m, copy, n, e);

	model_close(m);
	free(copy);
	return rc;
}

static void refused(const struct built *b, const char *says)
{
	struct err e;

	assert_int_equal(read_copy(b->bytes, b->n, &e), -EBADMSG);
	if (!strstr(e.text, says))
		fail_msg("'%s' does not say '%s'", e.text, says);
	assert_null(strchr(e.text, '\n'));
}

static void test_sound(void **state)
{
	struct built b;
	struct model *m;
	struct err e;
	uint64_t v;
	char hex[65];

	(void)state;
	build_llama(&b, 2);
	assert_int_equal(model_from_bytes(&m, b.bytes, b.n, &e), 0);
	assert_string_equal(model_arch(m), "llama");
	assert_string_equal(model_name(m), "small");
	assert_int_equal(model_header_bytes(m), b.n);
	assert_int_equal(model_expected_bytes(m), (b.n + 31) / 32 * 32 + b.offset);
	assert_int_equal(model_n_tensors(m), 21);
	assert_true(model_u64(m, "block_count", &v) && v == 2);
	assert_true(model_u64(m, "llama.block_count", &v) && v == 2);
	assert_false(model_u64(m, "no_such_key", &v));
	assert_true(model_u64_at(m, "block_count", 7, &v) && v == 2);
	assert_int_equal(model_find_tensor(m, "blk.1.ffn_down.weight")->layer, 1);
	assert_int_equal(model_find_tensor(m, "output.weight")->layer, -1);
	assert_int_equal(model_find_tensor(m, "output.weight")->bytes, 64 * 1000 / 32 * 34);
	assert_null(model_find_tensor(m, "output.weigh"));
	assert_null(model_find_tensor(m, "output.weights"));
	assert_null(model_tensor(m, 21));
	model_header_sha256(m, hex);
	assert_int_equal(strlen(hex), 64);
	model_close(m);
	model_close(NULL);
}

/* Cut at every byte: one sentence each time, never a success, never a crash. */
static void test_truncated(void **state)
{
	struct built b;
	struct err e;

	(void)state;
	build_llama(&b, 2);
	for (size_t n = 0; n < b.n; n++) {
		assert_int_equal(read_copy(b.bytes, n, &e), -EBADMSG);
		assert_true(e.text[0] != '\0');
		assert_null(strchr(e.text, '\n'));
	}
	assert_int_equal(read_copy(b.bytes, b.n, &e), 0);
}

/* Every byte turned to other values: any answer, but an answer. */
static void test_flipped(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct built b;
	struct err e;

	(void)state;
	build_llama(&b, 1);
	for (size_t i = 0; i < b.n; i++) {
		for (size_t k = 0; k < COUNT(flips); k++) {
			b.bytes[i] ^= flips[k];
			int rc = read_copy(b.bytes, b.n, &e);

			assert_true(rc == 0 || (rc == -EBADMSG && e.text[0]));
			b.bytes[i] ^= flips[k];
		}
	}
}

static void test_not_gguf(void **state)
{
	static const struct {
		const char *bytes, *says;
	} others[] = { { "PK\3\4....", "zip" },           { "version https://git-lfs", "Git LFS" },
		       { "<!DOCTYPE html>", "web page" }, { "\177ELF", "program" },
		       { "root:x:0", "726f6f74" },        { "ggml", "67676d6c" } };
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		assert_int_equal(
			read_copy((const uint8_t *)others[i].bytes, strlen(others[i].bytes), &e),
			-EBADMSG);
		assert_non_null(strstr(e.text, others[i].says));
	}
	assert_int_equal(read_copy((const uint8_t *)"", 0, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "empty"));
}

static void test_versions(void **state)
{
	struct built b;
	struct err e;

	(void)state;
	build_llama(&b, 1);
	b.bytes[4] = 2;
	assert_int_equal(read_copy(b.bytes, b.n, &e), 0);
	b.bytes[4] = 1;
	refused(&b, "version 1");
	b.bytes[4] = 4;
	refused(&b, "version 4");
	memcpy(b.bytes + 4, "\0\0\0\3", 4);
	refused(&b, "big-endian");
}

static void test_counts(void **state)
{
	static const uint64_t absurd[] = { 1000, UINT32_MAX, INT64_MAX, UINT64_MAX,
					   UINT64_MAX / 24 };
	struct built b;

	(void)state;
	for (size_t i = 0; i < COUNT(absurd); i++) {
		build_llama(&b, 1);
		memcpy(b.bytes + b.counts_at, &absurd[i], 8);
		refused(&b, "absurd count");
		build_llama(&b, 1);
		memcpy(b.bytes + b.counts_at + 8, &absurd[i], 8);
		refused(&b, "absurd count");
		build_begin(&b, 3);
		put_text(&b, "x");
		put_u32(&b, 9);
		put_u32(&b, 10); /* u64: eight bytes each, so that the product overflows */
		put_u64(&b, absurd[i]);
		b.n_kvs++;
		build_end(&b);
		put(&b, "0123456789abcdef", 16);
		refused(&b, "absurd count");
	}
}

static void test_values(void **state)
{
	struct built b;

	(void)state;
	build_begin(&b, 3);
	put_text(&b, "general.architecture");
	put_u32(&b, 8);
	put_u64(&b, UINT64_MAX - 3);
	b.n_kvs++;
	build_end(&b);
	refused(&b, "absurd size");

	build_begin(&b, 3);
	put_text(&b, "x");
	put_u32(&b, 13);
	put_u64(&b, 0);
	b.n_kvs++;
	build_end(&b);
	refused(&b, "unknown type 13");

	build_begin(&b, 3);
	put_text(&b, "x");
	put_u32(&b, 9);
	put_u32(&b, 9); /* arrays of arrays are not in the format as the engine reads it */
	put_u64(&b, 0);
	b.n_kvs++;
	build_end(&b);
	refused(&b, "unknown type 9");

	build_begin(&b, 3);
	build_text(&b, "", "v");
	build_end(&b);
	refused(&b, "empty key");

	build_begin(&b, 3);
	build_text(&b, "a\nb", "v");
	build_end(&b);
	refused(&b, "control characters");

	build_begin(&b, 3);
	build_u32(&b, "a", 1);
	build_u32(&b, "b", 1);
	build_u32(&b, "a", 1);
	build_end(&b);
	refused(&b, "'a' stands there twice");

	build_begin(&b, 3);
	build_u32(&b, "a", 1);
	build_end(&b);
	refused(&b, "no architecture");
}

static void test_alignment(void **state)
{
	static const uint32_t bad[] = { 0, 3, 33, UINT32_MAX, UINT32_C(1) << 31 };
	struct built b;
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		build_begin(&b, 3);
		build_text(&b, "general.architecture", "llama");
		build_u32(&b, "general.alignment", bad[i]);
		build_end(&b);
		refused(&b, "power of two");
	}
	build_begin(&b, 3);
	build_text(&b, "general.architecture", "llama");
	build_text(&b, "general.alignment", "64");
	build_end(&b);
	refused(&b, "32-bit number");
	build_begin(&b, 3);
	build_text(&b, "general.architecture", "llama");
	build_u32(&b, "general.alignment", 64);
	build_end(&b);
	assert_int_equal(read_copy(b.bytes, b.n, &e), 0);
}

/* One tensor with these numbers after a sound beginning. */
static void begin_tensor(struct built *b, const char *name, uint32_t n_dims, const uint64_t *ne,
			 uint32_t type, uint64_t offset)
{
	build_begin(b, 3);
	build_text(b, "general.architecture", "llama");
	put_text(b, name);
	put_u32(b, n_dims);
	for (uint32_t i = 0; i < n_dims && i < 8; i++)
		put_u64(b, ne[i]);
	put_u32(b, type);
	put_u64(b, offset);
	b->n_tensors++;
	build_end(b);
}

static void test_tensors(void **state)
{
	const uint64_t plain[8] = { 32, 1, 1, 1, 1, 1, 1, 1 }, odd[] = { 33 };
	const uint64_t huge[] = { UINT64_MAX, 1 },
		       product[] = { UINT64_C(1) << 40, UINT64_C(1) << 40 };
	const uint64_t bytes[] = { UINT64_C(1) << 31, UINT64_C(1) << 31 };
	const char *longest = "0123456789012345678901234567890123456789012345678901234567890123";
	struct built b;
	struct err e;

	(void)state;
	begin_tensor(&b, "x", 1, plain, 8, 0);
	assert_int_equal(read_copy(b.bytes, b.n, &e), 0);
	begin_tensor(&b, "x", 5, plain, 8, 0);
	refused(&b, "5 dimensions");
	begin_tensor(&b, "x", 1, plain, 4, 0); /* a type that was removed */
	refused(&b, "unknown type 4");
	begin_tensor(&b, "x", 1, plain, 4000000000u, 0);
	refused(&b, "unknown type 4000000000");
	begin_tensor(&b, "x", 1, odd, 8, 0);
	refused(&b, "q8_0 cannot hold");
	begin_tensor(&b, "x", 2, huge, 0, 0);
	refused(&b, "absurd dimension");
	begin_tensor(&b, "x", 2, product, 0, 0);
	refused(&b, "overflows");
	begin_tensor(&b, "x", 2, bytes, 0, 0);
	refused(&b, "absurd size");
	begin_tensor(&b, "x", 1, plain, 8, 32);
	refused(&b, "begins at 32; 0 was expected");
	begin_tensor(&b, longest, 1, plain, 8, 0);
	refused(&b, "at most 63");

	build_llama(&b, 1);
	build_tensor(&b, "output.weight", 0, 32, 1);
	build_end(&b);
	refused(&b, "two tensors are called 'output.weight'");
}

/* Sums over many tensors must not wrap either. */
static void test_sum_overflow(void **state)
{
	char name[16];
	struct built b;

	(void)state;
	build_begin(&b, 3);
	build_text(&b, "general.architecture", "llama");
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		build_tensor(&b, name, 0, UINT64_C(1) << 29, UINT64_C(1) << 28);
	}
	build_end(&b);
	refused(&b, "absurd size");
}

/* Names from the file reach the terminal: control characters must not. */
static void test_clean_names(void **state)
{
	struct built b;
	struct model *m;
	struct err e;

	(void)state;
	build_begin(&b, 3);
	build_text(&b, "general.architecture", "lla\033[31mma");
	build_text(&b, "general.name", "a\nb\377c");
	build_end(&b);
	assert_int_equal(model_from_bytes(&m, b.bytes, b.n, &e), 0);
	assert_null(strchr(model_arch(m), '\033'));
	assert_null(strchr(model_name(m), '\n'));
	model_close(m);
}

static void test_quants(void **state)
{
	static const struct {
		const char *name;
		uint64_t weights, bytes;
	} known[] = { { "f32", 256, 1024 },  { "f16", 256, 512 },   { "bf16", 256, 512 },
		      { "q4_0", 256, 144 },  { "q4_1", 256, 160 },  { "q5_0", 256, 176 },
		      { "q5_1", 256, 192 },  { "q8_0", 256, 272 },  { "q2_K", 256, 84 },
		      { "q3_K", 256, 110 },  { "q4_K", 256, 144 },  { "q5_K", 256, 176 },
		      { "q6_K", 256, 210 },  { "mxfp4", 256, 136 }, { "iq4_xs", 256, 136 },
		      { "iq4_nl", 256, 144 } };
	uint64_t bytes;
	uint32_t type;

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		assert_true(quant_from_name(known[i].name, &type));
		assert_string_equal(quant_name(type), known[i].name);
		assert_true(quant_bytes(type, known[i].weights, &bytes));
		assert_int_equal(bytes, known[i].bytes);
		assert_true(quant_bytes(type, 0, &bytes) && bytes == 0);
	}
	assert_true(quant_from_name("Q4_K", &type) && type == 12);
	assert_false(quant_from_name("q9_9", &type));
	assert_false(quant_bytes(12, 255, &bytes));
	assert_false(quant_bytes(4, 32, &bytes));
	assert_false(quant_bytes(UINT32_MAX, 32, &bytes));
	assert_false(quant_bytes(0, UINT64_MAX, &bytes)); /* four bytes each: overflows */
	assert_null(quant_name(5));
	assert_false(quant_is_blocked(1));
	assert_true(quant_is_blocked(8));
}

static int open_path(const char *path, struct err *e)
{
	struct model *m;

	*e = (struct err) { 0 };
	int rc = model_open(&m, path, e);

	model_close(m);
	return rc;
}

static void test_files(void **state)
{
	char dir[] = "/tmp/berth-gguf-XXXXXX", path[64];
	struct built b;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(open_path(dir, &e), -EISDIR);
	assert_non_null(strstr(e.text, "directory"));
	snprintf(path, sizeof(path), "%s/m.gguf", dir);
	assert_int_equal(open_path(path, &e), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_path(path, &e), -EBADMSG); /* and does not wait for a writer */
	unlink(path);

	build_llama(&b, 2);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fwrite(b.bytes, 1, b.n, f);
	fclose(f);
	assert_int_equal(open_path(path, &e), 0);
	/* A header that claims more than a sparse file's first pieces is read on, not refused. */
	assert_int_equal(truncate(path, 64 << 20), 0);
	assert_int_equal(open_path(path, &e), 0);
	unlink(path);
	rmdir(dir);
}

/* A header longer than the piece that is read first. */
static void test_long_header(void **state)
{
	char path[] = "/tmp/berth-gguf-XXXXXX";
	int fd = mkstemp(path);
	uint64_t n = 9000000;
	struct built b;
	struct model *m;
	struct err e;
	uint64_t v;

	(void)state;
	assert_true(fd >= 0);
	build_begin(&b, 3);
	build_text(&b, "general.architecture", "llama");
	put_text(&b, "a.long");
	put_u32(&b, 9);
	put_u32(&b, 0);
	put_u64(&b, n);
	b.n_kvs = 3;
	build_end(&b);
	assert_int_equal(pwrite(fd, b.bytes, b.n, 0), (ssize_t)b.n);
	off_t at = (off_t)(b.n + n);

	b.n = 0;
	put_text(&b, "llama.block_count");
	put_u32(&b, 4);
	put_u32(&b, 7);
	assert_int_equal(pwrite(fd, b.bytes, b.n, at), (ssize_t)b.n);
	assert_int_equal(model_open(&m, path, &e), 0);
	assert_true(model_u64(m, "block_count", &v) && v == 7);
	assert_int_equal(model_header_bytes(m), (uint64_t)at + b.n);
	model_close(m);
	assert_int_equal(ftruncate(fd, at + 4), 0);
	assert_int_equal(model_open(&m, path, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "truncated"));
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),       cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),     cmocka_unit_test(test_not_gguf),
		cmocka_unit_test(test_versions),    cmocka_unit_test(test_counts),
		cmocka_unit_test(test_values),      cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_tensors),     cmocka_unit_test(test_sum_overflow),
		cmocka_unit_test(test_clean_names), cmocka_unit_test(test_quants),
		cmocka_unit_test(test_files),       cmocka_unit_test(test_long_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
