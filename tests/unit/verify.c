/* SPDX-License-Identifier: MIT */
/* Is the model where the plan put it: the judge of exit code 7. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/proof.h"
#include "launch/verify.h"
#include "launch/wire.h"
#include "tests/unit/harness.h"

#define MIB (UINT64_C(1) << 20)

/* 8 layers and the output: 2 on the host, 4 on c1, 3 on 01. */
static struct plan plan(void)
{
	struct plan p = { .n_layer = 8, .n_devices = 2, .flags = { .n_gpu_layers = 7 } };

	strcpy(p.devices[0].pci, "0000:c1:00.0");
	p.devices[0].layers = 4;
	p.devices[0].buffers = (struct plan_buffers) { 40 * MIB, 4 * MIB, 10 * MIB, 100 * MIB };
	strcpy(p.devices[1].pci, "0000:01:00.0");
	p.devices[1].layers = 3;
	p.devices[1].buffers = (struct plan_buffers) { 30 * MIB, 3 * MIB, 10 * MIB, 100 * MIB };
	p.host.layers = 2;
	p.host.buffers = (struct plan_buffers) { 20 * MIB, 2 * MIB, 10 * MIB, 0 };
	return p;
}

static void device(struct wire_ready *r, const char *name, const char *pci, uint32_t layers,
		   uint64_t mib)
{
	struct wire_device *d = &r->devices[r->n_devices++];

	strcpy(d->name, name);
	strcpy(d->pci, pci);
	d->layers = layers;
	d->bytes = (struct telem_bytes) { mib * MIB, mib / 10 * MIB, 10 * MIB, TELEM_UNKNOWN };
	d->rounding_bytes = 5243 * 3;
}

static struct wire_ready *report(void)
{
	static const char *const layers[] = { "CPU",   "CPU",   "CUDA0", "CUDA0", "CUDA0",
					      "CUDA0", "CUDA1", "CUDA1", "CUDA1" };
	struct wire_ready *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	device(r, "CUDA0", "0000:c1:00.0", 4, 40);
	device(r, "CUDA1", "0000:01:00.0", 3, 30);
	device(r, "CPU", "", 2, 20);
	r->n_layers = COUNT(layers);
	for (size_t i = 0; i < COUNT(layers); i++)
		strcpy(r->layers[i], layers[i]);
	return r;
}

/* A draft is whole where the plan has it. */
static void drafts(void **state)
{
	struct plan p = plan();
	struct wire_ready *r = report();
	struct err e = { 0 };

	(void)state;
	p.draft = (struct plan_draft) { .n_layer = 1, .n_max = 4, .device = 1 };
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	assert_non_null(strstr(e.text, "draft"));
	r->n_draft_layers = 2;
	strcpy(r->draft_layers[0], "CUDA1");
	strcpy(r->draft_layers[1], "CUDA1");
	assert_int_equal(verify_placement(&p, r, &e), 0);
	strcpy(r->draft_layers[1], "CPU");
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	assert_non_null(strstr(e.text, "0000:01:00.0 (CUDA1)"));
	p.draft.device = -1;
	strcpy(r->draft_layers[0], "CPU");
	assert_int_equal(verify_placement(&p, r, &e), 0);
	p.draft.n_max = 0;
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	free(r);
}

static void as_planned(void **state)
{
	struct plan p = plan();
	struct wire_ready *r = report();
	struct proof proof;
	struct err e = { 0 };
	char table[2048];
	struct text t;

	(void)state;
	assert_int_equal(verify_placement(&p, r, &e), 0);
	proof_make(&proof, &p, r);
	assert_int_equal(proof.n, 3);
	assert_true(proof.rows[0].exact && proof.rows[1].exact && proof.rows[2].exact);
	/* within the rounding of the log, and one byte beyond it */
	r->devices[0].bytes.kv += 5243 * 3;
	proof_make(&proof, &p, r);
	assert_true(proof.rows[0].exact);
	r->devices[0].bytes.kv += 1;
	r->devices[1].bytes.other = 3 * MIB;
	r->devices[1].bytes.compute += 2 * MIB;
	proof_make(&proof, &p, r);
	assert_false(proof.rows[0].exact);
	text_init(&t, table, sizeof(table));
	proof_text(&t, &proof);
	assert_string_equal(
		table,
		/* clang-format off */
		"              layers   weights (plan)            KV (plan)       compute (plan)         other\n"
		"0000:c1:00.0       4  40.0 MiB =            4.0 MiB +15.4 KiB   10.0 MiB =            unknown\n"
		"0000:01:00.0       3  30.0 MiB =            3.0 MiB =           12.0 MiB +2.0 MiB     3.0 MiB of 100.0 MiB\n"
		"CPU                2  20.0 MiB =            2.0 MiB =           10.0 MiB =            unknown\n");
	/* clang-format on */
	free(r);
}

/* Every single layer on every wrong device is seen, and the sentence names it. */
static void each_layer(void **state)
{
	static const char *const names[] = { "CPU", "CUDA0", "CUDA1", "CUDA9", "" };
	struct plan p = plan();
	struct wire_ready *r = report();

	(void)state;
	for (uint32_t i = 0; i < r->n_layers; i++) {
		char right[48], layer[24];

		strcpy(right, r->layers[i]);
		snprintf(layer, sizeof(layer), i < 8 ? "layer %u " : "the output", i);
		for (size_t k = 0; k < COUNT(names); k++) {
			struct err e = { 0 };

			strcpy(r->layers[i], names[k]);
			if (strcmp(names[k], right) == 0) {
				assert_int_equal(verify_placement(&p, r, &e), 0);
				continue;
			}
			assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
			assert_non_null(strstr(e.text, layer));
			assert_non_null(strstr(e.text, right));
		}
		strcpy(r->layers[i], right);
	}
	free(r);
}

static void other_devices(void **state)
{
	struct plan p = plan();
	struct wire_ready *r = report();
	struct err e = { 0 };

	(void)state;
	strcpy(r->devices[1].pci, "0000:02:00.0");
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	assert_non_null(strstr(e.text, "0000:01:00.0"));
	assert_non_null(strstr(e.text, "0000:02:00.0"));
	/* without an address the engine's name is all there is */
	strcpy(r->devices[1].pci, "");
	p.devices[1].pci[0] = 0;
	strcpy(p.devices[1].engine_name, "CUDA1");
	assert_int_equal(verify_placement(&p, r, &e), 0);
	strcpy(p.devices[1].engine_name, "CUDA2");
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	strcpy(p.devices[1].engine_name, "CUDA1");
	r->n_devices--;
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	r->n_devices++;
	r->n_layers = 8;
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	r->n_layers = 0;
	assert_int_equal(verify_placement(&p, r, &e), -EXDEV);
	free(r);
}

static int line(struct wire *w, const char *s)
{
	struct err e = { 0 };
	int rc = wire_line(w, s, strlen(s), &e);

	assert_true(rc == 0 || (rc == -EBADMSG && e.text[0]));
	return rc;
}

static void wire(void **state)
{
	struct wire *w = calloc(1, sizeof(*w));

	(void)state;
	assert_non_null(w);
	assert_int_equal(
		line(w, "{\"schema\":\"berth.core/1\",\"event\":\"loading\",\"engine\":\"0.5\"}"),
		0);
	assert_true(w->loading);
	assert_int_equal(
		line(w, "{\"schema\":\"berth.core/1\",\"event\":\"progress\",\"percent\":42}"), 0);
	assert_int_equal(w->percent, 42);
	assert_int_equal(
		line(w,
		     "{\"schema\":\"berth.core/1\",\"event\":\"ready\",\"n_ctx\":64,\"threads\":2,"
		     "\"layers\":[\"CPU\",\"CUDA0\"],\"devices\":[{\"name\":\"CUDA0\",\"pci\":\"0000:01:00.0\","
		     "\"backend\":\"cuda\",\"layers\":1,\"weights_bytes\":1,\"kv_bytes\":2,\"compute_bytes\":3,"
		     "\"other_bytes\":null,\"rounding_bytes\":4}],\"buffers\":[],\"unplaced_bytes\":0}"),
		0);
	assert_true(w->is_ready);
	assert_int_equal(w->ready.n_layers, 2);
	assert_string_equal(w->ready.layers[1], "CUDA0");
	assert_int_equal(w->ready.devices[0].bytes.kv, 2);
	assert_true(w->ready.devices[0].bytes.other == TELEM_UNKNOWN);
	assert_int_equal(
		line(w,
		     "{\"schema\":\"berth.core/1\",\"event\":\"done\",\"prompt_tokens\":1,\"prompt_ns\":2,"
		     "\"generated_tokens\":3,\"generated_ns\":4,\"stop\":\"eog\"}"),
		0);
	assert_int_equal(w->done.generated_tokens, 3);
	assert_int_equal(line(w,
			      "{\"schema\":\"berth.core/1\",\"event\":\"failed\",\"class\":\"oom\","
			      "\"sentence\":\"no\"}"),
			 0);
	assert_string_equal(w->failure, "oom");
	free(w);
}

static void wire_nonsense(void **state)
{
	static const char *const lines[] = {
		"",
		"x",
		"[]",
		"{}",
		"{\"schema\":\"berth.core/1\"}",
		"{\"schema\":\"berth.core/2\",\"event\":\"loading\",\"engine\":\"x\"}",
		"{\"schema\":\"berth.core/1\",\"event\":\"dancing\"}",
		"{\"schema\":\"berth.core/1\",\"event\":\"progress\",\"percent\":101}",
		"{\"schema\":\"berth.core/1\",\"event\":\"ready\",\"n_ctx\":1,\"threads\":1,\"layers\":[],"
		"\"devices\":[],\"unplaced_bytes\":0}",
		"{\"schema\":\"berth.core/1\",\"event\":\"ready\",\"n_ctx\":-1,\"threads\":1,\"layers\":[],"
		"\"devices\":[{}],\"unplaced_bytes\":0}",
		"{\"schema\":\"berth.core/1\",\"event\":\"ready\",\"n_ctx\":1,\"threads\":1,\"layers\":[7],"
		"\"devices\":[{}],\"unplaced_bytes\":0}",
		"{\"schema\":\"berth.core/1\",\"event\":\"done\",\"prompt_tokens\":-1}",
		"{\"schema\":\"berth.core/1\",\"event\":\"failed\",\"class\":\"\",\"sentence\":\"\"}",
	};
	struct wire *w = calloc(1, sizeof(*w));

	(void)state;
	assert_non_null(w);
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_int_equal(line(w, lines[i]), -EBADMSG);
	assert_false(w->is_ready || w->is_done || w->has_failed);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_planned), cmocka_unit_test(drafts),
		cmocka_unit_test(each_layer), cmocka_unit_test(other_devices),
		cmocka_unit_test(wire),       cmocka_unit_test(wire_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
