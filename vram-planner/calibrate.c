/* SPDX-License-Identifier: MIT */
#include "vram-planner/calibrate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "base/text.h"
#include "vram-planner/core_run.h"

/* A plan that names a device and no more: the core brings its own model. */
static void plan_of(struct plan *p, const struct place *place)
{
	struct plan_device *d = &p->devices[0];

	*p = (struct plan) { .verdict = VERDICT_FITS, .n_layer = 1, .n_devices = 1 };
	text_copy(p->arch, sizeof(p->arch), "llama");
	text_copy(p->model_name, sizeof(p->model_name), "calibration");
	text_copy(p->flags.type_k, sizeof(p->flags.type_k), "f16");
	text_copy(p->flags.type_v, sizeof(p->flags.type_v), "f16");
	p->flags.n_ctx = p->flags.n_batch = p->flags.n_ubatch = p->flags.n_seq_max = 1;
	p->flags.n_gpu_layers = 2;
	d->layers = 2;
	text_copy(d->pci, sizeof(d->pci), place ? place->pci : "");
	text_copy(d->backend, sizeof(d->backend), place ? place->backend : "cpu");
	text_copy(d->engine_name, sizeof(d->engine_name), place ? place->engine_name : "CPU");
}

static struct fact rate(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 ? fact_of(v, SRC_ENGINE) : fact_unknown(WHY_NOT_EXPORTED);
}

/* What is free on it now; the device may be gone. */
static struct fact free_now(const char *pci, const struct devices_opts *o, const struct log *log)
{
	own_free struct devices *d = calloc(1, sizeof(*d));
	struct err e = { 0 };

	if (!d || devices_find(d, o, log, &e))
		return fact_unknown(WHY_NOT_EXPORTED);
	for (uint32_t i = 0; i < d->n; i++) {
		if (strcmp(d->places[i].pci, pci) == 0)
			return d->places[i].free_bytes;
	}
	return fact_unknown(WHY_LOST);
}

/* One device; NULL: the host. The core holds its memory until it is ended. */
static int measure(struct calibration *row, const struct place *place, const struct devices_opts *o,
		   const struct log *log, struct err *e)
{
	own_free struct plan *p = malloc(sizeof(*p));
	struct core_run run;

	*row = (struct calibration) { .time_s = time(NULL) };
	calibration_key(row->key, sizeof(row->key), place);
	if (!p)
		return err_set(e, -ENOMEM, "no memory for a plan");
	plan_of(p, place);
	int rc = core_start(&run, p, "-", "--calibrate", e);

	if (rc)
		return rc;
	json_t *answer = core_answer(&run, CALIBRATE_TIMEOUT_S, e);
	json_int_t account = json_integer_value(json_object_get(answer, "account_bytes"));

	if (answer && place && account > 0) {
		struct fact during = free_now(place->pci, o, log);

		row->overhead_bytes = calibration_overhead(&place->free_bytes, &during,
							   (uint64_t)account);
	}
	row->read_bytes_s = rate(answer, "read_bytes_s");
	row->link_bytes_s = rate(answer, "link_bytes_s");
	core_end(&run);
	rc = answer ? 0 : e->rc;
	json_decref(answer);
	return rc;
}

static void tell(FILE *to, const char *name, const struct calibration *row)
{
	char size[TEXT_SIZE_MAX];

	fprintf(to, "%s:", name);
	if (fact_known(&row->overhead_bytes))
		fprintf(to, " the engine and its driver take %s besides what it accounts for,",
			text_size(size, (uint64_t)row->overhead_bytes.v));
	else if (strcmp(name, CALIBRATION_HOST) != 0)
		fprintf(to, " what a driver takes cannot be read,");
	if (fact_known(&row->read_bytes_s))
		fprintf(to, " reads %lld GB/s", (long long)(row->read_bytes_s.v / 1000000000));
	else
		fprintf(to, " its reads cannot be timed");
	if (fact_known(&row->link_bytes_s))
		fprintf(to, ", gets %lld GB/s", (long long)(row->link_bytes_s.v / 1000000000));
	fprintf(to, "\n");
}

static const char *title(const struct place *p, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", p->pci, p->pci[0] && p->name[0] ? " " : "", p->name);
	return buf;
}

int calibrate(const struct devices_opts *o, const struct log *log, FILE *to, struct err *e)
{
	own_free struct devices *d = calloc(1, sizeof(*d));
	own_free struct calibrations *c = malloc(sizeof(*c));
	struct calibration row;
	uint32_t done = 0;
	char name[160];

	if (!d || !c)
		return err_set(e, -ENOMEM, "no memory for devices");
	int rc = devices_find(d, o, log, e);

	if (rc)
		return rc;
	calibrations_load(c);
	for (uint32_t i = 0; i <= d->n; i++) {
		const struct place *p = i < d->n ? &d->places[i] : NULL;

		if (p && p->hypothetical)
			continue;
		title(p ? p : &(struct place) { .name = CALIBRATION_HOST }, name, sizeof(name));
		rc = measure(&row, p, o, log, e);
		if (rc == -ENOENT)
			return rc; /* no engine: nothing else can be measured either */
		if (rc) {
			log_warn(log, "%s is not measured: %s", name, e->text);
			continue;
		}
		tell(to, name, &row);
		calibrations_put(c, &row);
		done++;
	}
	return done ? calibrations_save(c, e) : rc;
}
