/* SPDX-License-Identifier: MIT */
/*
 * What NVIDIA's library said: as JSON and back, and the child that asks. The child speaks by the same rows that
 * a captured machine is kept by, but tells only what changed since its last record of a device, at first since
 * nothing was known. Neither is trusted.
 */
#include "probe/nvml_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/child.h"
#include "probe/probe_priv.h"

#define DEVICE_TIMES 3 /* as long as the library itself, a device may take */

#define FACT(member, key) FIELD_KEY(struct nvml_fn, member, key, FIELD_FACT, UNIT_NONE, NULL)
#define TEXT(member, key) FIELD_KEY(struct nvml_fn, member, key, FIELD_FACT_TEXT, UNIT_NONE, NULL)

/* clang-format off */
static const struct field nvml_rows[] = {
	TEXT(uuid, "uuid"),
	TEXT(name, "name"),
	TEXT(serial, "serial"),
	TEXT(vbios, "vbios"),
	TEXT(arch, "arch"),
	FACT(minor, "minor"),
	FACT(vram_total, "vram_total_bytes"),
	FACT(vram_used, "vram_used_bytes"),
	FACT(vram_free, "vram_free_bytes"),
	FACT(bar1_total, "bar1_total_bytes"),
	FACT(bar1_used, "bar1_used_bytes"),
	FACT(power_mw, "power_mw"),
	FACT(power_cap_mw, "power_cap_mw"),
	FACT(live.power_cap_min_mw, "power_cap_min_mw"),
	FACT(live.power_cap_max_mw, "power_cap_max_mw"),
	FACT(live.power_cap_default_mw, "power_cap_default_mw"),
	FACT(live.energy_uj, "energy_uj"),
	FACT(temp_mc, "temp_mc"),
	FACT(live.temp_memory_mc, "temp_memory_mc"),
	FACT(live.temp_limit_mc, "temp_limit_mc"),
	FACT(live.fan_percent, "fan_percent"),
	FACT(busy_percent, "busy_percent"),
	FACT(live.mem_busy_percent, "mem_busy_percent"),
	FACT(live.core_mhz, "core_mhz"),
	FACT(live.core_max_mhz, "core_max_mhz"),
	FACT(live.mem_mhz, "mem_mhz"),
	FACT(live.mem_max_mhz, "mem_max_mhz"),
	TEXT(live.perf_state, "perf_state"),
	TEXT(live.throttle, "throttle"),
};
static const size_t n_nvml_rows = ARRAY_LEN(nvml_rows);
/* clang-format on */

/* What takes two rounds to tell; no captured machine has it. */
static const struct field flow_rows[] = {
	FACT(live.pcie_rx_bytes_per_s, "pcie_rx_bytes_per_s"),
	FACT(live.pcie_tx_bytes_per_s, "pcie_tx_bytes_per_s"),
};

/* Bytes a second of a lane by generation, after line coding (PCI Express Base Specification, each revision's). */
static const double lane_bytes_per_s[] = { 0, 250e6, 500e6, 984.6e6, 1969e6, 3938e6, 7563e6 };

double nvml_link_bytes_per_s(const struct nvidia *nv)
{
	const struct fact *gen = &nv->pcie_max_gen, *width = &nv->pcie_max_width;

	if (!fact_known(gen) || gen->v < 1 || gen->v >= (int64_t)ARRAY_LEN(lane_bytes_per_s) ||
	    !fact_known(width) || width->v < 1 || width->v > 32)
		return 0;
	return lane_bytes_per_s[gen->v] * (double)width->v;
}

struct fact nvml_rate(uint64_t before, uint64_t now, uint64_t ns, double most)
{
	const double s = (double)ns * 1e-9;
	uint64_t moved = now - before;

	if (!ns || most <= 0)
		return fact_unknown(WHY_NOT_EXPORTED);
	if (now <= UINT32_MAX) {
		if (most * s > UINT32_MAX)
			return fact_unknown(WHY_NOT_EXPORTED);
		moved = (uint32_t)moved;
	}
	if ((double)moved > 1.1 * most * s)
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)((double)moved / s), SRC_NVML);
}

/* What only a sensor of another vendor tells. */
static void not_nvidias(struct live *l)
{
	const struct fact no = fact_unknown(WHY_NOT_EXPORTED);

	l->temp_hotspot_mc = l->fan_rpm = l->voltage_mv = no;
	l->pcie_rx_bytes_per_s = l->pcie_tx_bytes_per_s = no;
	l->metrics = fact_text_unknown(WHY_NOT_APPLICABLE);
}

void nvml_fn_unknown(struct nvml_fn *f, enum why why)
{
	rows_unknown(nvml_rows, n_nvml_rows, f, why);
	nvidia_unknown(&f->nv, why);
	not_nvidias(&f->live);
}

/* --- JSON ------------------------------------------------------------------------------------------- */

json_t *nvml_fn_to_json(const struct nvml_fn *f)
{
	json_t *o = json_object();

	fields_to_json(o, nvml_rows, n_nvml_rows, f);
	nvidia_to_json(o, &f->nv);
	return o;
}

void nvml_fn_check(struct nvml_fn *f)
{
	/* Percentages and switches: a larger number is another thing than they say it is. */
	const struct fact_limit limits[] = {
		{ &f->busy_percent, 100 },
		{ &f->live.mem_busy_percent, 100 },
		{ &f->live.fan_percent, 300 }, /* of the normal speed: more is possible */
		{ &f->minor, 4095 },
		{ &f->live.pcie_rx_bytes_per_s, INT64_C(1) << 40 },
		{ &f->live.pcie_tx_bytes_per_s, INT64_C(1) << 40 },
	};

	memory_check(&f->vram_total, &f->vram_used, &f->vram_free);
	facts_limit(limits, ARRAY_LEN(limits));
	nvidia_check(&f->nv);
}

void nvml_fn_from_json(struct nvml_fn *f, const json_t *o)
{
	rows_from_json(o, nvml_rows, n_nvml_rows, f);
	not_nvidias(&f->live);
	nvidia_from_json(&f->nv, o);
	f->n_procs = 0; /* a captured machine keeps them elsewhere */
	nvml_fn_check(f);
}

/* --- what changed ------------------------------------------------------------------------------------ */

static const struct field proc_rows[] = {
	FIELD(struct nvml_proc, pid, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct nvml_proc, bytes, FIELD_FACT, UNIT_BYTES, NULL),
	FIELD(struct nvml_proc, compute, FIELD_BOOL, UNIT_NONE, NULL),
	FIELD(struct nvml_proc, graphics, FIELD_BOOL, UNIT_NONE, NULL),
};

static bool same_procs(const struct nvml_fn *a, const struct nvml_fn *b)
{
	bool same = a->n_procs == b->n_procs;

	for (uint32_t i = 0; same && i < a->n_procs; i++)
		same = fields_same(proc_rows, ARRAY_LEN(proc_rows), &a->procs[i], &b->procs[i]);
	return same;
}

static json_t *procs_to_json(const struct nvml_fn *f)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < f->n_procs; i++) {
		json_t *p = json_object();

		fields_to_json(p, proc_rows, ARRAY_LEN(proc_rows), &f->procs[i]);
		json_array_append_new(a, p);
	}
	return a;
}

static void procs_from_json(struct nvml_fn *f, const json_t *a)
{
	const json_t *o;
	size_t i;

	f->n_procs = 0;
	json_array_foreach(a, i, o)
	{
		json_int_t pid = json_integer_value(json_object_get(o, "pid"));

		if (f->n_procs == NVML_PROCS_MAX)
			return;
		if (pid <= 0 || pid > INT32_MAX)
			continue;
		struct nvml_proc *p = &f->procs[f->n_procs++];

		*p = (struct nvml_proc) { 0 };
		fields_restore(o, proc_rows, ARRAY_LEN(proc_rows), p);
		drop_negative(proc_rows, ARRAY_LEN(proc_rows), p);
	}
}

json_t *nvml_fn_change(const struct nvml_fn *f, const struct nvml_fn *told)
{
	json_t *o = json_object();

	json_put_text(o, "pci", f->pci);
	fields_to_json_changed(o, nvml_rows, n_nvml_rows, f, told);
	fields_to_json_changed(o, flow_rows, ARRAY_LEN(flow_rows), f, told);
	nvidia_change(o, &f->nv, &told->nv);
	if (!same_procs(f, told))
		json_object_set_new(o, "procs", procs_to_json(f));
	return o;
}

void nvml_fn_follow(struct nvml_fn *told, const json_t *change)
{
	const json_t *procs = json_object_get(change, "procs");

	rows_follow(change, nvml_rows, n_nvml_rows, told);
	rows_follow(change, flow_rows, ARRAY_LEN(flow_rows), told);
	nvidia_follow(&told->nv, change);
	if (procs)
		procs_from_json(told, procs);
	nvml_fn_check(told);
}

json_t *nvml_view_to_json(const struct nvml_view *v)
{
	json_t *o = json_answer("berth.answer.nvml/1"), *devices = json_object();

	json_put_bool(o, "asked", v->asked);
	json_object_set_new(o, "why",
			    v->asked && !v->why ? json_null() : json_string(why_name(v->why)));
	json_put_fact_text(o, "driver_version", &v->driver_version);
	for (uint32_t i = 0; i < v->n; i++)
		json_object_set_new(devices, v->fns[i].pci, nvml_fn_to_json(&v->fns[i]));
	json_object_set_new(o, "devices", devices);
	return o;
}

/* Only the head: the functions are half a megabyte, and none of them counts while n is 0. */
void nvml_view_reset(struct nvml_view *v, bool asked, enum why why)
{
	v->asked = asked;
	v->why = why;
	v->driver_version = fact_text_unknown(why);
	v->n = 0;
}

/* The device's place, a new one if there is room; NULL: no address, or no room. */
static struct nvml_fn *place(struct nvml_view *v, const char *pci)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (strcmp(v->fns[i].pci, pci) == 0)
			return &v->fns[i];
	if (!addr_ok(pci) || v->n == PROBE_GPUS_MAX)
		return NULL;
	struct nvml_fn *f = &v->fns[v->n++];

	memset(f, 0, sizeof(*f));
	not_nvidias(&f->live);
	text_copy(f->pci, sizeof(f->pci), pci);
	return f;
}

void nvml_view_from_json(struct nvml_view *v, const json_t *o)
{
	const char *why = json_string_value(json_object_get(o, "why"));
	const char *pci;
	json_t *d;

	nvml_view_reset(v, json_is_true(json_object_get(o, "asked")),
			why ? why_from_name(why) : WHY_NONE);
	v->driver_version = json_get_fact_text(o, "driver_version");
	json_object_foreach(json_object_get(o, "devices"), pci, d)
	{
		struct nvml_fn *f = place(v, pci);

		if (f)
			nvml_fn_from_json(f, d);
	}
}

void nvml_view_scrub(struct nvml_view *v)
{
	for (uint32_t i = 0; i < v->n; i++) {
		struct nvml_fn *f = &v->fns[i];

		if (fact_text_known(&f->uuid))
			snprintf(f->uuid.v, sizeof(f->uuid.v), "GPU-00000000-0000-0000-0000-%012u",
				 i);
		if (fact_text_known(&f->serial))
			snprintf(f->serial.v, sizeof(f->serial.v), "%013u", i);
		for (uint32_t k = 0; k < f->nv.n_migs; k++)
			if (fact_text_known(&f->nv.migs[k].uuid))
				snprintf(f->nv.migs[k].uuid.v, sizeof(f->nv.migs[k].uuid.v),
					 "MIG-00000000-0000-0000-%04u-%012u", k, i);
	}
}

/* --- the child ---------------------------------------------------------------------------------------- */

static bool about_library(struct nvml_view *v, const json_t *o)
{
	const char *why = json_string_value(json_object_get(o, "why"));

	if (!o)
		return false;
	v->why = why ? why_from_name(why) : WHY_NONE;
	v->driver_version = json_get_fact_text(o, "driver_version");
	return true;
}

const struct nvml_fn *nvml_record(struct nvml_view *v, const char *bytes, size_t n)
{
	struct err e = { 0 };
	json_t *o = json_parse(bytes, n, "NVML", &e);
	const char *pci = json_string_value(json_object_get(o, "pci"));
	struct nvml_fn *f = pci ? place(v, pci) : NULL;

	if (f)
		nvml_fn_follow(f, o);
	json_decref(o);
	return f;
}

bool nvml_first_record(struct nvml_view *v, const char *bytes, size_t n)
{
	struct err e = { 0 };
	json_t *o = json_parse(bytes, n, "NVML", &e);
	bool took = about_library(v, o);

	json_decref(o);
	return took;
}

/* One record from the child, which the caller frees. 1; 0: it ended, or sent none; -ETIMEDOUT. */
static int receive(const struct child *c, int timeout_ms, char **bytes, uint32_t *n)
{
	int rc = child_receive(c, n, sizeof(*n), timeout_ms);

	*bytes = NULL;
	if (rc != 1)
		return rc;
	if (!*n || *n > NVML_RECORD_MAX || !(*bytes = malloc(*n)))
		return 0;
	return child_receive(c, *bytes, *n, timeout_ms);
}

int nvml_receive_first(const struct child *c, int timeout_ms, struct nvml_view *v)
{
	own_free char *bytes = NULL;
	uint32_t n;
	int rc = receive(c, timeout_ms, &bytes, &n);

	return rc != 1 ? rc : nvml_first_record(v, bytes, n);
}

int nvml_receive(const struct child *c, int timeout_ms, struct nvml_view *v,
		 const struct nvml_fn **which)
{
	own_free char *bytes = NULL;
	uint32_t n;
	int rc = receive(c, timeout_ms, &bytes, &n);

	if (rc != 1)
		return rc;
	*which = nvml_record(v, bytes, n);
	return *which != NULL;
}

static void collect(const struct child *c, uint32_t n, int timeout_ms, struct nvml_view *v)
{
	const struct nvml_fn *f;
	int rc = nvml_receive_first(c, timeout_ms, v);

	if (rc == 1 && v->why)
		return;
	/*
	 * Each device gets its own time, and more: without the persistence daemon the driver initialises
	 * an idle card when it is first asked, which takes seconds on large ones and is no hang.
	 */
	for (uint32_t i = 0; rc == 1 && i < n; i++)
		rc = nvml_receive(c, DEVICE_TIMES * timeout_ms, v, &f);
	/* For the devices without a record: silence is a hang, an early end is a crash. */
	v->why = rc == 1 ? WHY_NONE : rc == -ETIMEDOUT ? WHY_TIMEOUT : WHY_GARBLED;
	if (rc != 1 && !v->n && !fact_text_known(&v->driver_version))
		v->driver_version = fact_text_unknown(v->why);
}

void nvml_ask(const char (*pci)[24], uint32_t n, int timeout_ms, struct nvml_view *v)
{
	struct nvml_question q = { .pci = pci, .n = n };
	struct child c;

	nvml_view_reset(v, true, WHY_NO_LIBRARY);
	if (child_open(&c, nvml_work, &q))
		return;
	collect(&c, n, timeout_ms, v);
	child_close(&c);
}
