/* SPDX-License-Identifier: MIT */
/*
 * The bound for architectures without rules, tried on nine of them, and on those that have rules, read
 * by the generic ones alone: no measured buffer is larger than what they say, and what they say is not
 * absurd.
 */
#include <glob.h>
#include <inttypes.h>

#include "base/own.h"
#include "tests/unit/truth_rows.h"
#include "vram-planner/bound.h"
#include "vram-planner/cache.h"

#define ODD_BYTES 65536 /* small tensors that some architecture puts elsewhere than the others do */

/* Folders of headers, and of the rows measured on them. */
static const struct set {
	const char *headers, *truth;
} sets[] = {
	{ "headers", "truth" },
	{ "headers-own", "truth-own" },
	{ "strange-headers", "strange-truth" },
};

struct count {
	uint32_t rows, low, limited, devices, exact, n_ratios;
	double ratios[16384]; /* of all bytes on the first device */
};

static void check(struct count *n, const struct row *r, const char *where, int64_t found,
		  uint64_t bound)
{
	if (found <= (int64_t)bound)
		return;
	if (n->low++ < 200) {
		char *job = json_dumps(r->job, JSON_COMPACT);

		printf("%s %s %s: measured %" PRId64 ", bound %" PRIu64 " (%.2f) %s\n", r->model,
		       r->measured, where, found, bound, (double)bound / (double)found, job);
		free(job);
	}
}

static void judge_row(struct count *n, const struct row *r, const struct shape *s, size_t m,
		      struct placement *p)
{
	struct target targets[PLAN_DEVICES_MAX];
	char devices[PLAN_DEVICES_MAX][24];
	struct compute_bytes bytes;
	struct weights w;
	struct caches c;
	struct err e = { 0 };
	struct ask a;

	read_ask(&a, r->job, s);
	uint32_t n_devices = read_targets(r, m, targets, devices);
	own_free int8_t *forced = calloc(model_n_tensors(s->model), 1);

	assert_non_null(forced);
	assert_int_equal(overrides_resolve(forced, s, &a, &e), 0);
	assert_int_equal(placement_make(p, s, &a, targets, n_devices, forced, &e), 0);
	placement_weights(p, s, &w);
	caches_sum(p, s, &a, &c);
	if (compute_bound(s, &a, p, &bytes)) {
		assert_non_null(bytes.fault);
		n->limited++;
		return;
	}
	for (uint32_t i = 0; i < n_devices; i++) {
		n->exact += part_of(r, devices[i], "model") == (int64_t)w.device[i];
		n->devices++;
		check(n, r, devices[i], part_of(r, devices[i], "model"), w.device[i] + ODD_BYTES);
		check(n, r, devices[i], part_of(r, devices[i], "context"), c.device[i]);
		if (p->units[i])
			check(n, r, devices[i], part_of(r, devices[i], "compute"), bytes.device[i]);
	}
	check(n, r, "the host", part_of(r, "CPU", "context"), c.host);
	check(n, r, "the host's compute", host_compute(r), bytes.host);
	int64_t found = n_devices ? part_of(r, devices[0], "compute") : host_compute(r);

	if (found > 0 && n->n_ratios < COUNT(n->ratios))
		n->ratios[n->n_ratios++] = (double)(n_devices ? bytes.device[0] : bytes.host) /
					   (double)found;
	n->rows++;
}

static void judge_file(struct count *n, const struct shape *s, const struct set *set,
		       const char *name, size_t m)
{
	struct placement p = { 0 };
	char path[700], *line = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/%s/%s.%s.jsonl", models_dir(), set->truth, name,
		 measured[m].name);
	FILE *f = fopen(path, "r");

	while (f && getline(&line, &size, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		struct row r = { json_object_get(o, "job"), json_object_get(o, "buft"),
				 json_object_get(o, "log"), name, measured[m].name };

		if (json_object_size(r.buft) > 0)
			judge_row(n, &r, s, m, &p);
		json_decref(o);
	}
	placement_fini(&p);
	free(line);
	if (f)
		fclose(f);
}

/*
 * Whose graphs no generic rule foresees: one never uses flash attention, one keeps what no key tells,
 * one carries four streams from device to device.
 */
static bool strange(const char *arch)
{
	return strcmp(arch, "grok") == 0 || strcmp(arch, "deepseek4") == 0 ||
	       strcmp(arch, "gemma3n") == 0;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void test_set(const struct set *set)
{
	static struct count n;
	static struct shape s;
	char pattern[700];
	glob_t found;

	memset(&n, 0, sizeof(n));
	snprintf(pattern, sizeof(pattern), "%s/%s/*.gguf", models_dir(), set->headers);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *slash = strrchr(found.gl_pathv[i], '/');
		struct model *m = NULL;
		struct err e = { 0 };
		char name[128];

		snprintf(name, sizeof(name), "%.*s", (int)strlen(slash + 1) - 5, slash + 1);
		if (model_open(&m, found.gl_pathv[i], &e) || shape_read_bound(&s, m, &e))
			fail_msg("%s: %s", name, e.text);
		for (size_t k = 0; k < COUNT(measured) && !strange(s.arch); k++)
			judge_file(&n, &s, set, name, k);
		shape_fini(&s);
		model_close(m);
	}
	globfree(&found);
	qsort(n.ratios, n.n_ratios, sizeof(n.ratios[0]), ascending);
	printf("%u devices, %u with their very weights\n", n.devices, n.exact);
	printf("%u rows, %u with a limit not bounded: %u buffers above the bound; it is %.1f times what is "
	       "measured in the middle, %.1f at nine of ten, %.1f at most\n",
	       n.rows, n.limited, n.low, n.ratios[n.n_ratios / 2], n.ratios[n.n_ratios * 9 / 10],
	       n.ratios[n.n_ratios - 1]);
	assert_int_equal(n.low, 0);
	assert_true(n.rows >= 140);
	assert_true(n.exact >= n.devices / 10 * 9);
	assert_true(n.ratios[n.n_ratios / 2] < 4);
	assert_true(n.ratios[n.n_ratios * 9 / 10] < 8);
}

static void test_dev(void **state)
{
	(void)state;
	test_set(&sets[0]);
}

static void test_own(void **state)
{
	(void)state;
	test_set(&sets[1]);
}

/* Architectures outside the list: this is what the bound is for. */
static void test_strangers(void **state)
{
	(void)state;
	test_set(&sets[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_dev), cmocka_unit_test(test_own),
					    cmocka_unit_test(test_strangers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
