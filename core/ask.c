/* SPDX-License-Identifier: MIT */
/* What the core answers without carrying out a plan. */
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "core/measure.h"
#include "core/run.h"
#include "core/timing.h"

/* Of what --measure may write to: the engine's tables, a vocabulary, recurrent states. */
#define MEASURE_LIMIT (UINT64_C(8) << 30)

static void print_devices(const struct run *r)
{
	if (r->o.json) {
		json_t *o = devices_to_json(engine_version(), r->devices, r->n_devices);

		json_print(o, r->out);
		json_decref(o);
		return;
	}
	for (uint32_t i = 0; i < r->n_devices; i++) {
		const struct engine_device *d = &r->devices[i];
		char total[TEXT_SIZE_MAX], free_bytes[TEXT_SIZE_MAX];

		fprintf(r->out, "%-10s %-14s %-7s %-5s %10s free of %s  %s\n", d->name,
			d->pci[0] ? d->pci : "no address", d->backend, d->type,
			text_size(free_bytes, d->free_bytes), text_size(total, d->total_bytes),
			d->description);
	}
}

enum failure ask_devices(struct run *r, struct err *e)
{
	enum failure f = run_open_engine(r, e);

	if (f == FAILURE_NONE)
		print_devices(r);
	return f;
}

/* In the child of measure(): everything that may end it. */
static void ask_engine(void *arg, struct measure *out)
{
	struct run *r = arg;
	struct engine_load how = {
		.plan = &r->plan, .index = r->index, .threads = 1, .measure = true
	};
	struct err e = { 0 };
	bool stopped;
	enum failure f = run_open_engine(r, &e);

	if (f == FAILURE_NONE && device_match(&r->plan, r->devices, r->n_devices, r->index, &e))
		f = FAILURE_DEVICE;
	if (f == FAILURE_NONE)
		f = engine_load(r->engine, &how, &stopped, &e);
	if (f) {
		out->end = f == FAILURE_OOM      ? MEASURE_NO_MEMORY
			   : f == FAILURE_DEVICE ? MEASURE_NO_DEVICE
						 : MEASURE_REFUSED;
		text_copy(out->why, sizeof(out->why), e.text);
		return;
	}
	const struct enginelog *l = engine_log(r->engine);

	account_make(&out->account, l, r->devices, r->index, r->plan.n_devices);
	out->n_ctx_seq = engine_n_ctx(r->engine);
	out->weights_bytes = engine_weights_bytes(r->engine);
	out->cache_bytes = l->cache_bytes;
	out->cache_rounding_bytes = (uint64_t)l->n_caches * ENGINELOG_ROUNDING;
}

int ask_measure(struct run *r, struct err *e)
{
	struct measure m;
	int rc = measure_in_child(ask_engine, r, MEASURE_LIMIT, r->o.verbose > 0, &m, e);

	if (rc)
		return (int)err_report("core", rc, e);
	json_t *o = measure_to_json(&m, engine_version());

	rc = json_print(o, r->out);
	json_decref(o);
	return rc ? EXIT_ENV : EXIT_YES;
}

static json_t *calibration_object(const struct run *r, const struct timing *t)
{
	const struct account_device *d = &r->account.devices[0];
	json_t *o = json_answer("berth.core.calibration/1");

	json_put_text(o, "engine", engine_version());
	json_put_text(o, "name", d->name);
	json_put_text_or_null(o, "pci", d->pci);
	json_put_text(o, "backend", d->backend);
	json_put_int(o, "account_bytes",
		     (int64_t)(d->bytes.weights + d->bytes.kv + d->bytes.compute));
	json_put_int(o, "read_bytes_s", (int64_t)t->read_bytes_s);
	json_put_int(o, "link_bytes_s", (int64_t)t->link_bytes_s);
	return o;
}

/* Time first: its memory is given back, the small model's stays for whoever reads what is free now. */
enum failure ask_calibrate(struct run *r, struct err *e)
{
	enum failure f = run_open_engine(r, e);
	struct timing t;
	char end;

	if (f)
		return f;
	if (r->plan.n_devices == 0) {
		err_set(e, -EINVAL, "the plan names no device to calibrate");
		return FAILURE_PLAN;
	}
	if (device_match(&r->plan, r->devices, r->n_devices, r->index, e))
		return FAILURE_DEVICE;
	timing_take(&t, r->index[0], r->o.threads);
	if (!run_is_for_cpu(&r->plan))
		f = engine_run_tiny(r->engine, r->index[0], e);
	if (f)
		return f;
	account_make(&r->account, engine_log(r->engine), r->devices, r->index, 1);
	json_t *o = calibration_object(r, &t);
	int rc = json_print_line(o, r->out);

	json_decref(o);
	if (rc || fflush(r->out) != 0) {
		err_set(e, -EIO, "the answer cannot be written");
		return FAILURE_OUTPUT;
	}
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	return FAILURE_NONE;
}
