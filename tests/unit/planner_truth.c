/* SPDX-License-Identifier: MIT */
/*
 * The planner against what the engine measured: tests/models/truth holds, for each model and backend,
 * one configuration a line with the bytes of weights, cache and compute per buffer. Weights and caches
 * must agree to the byte on every row of every family that the planner claims; rows that are not
 * compared are counted by reason. The compute buffer is a prediction: it may not fall short by more
 * than 8 MiB.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/unit/harness.h"
#include "vram-planner/cost_priv.h"

#define MIB      (INT64_C(1) << 20)
#define SHORT_OK (8 * MIB)

/* The measured backends, and the row of backends[] whose rules they follow. */
static const struct {
	const char *name, *backend;
} measured[] = {
	{ "sim", "cuda" }, /* a simulated device with CUDA's rules */
	{ "rpc", "rpc" },
	{ "vulkan", "vulkan" }, /* lavapipe */
	{ "cpu", "cpu" },
};

/* Flags that the planner does not model: such rows are left out, by this list only. */
static const struct {
	const char *key, *why;
} unmodelled[] = {
	{ "ncmoe", "experts kept on the host" },
	{ "xb", "repacked or AMX host buffers" },
	{ "mtp", "prediction layers loaded" },
	{ "emb", "embeddings kept" },
};

#define N_UNMODELLED (sizeof(unmodelled) / sizeof(unmodelled[0]))

/* Errors of the compute prediction, by kind of row. */
enum kind { FULL, PIPE, PARTIAL, QUANTIZED, CPU_ONLY, HOST, LOGITS, KINDS };
static const char *const kind_names[KINDS] = { "full offload",    "pipeline", "partial offload",
					       "quantized cache", "cpu only", "host side",
					       "all logits" };

struct errors {
	uint32_t n;
	int64_t worst_short, worst_over;
	double sum_over; /* MiB */
	uint32_t within; /* 2 % or 8 MiB */
};

struct count {
	uint32_t rows, compared, wrong, refused, doubled, refusals_missed, refusals_false;
	uint32_t left_out[N_UNMODELLED];
	struct errors errors[KINDS];
};

static int64_t job_int(const json_t *job, const char *key, int64_t fallback)
{
	const char *s = json_string_value(json_object_get(job, key));

	return s ? strtoll(s, NULL, 10) : fallback;
}

static const char *job_text(const json_t *job, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(job, key));

	return s ? s : fallback;
}

static void read_ask(struct ask *a, const json_t *job, const struct oldshape *s)
{
	struct err e;

	ask_default(a);
	a->flash_attn = strcmp(job_text(job, "fa", "auto"), "off") != 0;
	a->n_ctx = (uint32_t)job_int(job, "c", 0);
	a->n_batch = (uint32_t)job_int(job, "b", ASK_BATCH_DEFAULT);
	a->n_ubatch = (uint32_t)job_int(job, "ub", ASK_UBATCH_DEFAULT);
	a->n_seq = (uint32_t)job_int(job, "np", 1);
	a->n_outputs = (uint32_t)job_int(job, "nout", 0);
	a->unified = job_int(job, "kvu", 0) != 0;
	a->swa_full = job_int(job, "swafull", 0) != 0;
	a->cache_on_host = job_int(job, "kvo", 1) == 0;
	assert_true(quant_from_name(job_text(job, "ctk", "f16"), &a->type_k));
	assert_true(quant_from_name(job_text(job, "ctv", "f16"), &a->type_v));
	assert_int_equal(ask_settle(a, s->n_ctx_train, true, &e), 0);
}

struct row {
	const json_t *job, *buft;
	const char *model, *measured;
	char devices[PLAN_DEVICES_MAX][24];
	uint32_t n_devices, n_host;
	struct berthing berths[PLAN_DEVICES_MAX];
};

static void read_devices(struct row *r, const struct backend *b, const struct oldshape *s)
{
	char list[256], split_text[256], *at = list, *split_at = split_text;
	float split[PLAN_DEVICES_MAX];
	uint32_t units[PLAN_DEVICES_MAX], ngl = (uint32_t)job_int(r->job, "ngl", 99);

	snprintf(list, sizeof(list), "%s", job_text(r->job, "dev", "none"));
	snprintf(split_text, sizeof(split_text), "%s", job_text(r->job, "ts", "1"));
	if (strcmp(list, "none") == 0)
		ngl = 0;
	for (char *name; ngl && (name = strsep(&at, ","));) {
		const char *share = strsep(&split_at, ",");

		assert_non_null(share);
		split[r->n_devices] = strtof(share, NULL);
		snprintf(r->devices[r->n_devices++], sizeof(r->devices[0]), "%s", name);
	}
	split_units(s->n_layer, ngl, split, r->n_devices, units);
	r->n_host = s->n_layer + 1;
	for (uint32_t i = 0; i < r->n_devices; i++)
		r->n_host -= units[i];
	for (uint32_t i = 0, first = r->n_host; i < r->n_devices; i++) {
		r->berths[i] = (struct berthing) { b, first, units[i] };
		first += units[i];
	}
}

/* What was measured: the sum of a part ("model", "context", "compute") over a device's buffers. */
static int64_t measured_bytes(const struct row *r, const char *device, const char *part)
{
	const char *name;
	json_t *b;
	int64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)r->buft, name, b)
	{
		bool host = json_integer_value(json_object_get(b, "host")) != 0;
		const char *dev = json_string_value(json_object_get(b, "dev"));

		if (device ? !host && dev && strcmp(dev, device) == 0 : host)
			sum += json_integer_value(json_object_get(b, part));
	}
	return sum;
}

static bool agrees(struct count *n, const struct row *r, const char *where, const char *part,
		   int64_t measured_, int64_t planned)
{
	if (measured_ == planned)
		return true;
	if (n->wrong++ < 400) {
		char *job = json_dumps(r->job, JSON_COMPACT);

		printf("%s %s %s %s: measured %" PRId64 ", planned %" PRId64 " (%+" PRId64 ") %s\n",
		       r->model, r->measured, where, part, measured_, planned, planned - measured_,
		       job);
		free(job);
	}
	return false;
}

static void note_error(struct count *n, enum kind kind, int64_t measured_, int64_t planned,
		       const struct row *r)
{
	struct errors *e = &n->errors[kind];
	int64_t d = planned - measured_;

	e->n++;
	e->worst_short = d < e->worst_short ? d : e->worst_short;
	e->worst_over = d > e->worst_over ? d : e->worst_over;
	e->sum_over += (double)d / MIB;
	if (llabs(d) <= 8 * MIB || llabs(d) * 50 <= measured_)
		e->within++;
	if (-d > SHORT_OK && getenv("VERBOSE")) {
		char *job = json_dumps(r->job, JSON_COMPACT);

		printf("%s %s: compute %.1f short of %.1f MiB %s %s\n", r->model, r->measured,
		       (double)-d / MIB, (double)measured_ / MIB, kind_names[kind], job);
		free(job);
	}
}

static enum kind kind_of(const struct row *r, const struct ask *a)
{
	if (job_int(r->job, "nout", 0) == 0)
		return LOGITS;
	if (r->n_devices == 0)
		return CPU_ONLY;
	if (r->n_host)
		return PARTIAL;
	if (quant_is_blocked(a->type_k))
		return QUANTIZED;
	return r->n_devices > 1 ? PIPE : FULL;
}

/*
 * lavapipe's largest buffer range is 128 MiB. A matrix beyond it, or one whose trial product with 512
 * rows would be, stays on the host (llama.cpp, weight_buft_supported). No card has so small a range,
 * so this is a rule of the measurement, not of the planner. Units [first, end).
 */
static int64_t moved_bytes(const struct row *r, const struct model *m, const struct oldshape *s,
			   uint32_t first, uint32_t end, bool doubled)
{
	int64_t sum = 0;

	if (strcmp(r->measured, "vulkan") != 0)
		return 0;
	for (uint32_t i = 0; i < model_n_tensors(m); i++) {
		const struct tensor *t = model_tensor(m, i);
		bool output = strncmp(t->name, s->tied ? "token_embd.w" : "output.w",
				      s->tied ? 12 : 8) == 0;
		uint32_t unit = output ? s->n_layer : (uint32_t)t->layer;
		int64_t product = t->ne[2] > 1 ? 0 : (int64_t)t->ne[1] * 512 * 4;

		if ((t->layer < 0 && !output) || unit < first || unit >= end ||
		    (!output && unit >= s->n_run))
			continue;
		if ((int64_t)t->bytes <= 128 * MIB && product <= 128 * MIB)
			continue;
		if (output && s->tied && !doubled)
			continue; /* the host has it already, as the input */
		sum += (int64_t)(t->bytes + 63) / 64 * 64;
	}
	return sum;
}

static bool compare_row(struct count *n, const struct row *r, const struct model *m,
			const struct oldshape *s, const struct ask *a, const struct backend *b)
{
	static struct costs costs;
	struct plan_buffers p;
	struct err e = { 0 };
	int64_t moved = moved_bytes(r, m, s, r->n_host, s->n_layer + 1, true);
	bool fine = true, plain = a->flash_attn && !a->swa_full && !a->cache_on_host && !moved &&
				  job_int(r->job, "opo", 1);

	assert_int_equal(costs_prepare(&costs, m, s, a, &b, 1, &e), 0);
	bool pipeline = costs_pipeline(&costs, r->berths, r->n_devices, r->n_host);

	for (uint32_t i = 0; i < r->n_devices; i++) {
		uint32_t first = r->berths[i].first, end = first + r->berths[i].units;

		costs_device(&costs, &r->berths[i], i == 0, pipeline, r->n_host, &p);
		fine &= agrees(n, r, r->devices[i], "weights",
			       measured_bytes(r, r->devices[i], "model"),
			       (int64_t)p.weights_bytes - moved_bytes(r, m, s, first, end, true));
		fine &= agrees(n, r, r->devices[i], "cache",
			       measured_bytes(r, r->devices[i], "context"), (int64_t)p.kv_bytes);
		if (plain)
			note_error(n, kind_of(r, a), measured_bytes(r, r->devices[i], "compute"),
				   (int64_t)p.compute_bytes, r);
	}
	costs_host(&costs, r->berths, r->n_devices, r->n_host, &p);
	fine &= agrees(n, r, "host", "weights", measured_bytes(r, NULL, "model"),
		       (int64_t)p.weights_bytes +
			       moved_bytes(r, m, s, r->n_host, s->n_layer + 1, false));
	fine &= agrees(n, r, "host", "cache", measured_bytes(r, NULL, "context"),
		       (int64_t)p.kv_bytes);
	if (plain)
		note_error(n, r->n_devices ? HOST : kind_of(r, a),
			   measured_bytes(r, NULL, "compute"), (int64_t)p.compute_bytes, r);
	return fine;
}

/* A row that is not compared, and why; NULL: it is. */
static bool left_out(struct count *n, const struct row *r, const struct oldshape *s,
		     const json_t *line)
{
	if (json_object_get(line, "error") || json_object_size(r->buft) == 0) {
		n->refused++;
		return true;
	}
	for (size_t i = 0; i < N_UNMODELLED; i++) {
		if (json_object_get(r->job, unmodelled[i].key)) {
			n->left_out[i]++;
			return true;
		}
	}
	/* No layer on a device that is there: we would not name the device at all. The engine keeps a
	 * second, pinned copy of a tied matrix then. */
	if (strcmp(job_text(r->job, "dev", "none"), "none") != 0 &&
	    job_int(r->job, "ngl", 99) == 0 && s->tied) {
		n->doubled++;
		return true;
	}
	return false;
}

static void compare_line(struct count *n, const json_t *line, const struct model *m,
			 const struct oldshape *s, const char *measured_, const struct backend *b)
{
	struct row r = { .job = json_object_get(line, "job"),
			 .buft = json_object_get(line, "buft"),
			 .model = json_string_value(json_object_get(line, "model")),
			 .measured = measured_ };
	struct ask a;

	n->rows++;
	read_ask(&a, r.job, s);
	/* What the engine refused on any device is refused; lavapipe's own limits are not the planner's. */
	if (json_object_get(line, "error") && strcmp(measured_, "vulkan") != 0)
		n->refusals_missed += !oldrefusal_find(s, &a);
	else if (!json_object_get(line, "error"))
		n->refusals_false += oldrefusal_find(s, &a) != NULL;
	if (left_out(n, &r, s, line))
		return;
	read_devices(&r, b, s);
	n->compared += compare_row(n, &r, m, s, &a, b);
}

static const char *models_dir(void)
{
	static char dir[512];
	const char *build = getenv("BUILD");

	snprintf(dir, sizeof(dir), "%s/tests/models", build ? build : "build");
	return dir;
}

static void compare_file(struct count *n, const struct model *m, const struct oldshape *s,
			 const char *name, size_t i)
{
	char path[700], *line = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/truth/%s.%s.jsonl", models_dir(), name, measured[i].name);
	FILE *f = fopen(path, "r");

	if (!f)
		fail_msg("no truth %s", path);
	while (getline(&line, &size, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);

		assert_non_null(o);
		compare_line(n, o, m, s, measured[i].name, backend_find(measured[i].backend));
		json_decref(o);
	}
	free(line);
	fclose(f);
}

static struct model *open_header(const char *name)
{
	struct model *m = NULL;
	struct err e = { 0 };
	char path[700];

	snprintf(path, sizeof(path), "%s/headers/%s.gguf", models_dir(), name);
	if (model_open(&m, path, &e))
		fail_msg("%s", e.text);
	return m;
}

/* Every model of the truth, whether the planner claims its family or not. */
static json_t *catalog(void)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/truth/catalog.json", models_dir());
	json_t *all = json_load_file(path, 0, NULL);

	assert_non_null(all);
	return all;
}

static void print_count(const struct count *n)
{
	printf("%u rows of the families: %u agree in weights and cache to the byte, %u differ; left out: "
	       "%u that the engine refused, %u with a tied matrix doubled beside an idle device",
	       n->rows, n->compared, n->wrong, n->refused, n->doubled);
	for (size_t i = 0; i < N_UNMODELLED; i++)
		printf(", %u %s", n->left_out[i], unmodelled[i].why);
	printf("\n");
	for (int k = 0; k < KINDS; k++) {
		const struct errors *e = &n->errors[k];

		printf("compute, %-16s %4u: %5.1f %% within 2 %% or 8 MiB, mean %+.1f MiB, at most %+.1f MiB, "
		       "short by %.1f MiB\n",
		       kind_names[k], e->n, e->n ? 100.0 * e->within / e->n : 0,
		       e->n ? e->sum_over / e->n : 0, (double)e->worst_over / MIB,
		       (double)-e->worst_short / MIB);
	}
}

static void test_truth(void **state)
{
	static struct count n;
	json_t *all = catalog(), *entry;
	uint32_t models = 0;
	size_t i;

	(void)state;
	json_array_foreach(all, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "name"));
		struct model *m = open_header(name);
		struct oldshape s;
		struct err e = { 0 };
		uint32_t wrong = n.wrong;

		if (oldfamily_find(model_arch(m))) {
			if (oldshape_read(&s, m, &e))
				fail_msg("%s: %s", name, e.text);
			for (size_t b = 0; b < sizeof(measured) / sizeof(measured[0]); b++)
				compare_file(&n, m, &s, name, b);
			models++;
			if (n.wrong != wrong)
				printf("%s: %u buffers differ\n", name, n.wrong - wrong);
		}
		model_close(m);
	}
	json_decref(all);
	print_count(&n);
	assert_int_equal(n.wrong, 0);
	assert_int_equal(n.refusals_missed, 0);
	assert_int_equal(n.refusals_false, 0);
	assert_true(models >= 18);
	assert_true(n.compared >= 2500); /* that rows do not vanish from the comparison */
	for (int k = 0; k < KINDS; k++)
		assert_true(-n.errors[k].worst_short <= SHORT_OK);
}

/* Architectures without verified rules are refused by name, not guessed. */
static void test_unknown(void **state)
{
	json_t *all = catalog(), *entry;
	uint32_t unknown = 0;
	size_t i;

	(void)state;
	json_array_foreach(all, i, entry)
	{
		struct model *m = open_header(json_string_value(json_object_get(entry, "name")));
		struct oldshape s;
		struct err e = { 0 };

		if (!oldfamily_find(model_arch(m))) {
			assert_int_equal(oldshape_read(&s, m, &e), -ENOTSUP);
			assert_non_null(strstr(e.text, model_arch(m)));
			unknown++;
		}
		/* The tensor table accounts for the file to the byte. */
		assert_int_equal(model_expected_bytes(m),
				 json_integer_value(json_object_get(entry, "file_size")));
		model_close(m);
	}
	json_decref(all);
	assert_true(unknown >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_truth),
					    cmocka_unit_test(test_unknown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
