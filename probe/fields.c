/* SPDX-License-Identifier: MIT */
/* The rows of struct gpu and struct cpu, and the report as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/section.h"

/* clang-format off */
const struct field gpu_fields[] = {
	FIELD(struct gpu, pci, FIELD_TEXT, UNIT_NONE, "address"),
	FIELD(struct gpu, class, FIELD_U32, UNIT_HEX, "class"),
	FIELD(struct gpu, vendor, FIELD_U32, UNIT_HEX, "vendor"),
	FIELD(struct gpu, device, FIELD_U32, UNIT_HEX, "device"),
	FIELD(struct gpu, subvendor, FIELD_U32, UNIT_HEX, "subsystem vendor"),
	FIELD(struct gpu, subdevice, FIELD_U32, UNIT_HEX, "subsystem device"),
	FIELD(struct gpu, revision, FIELD_U32, UNIT_HEX, "revision"),
	FIELD(struct gpu, vendor_name, FIELD_FACT_TEXT, UNIT_NONE, "vendor name"),
	FIELD(struct gpu, device_name, FIELD_FACT_TEXT, UNIT_NONE, "device name"),
	FIELD(struct gpu, name, FIELD_FACT_TEXT, UNIT_NONE, "name"),
	FIELD(struct gpu, uuid, FIELD_FACT_TEXT, UNIT_NONE, "UUID"),
	FIELD(struct gpu, driver, FIELD_FACT_TEXT, UNIT_NONE, "driver"),
	FIELD(struct gpu, driver_version, FIELD_FACT_TEXT, UNIT_NONE, "driver version"),
	FIELD(struct gpu, driver_note, FIELD_TEXT, UNIT_NONE, "driver note"),
	FIELD(struct gpu, boot_vga, FIELD_FACT, UNIT_NONE, "boot display"),
	FIELD(struct gpu, numa_node, FIELD_FACT, UNIT_NONE, "NUMA node"),
	FIELD(struct gpu, cpus, FIELD_FACT_TEXT, UNIT_NONE, "CPUs"),
	FIELD(struct gpu, iommu_group, FIELD_FACT, UNIT_NONE, "IOMMU group"),
	FIELD(struct gpu, drm_card, FIELD_FACT_TEXT, UNIT_NONE, "card node"),
	FIELD(struct gpu, drm_render, FIELD_FACT_TEXT, UNIT_NONE, "render node"),
	FIELD_KEY(struct gpu, vram_total, "vram_total_bytes", FIELD_FACT, UNIT_BYTES, "VRAM"),
	FIELD_KEY(struct gpu, vram_used, "vram_used_bytes", FIELD_FACT, UNIT_BYTES, "used"),
	FIELD_KEY(struct gpu, vram_free, "vram_free_bytes", FIELD_FACT, UNIT_BYTES, "free"),
	FIELD_KEY(struct gpu, gtt_total, "gtt_total_bytes", FIELD_FACT, UNIT_BYTES, "GTT"),
	FIELD_KEY(struct gpu, gtt_used, "gtt_used_bytes", FIELD_FACT, UNIT_BYTES, "GTT used"),
	FIELD(struct gpu, power_mw, FIELD_FACT, UNIT_MW, "power"),
	FIELD(struct gpu, power_cap_mw, FIELD_FACT, UNIT_MW, "power limit"),
	FIELD(struct gpu, temp_mc, FIELD_FACT, UNIT_MC, "temperature"),
	FIELD(struct gpu, busy_percent, FIELD_FACT, UNIT_NONE, "busy"),
};

const struct field cpu_fields[] = {
	FIELD(struct cpu, name, FIELD_FACT_TEXT, UNIT_NONE, "name"),
	FIELD(struct cpu, cores, FIELD_FACT, UNIT_NONE, "cores"),
	FIELD(struct cpu, threads, FIELD_FACT, UNIT_NONE, "threads"),
	FIELD(struct cpu, packages, FIELD_FACT, UNIT_NONE, "packages"),
	FIELD(struct cpu, numa_nodes, FIELD_FACT, UNIT_NONE, "NUMA nodes"),
	FIELD(struct cpu, cpuset, FIELD_FACT_TEXT, UNIT_NONE, "one CPU per core"),
	FIELD(struct cpu, core_order, FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct cpu, ram_total, "ram_total_bytes", FIELD_FACT, UNIT_BYTES, "RAM"),
	FIELD_KEY(struct cpu, ram_available, "ram_available_bytes", FIELD_FACT, UNIT_BYTES, "available"),
};

static const struct field report_fields[] = {
	FIELD(struct report, host, FIELD_FACT_TEXT, UNIT_NONE, "host"),
	FIELD(struct report, kernel, FIELD_FACT_TEXT, UNIT_NONE, "kernel"),
};
/* clang-format on */

const size_t n_gpu_fields = ARRAY_LEN(gpu_fields);
const size_t n_cpu_fields = ARRAY_LEN(cpu_fields);
const size_t n_cpu_topo_fields = ARRAY_LEN(cpu_fields) - 2;

json_t *bars_to_json(const struct bar bars[PROBE_BARS])
{
	json_t *a = json_array();

	for (int i = 0; i < PROBE_BARS; i++) {
		const struct bar *b = &bars[i];
		char address[24];

		if (!b->size_bytes)
			continue;
		json_t *o = json_object();

		snprintf(address, sizeof(address), "0x%" PRIx64, b->address);
		json_put_int(o, "index", i);
		if (b->unassigned)
			json_object_set_new(o, "address", json_null());
		else
			json_put_text(o, "address", address);
		json_put_int(o, "size_bytes", (int64_t)b->size_bytes);
		json_put_bool(o, "io", b->io);
		json_put_bool(o, "is_64bit", b->is_64bit);
		json_put_bool(o, "prefetchable", b->prefetchable);
		json_put_bool(o, "unassigned", b->unassigned);
		json_array_append_new(a, o);
	}
	return a;
}

void bars_from_json(struct bar bars[PROBE_BARS], const json_t *a)
{
	const json_t *o;
	size_t i;

	memset(bars, 0, PROBE_BARS * sizeof(*bars));
	json_array_foreach(a, i, o)
	{
		json_int_t index = json_integer_value(json_object_get(o, "index"));
		json_int_t size = json_integer_value(json_object_get(o, "size_bytes"));
		const char *address = json_string_value(json_object_get(o, "address"));
		uint64_t at = 0;

		if (index < 0 || index >= PROBE_BARS || size < 0 || !bar_size_ok((uint64_t)size))
			continue;
		if (address && text_parse_u64(address, &at))
			continue;
		bars[index] = (struct bar) {
			.address = at,
			.size_bytes = (uint64_t)size,
			.io = json_is_true(json_object_get(o, "io")),
			.is_64bit = json_is_true(json_object_get(o, "is_64bit")),
			.prefetchable = json_is_true(json_object_get(o, "prefetchable")),
			.unassigned = json_is_true(json_object_get(o, "unassigned")),
		};
	}
}

static void unknown(json_t *o, const char *key, enum why why)
{
	const struct fact f = fact_unknown(why);

	json_put_fact(o, key, &f);
}

json_t *gpu_to_json(const struct report *r, const struct gpu *g)
{
	json_t *o = json_object();

	fields_to_json(o, gpu_fields, n_gpu_fields, g);
	/* 0000 is nobody's vendor id: the file was missing or garbage. */
	if (!g->vendor) {
		unknown(o, "vendor", WHY_GARBLED);
		unknown(o, "device", WHY_GARBLED);
	}
	json_put_text(o, "class_name", class_name(g->class));
	json_put_bool(o, "can_compute", gpu_can_compute(g));
	if (g->awake == AWAKE_UNKNOWN)
		unknown(o, "awake", WHY_NOT_EXPORTED);
	else
		json_put_bool(o, "awake", g->awake == AWAKE_YES);
	json_object_set_new(o, "bars", bars_to_json(g->bars));
	for (const struct section *const *p = sections; *p; p++)
		if ((*p)->json)
			(*p)->json(o, g, r);
	return o;
}

json_t *probe_to_json(const struct report *r)
{
	json_t *o = json_answer("berth.probe/1");
	json_t *cpu = json_object(), *gpus = json_array();

	fields_to_json(o, report_fields, ARRAY_LEN(report_fields), r);
	fields_to_json(cpu, cpu_fields, n_cpu_fields, &r->cpu);
	json_object_set_new(o, "cpu", cpu);
	for (uint32_t i = 0; i < r->n_gpus; i++)
		json_array_append_new(gpus, gpu_to_json(r, &r->gpus[i]));
	json_object_set_new(o, "gpus", gpus);
	for (const struct section *const *p = sections; *p; p++)
		if ((*p)->json_report)
			(*p)->json_report(o, r);
	json_put_int(o, "gpus_left_out", r->n_left_out);
	json_put_int(o, "functions_unclassed", r->n_unclassed);
	return o;
}

void probe_free(struct report *r)
{
	free(r);
}
