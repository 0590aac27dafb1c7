/* SPDX-License-Identifier: MIT */
/*
 * Weights, caches, compute buffers and refusals against what the engine measured: tests/models/truth
 * holds, for each model and backend, one configuration a line with the bytes of each buffer, or that the
 * engine refused it; truth-own and truth-forms the same of headers of our own making. Every buffer must
 * agree to the byte, every graph must have as many nodes and splits as the engine's, and every refusal
 * be foreseen, without false ones.
 */
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/own.h"
#include "tests/unit/harness.h"
#include "tests/unit/truth_rows.h"
#include "vram-planner/cache.h"
#include "vram-planner/compute.h"
#include "vram-planner/refusal.h"

/* Names of the host's buffers in the truth, by kind. */
static const struct {
	const char *name;
	enum host_kind kind;
} host_buffers[] = {
	{ "CPU", HOST_PLAIN }, { "SIM_Host", HOST_PINNED },   { "Vulkan_Host", HOST_PINNED },
	{ "AMX", HOST_AMX },   { "CPU_REPACK", HOST_REPACK },
};

struct count {
	uint32_t rows, compared, wrong, refused, missed, false_refusals;
	struct compute *compute; /* of the model at hand */
};

static bool equal(struct count *n, const struct row *r, const char *buffer, const char *part,
		  int64_t found, uint64_t planned)
{
	if (found == (int64_t)planned)
		return true;
	if (n->wrong++ < 400) {
		char *job = json_dumps(r->job, JSON_COMPACT);

		printf("%s %s %s %s: measured %" PRId64 ", planned %" PRIu64 " (%+" PRId64 ") %s\n",
		       r->model, r->measured, buffer, part, found, planned,
		       (int64_t)planned - found, job);
		free(job);
	}
	return false;
}

static bool agrees(struct count *n, const struct row *r, const char *buffer, const char *part,
		   uint64_t planned)
{
	return equal(n, r, buffer, part, part_of(r, buffer, part), planned);
}

/* A kind of host buffer has one name on each backend; the truth lists it only where it was made. */
static bool host_agrees(struct count *n, const struct row *r, const struct weights *w)
{
	bool fine = true;
	uint64_t planned = 0, found = 0;

	for (size_t i = 0; i < COUNT(host_buffers); i++) {
		const char *name = host_buffers[i].name;

		if (!json_object_get(r->buft, name))
			continue;
		found += w->host[host_buffers[i].kind];
		fine &= agrees(n, r, name, "model", w->host[host_buffers[i].kind]);
	}
	for (int k = 0; k < HOST_KINDS; k++)
		planned += w->host[k];
	if (found != planned) /* something is planned in a buffer that was not made */
		fine = agrees(n, r, "the host", "model", planned - found);
	return fine;
}

/* A number of the line "graph: nodes = N, splits = M" (of the prompt's graph when there are two). */
static int64_t logged(const struct row *r, const char *what)
{
	const json_t *line;
	size_t i;

	json_array_foreach(r->log, i, line)
	{
		const char *s = json_string_value(line), *graph = strstr(s, "graph");
		const char *at = graph ? strstr(graph, what) : NULL;

		if (at)
			return strtoll(at + strlen(what), NULL, 10);
	}
	return -1;
}

static bool graph_agrees(struct count *n, const struct row *r, const struct placement *p,
			 const struct compute_bytes *c, char devices[][24])
{
	bool fine = true;

	for (uint32_t i = 0; i < p->n_devices; i++)
		fine &= agrees(n, r, devices[i], "compute", c->device[i]);
	fine &= equal(n, r, "the host", "compute", host_compute(r), c->host);
	fine &= equal(n, r, "the graph", "nodes", logged(r, "nodes = "), c->n_nodes);
	return fine & equal(n, r, "the graph", "splits", logged(r, "splits = "), c->n_splits);
}

static bool compare_row(struct count *n, const struct row *r, const struct shape *s,
			const struct ask *a, const struct placement *p, char devices[][24])
{
	struct weights w;
	struct caches c;
	bool fine = true;

	placement_weights(p, s, &w);
	caches_sum(p, s, a, &c);
	for (uint32_t i = 0; i < p->n_devices; i++) {
		fine &= agrees(n, r, devices[i], "model", w.device[i]);
		fine &= agrees(n, r, devices[i], "context", c.device[i]);
	}
	fine &= agrees(n, r, "CPU", "context", c.host);
	return fine & host_agrees(n, r, &w);
}

/* Layers that were left out change nothing. */
static void whole_agrees(struct compute *c, const struct ask *a, const struct placement *p,
			 const struct compute_bytes *bytes)
{
	struct compute_bytes whole;

	assert_int_equal(compute_bytes_whole(c, a, p, engine_default(), &whole), 0);
	assert_memory_equal(whole.device, bytes->device, sizeof(whole.device));
	assert_true(whole.host == bytes->host);
	assert_int_equal(whole.n_nodes, bytes->n_nodes);
	assert_int_equal(whole.n_leaves, bytes->n_leaves);
	assert_int_equal(whole.n_splits, bytes->n_splits);
}

/* What the planner says of a row: the reason of a refusal, or NULL; then *bytes is set. */
static const char *refusal_of(struct compute *c, const struct shape *s, const struct ask *a,
			      const struct placement *p, struct compute_bytes *bytes)
{
	const char *why = refusal_find(s, a, p);

	if (why)
		return why;
	if (compute_bytes(c, a, p, engine_default(), bytes))
		return bytes->fault;
	if (bytes->n_built < s->n_run)
		whole_agrees(c, a, p, bytes);
	return refusal_of_graph(s, a, p, bytes->n_nodes, bytes->n_leaves);
}

static void judge_row(struct count *n, const struct row *r, const struct shape *s,
		      const char *refused, size_t m, struct placement *p)
{
	struct target targets[PLAN_DEVICES_MAX];
	char devices[PLAN_DEVICES_MAX][24];
	struct compute_bytes bytes;
	struct err e = { 0 };
	struct ask a;

	read_ask(&a, r->job, s);
	uint32_t n_devices = read_targets(r, m, targets, devices);

	own_free int8_t *forced = calloc(model_n_tensors(s->model), 1);

	assert_non_null(forced);
	assert_int_equal(overrides_resolve(forced, s, &a, &e), 0);
	assert_int_equal(placement_make(p, s, &a, targets, n_devices, forced, &e), 0);
	const char *why = refusal_of(n->compute, s, &a, p, &bytes);

	if (!refused == !why && refused) {
		n->refused++;
	} else if (refused || why) {
		char *job = json_dumps(r->job, JSON_COMPACT);

		n->missed += !why;
		n->false_refusals += !refused;
		printf("%s %s: the engine %s, the planner %s: %s\n", r->model, r->measured,
		       refused ? refused : "ran", why ? why : "would run", job);
		free(job);
	}
	if (!refused && !why) {
		bool row = compare_row(n, r, s, &a, p, devices);
		bool graph = graph_agrees(n, r, p, &bytes, devices);

		n->compared += row && graph;
	}
}

/* false: this model was not measured with that backend. */
static bool compare_file(struct count *n, const struct shape *s, const char *set, const char *name,
			 size_t m)
{
	struct placement p = { 0 };
	char path[700], *line = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/truth%s/%s.%s.jsonl", models_dir(), set, name,
		 measured[m].name);
	FILE *f = fopen(path, "r");

	if (!f)
		return false;
	while (getline(&line, &size, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		struct row r = { json_object_get(o, "job"), json_object_get(o, "buft"),
				 json_object_get(o, "log"), name, measured[m].name };
		const char *refused = json_string_value(json_object_get(o, "error"));

		assert_non_null(o);
		assert_true(refused || json_object_size(r.buft) > 0);
		n->rows++;
		judge_row(n, &r, s, refused, m, &p);
		json_decref(o);
	}
	placement_fini(&p);
	free(line);
	fclose(f);
	return true;
}

static void compare_model(struct count *n, const char *set, const char *path)
{
	const char *slash = strrchr(path, '/');
	static struct shape s;
	struct model *m = NULL;
	struct err e = { 0 };
	uint32_t files = 0;
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(slash + 1, "\n") - 5, slash + 1);
	if (model_open(&m, path, &e) || shape_read(&s, m, &e))
		fail_msg("%s: %s", name, e.text);
	assert_int_equal(compute_open(&n->compute, &s), 0);
	for (size_t k = 0; k < COUNT(measured); k++)
		files += compare_file(n, &s, set, name, k);
	assert_true(files >= 2);
	compute_close(n->compute);
	shape_fini(&s);
	model_close(m);
}

/* Every model of a set agrees, and there are as many rows as there were. */
static void test_set(const char *set, uint32_t models, uint32_t rows)
{
	struct count n = { 0 };
	char pattern[700];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/headers%s/*.gguf", models_dir(), set);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		compare_model(&n, set, found.gl_pathv[i]);
	printf("%zu models, %u rows: %u agree to the byte, %u buffers differ; refusals: %u foreseen, %u "
	       "missed, %u false\n",
	       found.gl_pathc, n.rows, n.compared, n.wrong, n.refused, n.missed, n.false_refusals);
	assert_int_equal(n.wrong, 0);
	assert_int_equal(n.missed, 0);
	assert_int_equal(n.false_refusals, 0);
	assert_true(found.gl_pathc >= models);
	assert_true(n.compared >= rows);
	globfree(&found);
}

static void test_dev(void **state)
{
	(void)state;
	test_set("", 33, 6000);
}

static void test_own(void **state)
{
	(void)state;
	test_set("-own", 49, 4400);
}

/* Other forms of known families, in configurations drawn by lot. */
static void test_forms(void **state)
{
	(void)state;
	test_set("-forms", 11, 543);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_dev), cmocka_unit_test(test_own),
					    cmocka_unit_test(test_forms) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
