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
	FIELD(struct pci_fn, board, FIELD_FACT_TEXT, UNIT_NONE, NULL),
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

void drop_negative(const struct field *rows, size_t n, void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++) {
		struct fact *f = (struct fact *)(void *)((char *)obj + r->offset);

		if (r->kind == FIELD_FACT && fact_known(f) && f->v < 0)
			*f = fact_unknown(WHY_GARBLED);
	}
}

void rows_unknown(const struct field *rows, size_t n, void *obj, enum why why)
{
	for (const struct field *r = rows; r < rows + n; r++) {
		void *at = (char *)obj + r->offset;

		if (r->kind == FIELD_FACT)
			*(struct fact *)at = fact_unknown(why);
		else if (r->kind == FIELD_FACT_TEXT)
			*(struct fact_text *)at = fact_text_unknown(why);
	}
}

/* Folders captured by an older berth lack the keys that came later. */
void rows_from_json(const json_t *o, const struct field *rows, size_t n, void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++) {
		if (json_object_get(o, r->key))
			fields_from_json(o, r, 1, obj);
		else
			rows_unknown(r, 1, obj, WHY_NONE);
	}
	drop_negative(rows, n, obj);
}

void rows_follow(const json_t *change, const struct field *rows, size_t n, void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++)
		if (json_object_get(change, r->key)) {
			fields_from_json(change, r, 1, obj);
			drop_negative(r, 1, obj);
		}
}

void facts_limit(const struct fact_limit *limits, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fact_known(limits[i].f) && limits[i].f->v > limits[i].max)
			*limits[i].f = fact_unknown(WHY_GARBLED);
}

void pair_check(struct fact *total, struct fact *used)
{
	if (fact_known(total) && fact_known(used) && used->v > total->v)
		*total = *used = fact_unknown(WHY_GARBLED);
}

void memory_check(struct fact *total, struct fact *used, struct fact *free_bytes)
{
	bool all = fact_known(total) && fact_known(used) && fact_known(free_bytes);

	if (all && (used->v > total->v || free_bytes->v > total->v))
		*total = *used = *free_bytes = fact_unknown(WHY_GARBLED);
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
