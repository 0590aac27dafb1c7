/* SPDX-License-Identifier: MIT */
/*
 * What NVIDIA's library said: its records as JSON and back, the child that asks, and the merge into the
 * report. The child speaks the same JSON that a captured machine keeps, so one reader serves both, and
 * trusts neither.
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

static json_t *procs_to_json(const struct nvml_fn *f)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < f->n_procs; i++) {
		json_t *p = json_object();

		json_put_int(p, "pid", f->procs[i].pid);
		json_put_fact(p, "bytes", &f->procs[i].bytes);
		json_put_bool(p, "compute", f->procs[i].compute);
		json_put_bool(p, "graphics", f->procs[i].graphics);
		json_array_append_new(a, p);
	}
	return a;
}

json_t *nvml_fn_to_json(const struct nvml_fn *f, bool procs)
{
	json_t *o = json_object();

	fields_to_json(o, nvml_rows, n_nvml_rows, f);
	nvidia_to_json(o, &f->nv);
	if (fact_known(&f->live.pcie_rx_bytes_per_s) && fact_known(&f->live.pcie_tx_bytes_per_s))
		fields_to_json(o, flow_rows, ARRAY_LEN(flow_rows), f);
	if (procs)
		json_object_set_new(o, "procs", procs_to_json(f));
	return o;
}

/* Percentages and switches: a larger number is another thing than they say it is. */
static void check_ranges(struct nvml_fn *f)
{
	const struct fact_limit limits[] = {
		{ &f->busy_percent, 100 },
		{ &f->live.mem_busy_percent, 100 },
		{ &f->live.fan_percent, 300 }, /* of the normal speed: more is possible */
		{ &f->minor, 4095 },
		{ &f->live.pcie_rx_bytes_per_s, INT64_C(1) << 40 },
		{ &f->live.pcie_tx_bytes_per_s, INT64_C(1) << 40 },
	};

	facts_limit(limits, ARRAY_LEN(limits));
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

		*p = (struct nvml_proc) { .pid = (uint32_t)pid,
					  .bytes = json_get_fact(o, "bytes"),
					  .compute = json_is_true(json_object_get(o, "compute")),
					  .graphics = json_is_true(
						  json_object_get(o, "graphics")) };
		if (fact_known(&p->bytes) && p->bytes.v < 0)
			p->bytes = fact_unknown(WHY_GARBLED);
	}
}

void nvml_fn_from_json(struct nvml_fn *f, const json_t *o)
{
	rows_from_json(o, nvml_rows, n_nvml_rows, f);
	not_nvidias(&f->live);
	if (json_object_get(o, "pcie_rx_bytes_per_s"))
		rows_from_json(o, flow_rows, ARRAY_LEN(flow_rows), f);
	memory_check(&f->vram_total, &f->vram_used, &f->vram_free);
	check_ranges(f);
	nvidia_from_json(&f->nv, o);
	procs_from_json(f, json_object_get(o, "procs"));
}

json_t *nvml_view_to_json(const struct nvml_view *v)
{
	json_t *o = json_answer("berth.answer.nvml/1"), *devices = json_object();

	json_put_bool(o, "asked", v->asked);
	json_object_set_new(o, "why",
			    v->asked && !v->why ? json_null() : json_string(why_name(v->why)));
	json_put_fact_text(o, "driver_version", &v->driver_version);
	for (uint32_t i = 0; i < v->n; i++)
		json_object_set_new(devices, v->fns[i].pci, nvml_fn_to_json(&v->fns[i], false));
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

static void add_fn(struct nvml_view *v, const char *pci, const json_t *o)
{
	if (!addr_ok(pci) || v->n == PROBE_GPUS_MAX)
		return;
	struct nvml_fn *f = &v->fns[v->n++];

	text_copy(f->pci, sizeof(f->pci), pci);
	nvml_fn_from_json(f, o);
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
		add_fn(v, pci, d);
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

bool nvml_record(struct nvml_view *v, bool first, const char *bytes, size_t n)
{
	struct err e = { 0 };
	json_t *o = json_parse(bytes, n, "NVML", &e);
	const char *pci = json_string_value(json_object_get(o, "pci"));
	const char *why = json_string_value(json_object_get(o, "why"));
	uint32_t had = v->n;

	if (first && o) {
		v->why = why ? why_from_name(why) : WHY_NONE;
		v->driver_version = json_get_fact_text(o, "driver_version");
	} else if (pci) {
		add_fn(v, pci, o);
	}
	bool took = first ? o != NULL : v->n > had;

	json_decref(o);
	return took;
}

int nvml_receive(const struct child *c, int timeout_ms, bool first, struct nvml_view *v)
{
	own_free char *bytes = NULL;
	uint32_t n;
	int rc = child_receive(c, &n, sizeof(n), timeout_ms);

	if (rc != 1)
		return rc;
	if (!n || n > NVML_RECORD_MAX || !(bytes = malloc(n)))
		return 0;
	rc = child_receive(c, bytes, n, timeout_ms);
	return rc != 1 ? rc : nvml_record(v, first, bytes, n);
}

static void collect(const struct child *c, uint32_t n, int timeout_ms, struct nvml_view *v)
{
	int rc = nvml_receive(c, timeout_ms, true, v);

	if (rc == 1 && v->why)
		return;
	/*
	 * Each device gets its own time, and more: without the persistence daemon the driver initialises
	 * an idle card when it is first asked, which takes seconds on large ones and is no hang.
	 */
	while (rc == 1 && v->n < n)
		rc = nvml_receive(c, DEVICE_TIMES * timeout_ms, false, v);
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

/* --- the merge ---------------------------------------------------------------------------------------- */

static const struct nvml_fn *find(const struct nvml_view *v, const char *pci)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (strcmp(v->fns[i].pci, pci) == 0)
			return &v->fns[i];
	return NULL;
}

static struct fact_text partition_of(const struct nvidia *nv)
{
	char text[64];

	if (!fact_known(&nv->mig_on))
		return fact_text_unknown(nv->mig_on.why);
	if (!nv->mig_on.v)
		return fact_text_unknown(WHY_NOT_APPLICABLE);
	if (fact_known(&nv->mig_max))
		snprintf(text, sizeof(text), "MIG %u of %lld", nv->n_migs,
			 (long long)nv->mig_max.v);
	else
		snprintf(text, sizeof(text), "MIG %u", nv->n_migs);
	return fact_text_of(text, nv->mig_on.src);
}

static void take(struct gpu *g, const struct nvml_fn *f)
{
	g->uuid = f->uuid;
	if (fact_text_known(&f->name))
		g->name = f->name;
	g->serial = f->serial;
	g->vbios = f->vbios;
	g->arch = f->arch;
	g->index.nvml = f->minor;
	g->vram_total = f->vram_total;
	g->vram_used = f->vram_used;
	g->vram_free = f->vram_free;
	/* Without memory of its own it is part of the processor's package. */
	if (!fact_known(&f->vram_total) && f->vram_total.why == WHY_NOT_APPLICABLE)
		g->integrated = fact_of(1, SRC_NVML);
	g->memory.bar1_total = f->bar1_total;
	g->memory.bar1_used = f->bar1_used;
	g->power_mw = f->power_mw;
	g->power_cap_mw = f->power_cap_mw;
	g->temp_mc = f->temp_mc;
	g->busy_percent = f->busy_percent;
	g->live = f->live;
	g->nvidia = f->nv;
	g->partition = partition_of(&f->nv);
}

/* What a person should know of why its facts are unknown. */
static void explain(struct gpu *g, const struct nvml_view *v)
{
	const char *note = "";

	if (g->vram_total.why == WHY_LOST)
		note = "the driver has lost it: it fell off the bus, or wants a reset";
	else if (v->why == WHY_ASLEEP && g->awake == AWAKE_YES)
		note = "not asked: NVIDIA's library would wake another GPU, which sleeps";
	if (!fact_known(&g->vram_total) && !g->driver_note[0])
		text_copy(g->driver_note, sizeof(g->driver_note), note);
}

void nvml_merge(struct gpu *g, const struct nvml_view *v)
{
	const struct driver *d = driver_of(g);
	const struct nvml_fn *f = find(v, g->pci);
	enum why why = fact_text_known(&g->driver) ? WHY_NOT_EXPORTED : g->driver.why;
	struct nvml_fn none;

	if (!d || !d->nvml) {
		g->uuid = fact_text_unknown(why);
		return;
	}
	if (fact_text_known(&v->driver_version))
		g->driver_version = v->driver_version;
	if (!f) {
		memset(&none, 0, sizeof(none));
		nvml_fn_unknown(&none, v->why);
		f = &none;
	}
	take(g, f);
	explain(g, v);
}
