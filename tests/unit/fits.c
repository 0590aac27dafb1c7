/* SPDX-License-Identifier: MIT */
/* The planner's answer as the monitor takes it in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "tui/fits.h"

static void an_answer(void **state)
{
	static const char text[] =
		"{\"schema\":\"berth.compare/1\",\"models\":["
		"{\"name\":\"x/tiny.gguf\",\"store\":\"berth\",\"error\":null,\"plan\":{\"verdict\":\"fits\","
		"\"decided_by\":\"\",\"model\":{\"size_bytes\":123},\"speed\":{\"generation_tokens_s\":"
		"{\"low\":10.5,\"high\":20}}}},"
		"{\"name\":\"bad\\u001b[2J\",\"store\":\"ollama\",\"error\":\"not a GGUF\",\"plan\":null},"
		"{\"plan\":{\"verdict\":17,\"model\":{\"size_bytes\":-1},\"speed\":{\"generation_tokens_s\":null}}},"
		"7]}";
	struct fits *f = calloc(1, sizeof(*f));
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fits_read(f, text, strlen(text), &e), 0);
	assert_int_equal(f->n, 4);
	assert_string_equal(f->rows[0].name, "x/tiny.gguf");
	assert_string_equal(f->rows[0].verdict, "fits");
	assert_int_equal(f->rows[0].size_bytes, 123);
	assert_float_equal(f->rows[0].low, 10.5, 0.001);
	assert_float_equal(f->rows[0].high, 20, 0.001);
	assert_null(strchr(f->rows[1].name, '\033'));
	assert_string_equal(f->rows[1].decided_by, "not a GGUF");
	assert_true(f->rows[1].size_bytes == UINT64_MAX);
	assert_string_equal(f->rows[2].verdict, "");
	assert_true(f->rows[2].size_bytes == UINT64_MAX);
	assert_true(f->rows[2].low < 0);
	free(f);
}

static void no_answer(void **state)
{
	struct fits *f = calloc(1, sizeof(*f));

	(void)state;
	for (const char *const *bad =
		     (const char *const[]) { "", "x", "[]", "{}", "{\"models\":{}}", NULL };
	     *bad; bad++) {
		struct err e = { 0 };

		assert_int_equal(fits_read(f, *bad, strlen(*bad), &e), -EBADMSG);
		assert_true(e.text[0]);
	}
	free(f);
}

/* More than can be shown is counted, not shown. */
static void many(void **state)
{
	struct fits *f = calloc(1, sizeof(*f));
	char *text = calloc(1, 40 * 300), *at = text;

	(void)state;
	at += sprintf(at, "{\"models\":[");
	for (int i = 0; i < 300; i++)
		at += sprintf(at, "%s{\"name\":\"m%d\"}", i ? "," : "", i);
	sprintf(at, "]}");
	assert_int_equal(fits_read(f, text, strlen(text), NULL), 0);
	assert_int_equal(f->n, FITS_MAX);
	assert_int_equal(f->n_left_out, 300 - FITS_MAX);
	free(text);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
