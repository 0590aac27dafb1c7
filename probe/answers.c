/* SPDX-License-Identifier: MIT */
/*
 * What libraries answered, as answers/NAME.json of a captured machine, and back. A captured machine is
 * hostile: what is out of range is unknown, what is not ours is skipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/probe_priv.h"

#define ANSWER_MAX (4u << 20)

/* clang-format off */
static const struct field pci_rows[] = {
	FIELD(struct pci_fn, vendor_name, FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD(struct pci_fn, device_name, FIELD_FACT_TEXT, UNIT_NONE, NULL),
};

static const struct field id_rows[] = {
	FIELD(struct pci_fn, vendor, FIELD_U32, UNIT_HEX, "vendor"),
	FIELD(struct pci_fn, device, FIELD_U32, UNIT_HEX, "device"),
	FIELD(struct pci_fn, subvendor, FIELD_U32, UNIT_HEX, "subsystem vendor"),
	FIELD(struct pci_fn, subdevice, FIELD_U32, UNIT_HEX, "subsystem device"),
	FIELD(struct pci_fn, class, FIELD_U32, UNIT_HEX, "class"),
	FIELD(struct pci_fn, revision, FIELD_U32, UNIT_HEX, "revision"),
};

static const struct field drm_rows[] = {
	FIELD(struct drm_fn, card, FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD(struct drm_fn, render, FIELD_FACT_TEXT, UNIT_NONE, NULL),
};

static const struct field topo_rows[] = {
	FIELD(struct topo_fn, numa_node, FIELD_FACT, UNIT_NONE, NULL),
};

static const struct field nvml_rows[] = {
	FIELD(struct nvml_fn, uuid, FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD(struct nvml_fn, name, FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct nvml_fn, vram_total, "vram_total_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct nvml_fn, vram_used, "vram_used_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct nvml_fn, vram_free, "vram_free_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD(struct nvml_fn, power_mw, FIELD_FACT, UNIT_MW, NULL),
	FIELD(struct nvml_fn, power_cap_mw, FIELD_FACT, UNIT_MW, NULL),
	FIELD(struct nvml_fn, temp_mc, FIELD_FACT, UNIT_MC, NULL),
	FIELD(struct nvml_fn, busy_percent, FIELD_FACT, UNIT_NONE, NULL),
};
/* clang-format on */

json_t *answer_read(const struct machine *m, const char *name, struct err *e)
{
	own_free char *buf = NULL;
	char path[64];

	snprintf(path, sizeof(path), "answers/%s.json", name);
	long n = read_whole(m, path, ANSWER_MAX, &buf);

	if (n == -ENOENT)
		return NULL;
	if (n < 0) {
		err_set(e, (int)n, "%s cannot be read: %s", path, strerror((int)-n));
		return NULL;
	}
	return json_parse(buf, (size_t)n, path, e);
}

static json_t *devices_of(json_t *o)
{
	json_t *devices = json_object();

	json_object_set_new(o, "devices", devices);
	return devices;
}

/* The facts of one function in `devices`, as a new object there. */
static json_t *device_in(json_t *devices, const char *pci)
{
	json_t *d = json_object();

	json_object_set_new(devices, pci, d);
	return d;
}

/* Sizes, counts and sensors below zero are garbage; fields_from_json cannot know. */
static void drop_negative(const struct field *rows, size_t n, void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++) {
		struct fact *f = (struct fact *)(void *)((char *)obj + r->offset);

		if (r->kind == FIELD_FACT && fact_known(f) && f->v < 0)
			*f = fact_unknown(WHY_GARBLED);
	}
}

static bool flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* --- pci --- */

json_t *pci_view_to_json(const struct pci_view *v)
{
	json_t *o = json_answer("berth.answer.pci/1");

	json_put_bool(o, "listed", v->listed);
	json_t *devices = devices_of(o);

	for (uint32_t i = 0; i < v->n; i++) {
		const struct pci_fn *f = &v->fns[i];
		json_t *d = device_in(devices, f->pci);

		fields_to_json(d, id_rows, ARRAY_LEN(id_rows), f);
		fields_to_json(d, pci_rows, ARRAY_LEN(pci_rows), f);
		if (f->bars_known)
			json_object_set_new(d, "bars", bars_to_json(f->bars));
	}
	return o;
}

static uint32_t id_from_json(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	uint64_t v;

	return text && text_parse_u64(text, &v) == 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

void pci_view_from_json(struct pci_view *v, const json_t *o)
{
	const char *pci;
	json_t *d;

	*v = (struct pci_view) { .asked = true, .listed = flag(o, "listed") };
	json_object_foreach(json_object_get(o, "devices"), pci, d)
	{
		if (!addr_ok(pci) || v->n == PROBE_GPUS_MAX)
			continue;
		struct pci_fn *f = &v->fns[v->n++];

		text_copy(f->pci, sizeof(f->pci), pci);
		for (size_t i = 0; i < ARRAY_LEN(id_rows); i++)
			*(uint32_t *)(void *)((char *)f +
					      id_rows[i].offset) = id_from_json(d, id_rows[i].key);
		fields_from_json(d, pci_rows, ARRAY_LEN(pci_rows), f);
		f->bars_known = json_is_array(json_object_get(d, "bars"));
		bars_from_json(f->bars, json_object_get(d, "bars"));
	}
}

/* --- drm --- */

json_t *drm_view_to_json(const struct drm_view *v)
{
	json_t *o = json_answer("berth.answer.drm/1");

	json_put_bool(o, "no_nodes", v->no_nodes);
	json_t *devices = devices_of(o);

	for (uint32_t i = 0; i < v->n; i++)
		fields_to_json(device_in(devices, v->fns[i].pci), drm_rows, ARRAY_LEN(drm_rows),
			       &v->fns[i]);
	return o;
}

void drm_view_from_json(struct drm_view *v, const json_t *o)
{
	const char *pci;
	json_t *d;

	*v = (struct drm_view) { .asked = true, .no_nodes = flag(o, "no_nodes") };
	json_object_foreach(json_object_get(o, "devices"), pci, d)
	{
		if (!addr_ok(pci) || v->n == PROBE_GPUS_MAX)
			continue;
		struct drm_fn *f = &v->fns[v->n++];

		text_copy(f->pci, sizeof(f->pci), pci);
		fields_from_json(d, drm_rows, ARRAY_LEN(drm_rows), f);
	}
}

/* --- hwloc --- */

json_t *topo_view_to_json(const struct topo_view *v)
{
	json_t *o = json_answer("berth.answer.hwloc/1");
	json_t *cpu = json_object();

	fields_to_json(cpu, cpu_fields, n_cpu_topo_fields, &v->cpu);
	json_object_set_new(o, "cpu", cpu);
	json_t *devices = devices_of(o);

	for (uint32_t i = 0; i < v->n; i++)
		fields_to_json(device_in(devices, v->fns[i].pci), topo_rows, ARRAY_LEN(topo_rows),
			       &v->fns[i]);
	return o;
}

void topo_view_from_json(struct topo_view *v, const json_t *o)
{
	struct cpuset set;
	const char *pci;
	json_t *d;

	*v = (struct topo_view) { .asked = true };
	fields_from_json(json_object_get(o, "cpu"), cpu_fields, n_cpu_topo_fields, &v->cpu);
	drop_negative(cpu_fields, n_cpu_topo_fields, &v->cpu);
	/* Captures of older versions have no such key. */
	if (!json_object_get(json_object_get(o, "cpu"), "core_order"))
		v->cpu.core_order = fact_text_unknown(WHY_NONE);
	/* launch pins to it. */
	if (fact_text_known(&v->cpu.cpuset) && cpulist_parse(v->cpu.cpuset.v, &set))
		v->cpu.cpuset = fact_text_unknown(WHY_GARBLED);
	json_object_foreach(json_object_get(o, "devices"), pci, d)
	{
		if (!addr_ok(pci) || v->n == PROBE_GPUS_MAX)
			continue;
		struct topo_fn *f = &v->fns[v->n++];

		text_copy(f->pci, sizeof(f->pci), pci);
		fields_from_json(d, topo_rows, ARRAY_LEN(topo_rows), f);
		drop_negative(topo_rows, ARRAY_LEN(topo_rows), f);
	}
}

/* --- nvml --- */

json_t *nvml_view_to_json(const struct nvml_view *v)
{
	json_t *o = json_answer("berth.answer.nvml/1");

	json_put_bool(o, "asked", v->asked);
	json_object_set_new(o, "why",
			    v->asked && !v->why ? json_null() : json_string(why_name(v->why)));
	json_put_fact_text(o, "driver_version", &v->driver_version);
	json_t *devices = devices_of(o);

	for (uint32_t i = 0; i < v->n; i++)
		fields_to_json(device_in(devices, v->fns[i].pci), nvml_rows, ARRAY_LEN(nvml_rows),
			       &v->fns[i]);
	return o;
}

static void check_memory(struct nvml_fn *f)
{
	bool all = fact_known(&f->vram_total) && fact_known(&f->vram_used) &&
		   fact_known(&f->vram_free);

	if (all && (f->vram_used.v > f->vram_total.v || f->vram_free.v > f->vram_total.v))
		f->vram_total = f->vram_used = f->vram_free = fact_unknown(WHY_GARBLED);
}

void nvml_view_from_json(struct nvml_view *v, const json_t *o)
{
	const char *why = json_string_value(json_object_get(o, "why"));
	const char *pci;
	json_t *d;

	*v = (struct nvml_view) { .asked = flag(o, "asked") };
	v->why = why ? why_from_name(why) : WHY_NONE;
	v->driver_version = json_get_fact_text(o, "driver_version");
	json_object_foreach(json_object_get(o, "devices"), pci, d)
	{
		if (!addr_ok(pci) || v->n == PROBE_GPUS_MAX)
			continue;
		struct nvml_fn *f = &v->fns[v->n++];

		text_copy(f->pci, sizeof(f->pci), pci);
		fields_from_json(d, nvml_rows, ARRAY_LEN(nvml_rows), f);
		drop_negative(nvml_rows, ARRAY_LEN(nvml_rows), f);
		check_memory(f);
	}
}

void nvml_view_scrub(struct nvml_view *v)
{
	for (uint32_t i = 0; i < v->n; i++) {
		struct fact_text *uuid = &v->fns[i].uuid;

		if (fact_text_known(uuid))
			snprintf(uuid->v, sizeof(uuid->v), "GPU-00000000-0000-0000-0000-%012u", i);
	}
}
