/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/harness.h"

static void said(int quiet, int verbose, char out[512])
{
	struct log l;
	FILE *err = tmpfile();
	int saved = dup(STDERR_FILENO);

	dup2(fileno(err), STDERR_FILENO);
	log_init(&l, "berth test", quiet, verbose);
	log_note(&l, "note %d", 1);
	log_warn(&l, "warn");
	log_detail(&l, "detail");
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(err);
	out[fread(out, 1, 511, err)] = '\0';
	fclose(err);
}

static void levels(void **state)
{
	char out[512];

	(void)state;
	said(0, 0, out);
	assert_string_equal(out, "berth test: note 1\nberth test: warning: warn\n");
	said(1, 0, out);
	assert_string_equal(out, "berth test: warning: warn\n");
	said(0, 1, out);
	assert_string_equal(out,
			    "berth test: note 1\nberth test: warning: warn\nberth test: detail\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(levels) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
