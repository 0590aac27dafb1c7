/* SPDX-License-Identifier: MIT */
#include "tui/frames.h"

#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/text.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

#define FACT(m, key)  FIELD_KEY(struct gpu, m, key, FIELD_FACT, UNIT_NONE, NULL)
#define WORDS(m, key) FIELD_KEY(struct gpu, m, key, FIELD_FACT_TEXT, UNIT_NONE, NULL)

/* What the screen shows of a device. The keys are those of `berth probe --json` where it has them. */
static const struct field gpu_rows[] = {
	FIELD(struct gpu, pci, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct gpu, vendor, FIELD_U32, UNIT_HEX, NULL),
	FIELD(struct gpu, device, FIELD_U32, UNIT_HEX, NULL),
	FIELD(struct gpu, class, FIELD_U32, UNIT_HEX, NULL),
	FIELD(struct gpu, driver_note, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct gpu, kind_how, FIELD_TEXT, UNIT_NONE, NULL),
	WORDS(vendor_name, "vendor_name"),
	WORDS(device_name, "device_name"),
	WORDS(name, "name"),
	WORDS(uuid, "uuid"),
	WORDS(driver, "driver"),
	WORDS(driver_version, "driver_version"),
	WORDS(board, "board"),
	WORDS(cpus, "cpus"),
	WORDS(drm_card, "drm_card"),
	WORDS(drm_render, "drm_render"),
	WORDS(partition, "partition"),
	FACT(boot_vga, "boot_vga"),
	FACT(numa_node, "numa_node"),
	FACT(iommu_group, "iommu_group"),
	FACT(integrated, "integrated"),
	FACT(vram_total, "vram_total_bytes"),
	FACT(vram_used, "vram_used_bytes"),
	FACT(vram_free, "vram_free_bytes"),
	FACT(gtt_total, "gtt_total_bytes"),
	FACT(gtt_used, "gtt_used_bytes"),
	FACT(memory.integrated, "works_in_ram"),
	FACT(power_mw, "power_mw"),
	FACT(power_cap_mw, "power_cap_mw"),
	FACT(temp_mc, "temp_mc"),
	FACT(busy_percent, "busy_percent"),
	FACT(live.energy_uj, "energy_uj"),
	FACT(live.core_mhz, "core_mhz"),
	FACT(live.core_max_mhz, "core_max_mhz"),
	FACT(live.mem_mhz, "mem_mhz"),
	FACT(live.mem_max_mhz, "mem_max_mhz"),
	FACT(live.temp_hotspot_mc, "temp_hotspot_mc"),
	FACT(live.temp_memory_mc, "temp_memory_mc"),
	FACT(live.temp_limit_mc, "temp_limit_mc"),
	FACT(live.fan_rpm, "fan_rpm"),
	FACT(live.fan_percent, "fan_percent"),
	FACT(live.mem_busy_percent, "mem_busy_percent"),
	FACT(live.voltage_mv, "voltage_mv"),
	WORDS(live.perf_state, "perf_state"),
	WORDS(live.throttle, "throttle"),
	FACT(live.pcie_rx_bytes_per_s, "pcie_rx_bytes_per_s"),
	FACT(live.pcie_tx_bytes_per_s, "pcie_tx_bytes_per_s"),
	FACT(link.bytes_per_s, "link_bytes_per_s"),
	FACT(holders.unseen, "holders_unseen"),
	FACT(seen_s_ago, "seen_s_ago"),
};

static const struct field hop_rows[] = {
	FIELD(struct hop, pci, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct hop, above, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct hop, speed_mts, FIELD_FACT, UNIT_NONE, NULL),
	FIELD(struct hop, width, FIELD_FACT, UNIT_NONE, NULL),
	FIELD(struct hop, max_speed_mts, FIELD_FACT, UNIT_NONE, NULL),
	FIELD(struct hop, max_width, FIELD_FACT, UNIT_NONE, NULL),
	FIELD(struct hop, bytes_per_s, FIELD_FACT, UNIT_NONE, NULL),
	FIELD(struct hop, max_bytes_per_s, FIELD_FACT, UNIT_NONE, NULL),
};

static const struct field proc_rows[] = {
	FIELD(struct gpu_proc, pid, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct gpu_proc, name, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct gpu_proc, vram, "vram_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct gpu_proc, host, "host_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD(struct gpu_proc, engines, FIELD_FACT_TEXT, UNIT_NONE, NULL),
};

static const struct field seen_rows[] = {
	FIELD(struct device_seen, lost, FIELD_BOOL, UNIT_NONE, NULL),
	FIELD(struct device_seen, resting, FIELD_BOOL, UNIT_NONE, NULL),
};

static const struct field report_rows[] = {
	FIELD(struct report, host, FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD(struct report, kernel, FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct report, cpu.name, "cpu", FIELD_FACT_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct report, cpu.cores, "cores", FIELD_FACT, UNIT_NONE, NULL),
	FIELD_KEY(struct report, cpu.threads, "threads", FIELD_FACT, UNIT_NONE, NULL),
	FIELD_KEY(struct report, cpu.ram_total, "ram_total_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct report, cpu.ram_available, "ram_available_bytes", FIELD_FACT, UNIT_BYTES,
		  NULL),
	FIELD_KEY(struct report, cpu.busy_percent, "cpu_busy_percent", FIELD_FACT, UNIT_NONE, NULL),
};

/* --- numbers of small ranges, and lists --- */

static uint32_t get_below(const json_t *o, const char *key, uint32_t n)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v < 0 || v >= n ? 0 : (uint32_t)v;
}

/* Numbers that no sensor has, which sums and products of the screen were not made for. */
static void drop_absurd(const struct field *rows, size_t n, void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++) {
		struct fact *f = (struct fact *)((char *)obj + r->offset);

		if (r->kind == FIELD_FACT && fact_known(f) && (f->v < 0 || f->v > INT64_C(1) << 60))
			*f = fact_unknown(WHY_GARBLED);
	}
}

static json_t *list_of(const struct field *rows, size_t n_rows, const void *first, size_t size,
		       uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *o = json_object();

		fields_to_json(o, rows, n_rows, (const char *)first + i * size);
		json_array_append_new(list, o);
	}
	return list;
}

/* How many there were, at most `max`. */
static uint32_t list_to(const json_t *list, const struct field *rows, size_t n_rows, void *first,
			size_t size, uint32_t max)
{
	size_t n = json_array_size(list);

	n = n < max ? n : max;
	for (size_t i = 0; i < n; i++) {
		void *at = (char *)first + i * size;

		fields_restore(json_array_get(list, i), rows, n_rows, at);
		drop_absurd(rows, n_rows, at);
	}
	return (uint32_t)n;
}

/* --- the machine and its devices --- */

/* o, unless a key went. */
static json_t *unless_short(json_t *o, bool all)
{
	if (all)
		return o;
	json_decref(o);
	return NULL;
}

json_t *frame_of_machine(const struct report *r, const struct report *was)
{
	json_t *o = json_object();

	return unless_short(o, fields_to_json_since(o, report_rows, N_OF(report_rows), r, was));
}

void frame_to_machine(const json_t *o, struct report *r)
{
	fields_restore(o, report_rows, N_OF(report_rows), r);
	drop_absurd(report_rows, N_OF(report_rows), r);
}

static json_t *hops_json(const struct link *l)
{
	json_t *list = list_of(hop_rows, N_OF(hop_rows), l->hops, sizeof(l->hops[0]), l->n_hops);

	for (uint32_t i = 0; i < l->n_hops; i++)
		json_put_int(json_array_get(list, i), "kind", l->hops[i].kind);
	return list;
}

static bool same_hops(const struct link *a, const struct link *b)
{
	bool same = a->n_hops == b->n_hops;

	for (uint32_t i = 0; same && i < a->n_hops; i++)
		same = a->hops[i].kind == b->hops[i].kind &&
		       fields_same(hop_rows, N_OF(hop_rows), &a->hops[i], &b->hops[i]);
	return same;
}

static bool same_procs(const struct holders *a, const struct holders *b)
{
	bool same = a->n_procs == b->n_procs;

	for (uint32_t i = 0; same && i < a->n_procs; i++)
		same = fields_same(proc_rows, N_OF(proc_rows), &a->procs[i], &b->procs[i]);
	return same;
}

static void put_unless(json_t *o, bool same, const char *key, json_int_t v)
{
	if (!same)
		json_put_int(o, key, v);
}

static uint64_t whole_seconds_ms(const struct device_seen *seen)
{
	return seen->waiting_ms / 1000 * 1000;
}

json_t *frame_of_device(const struct gpu *g, const struct device_seen *seen,
			const struct device_told *was)
{
	const struct gpu *old = was ? &was->gpu : NULL;
	const struct device_seen *old_seen = was ? &was->seen : NULL;
	const struct holders *h = &g->holders;
	json_t *o = json_object();
	bool all = fields_to_json_since(o, gpu_rows, N_OF(gpu_rows), g, old);

	all = fields_to_json_since(o, seen_rows, N_OF(seen_rows), seen, old_seen) && all;
	put_unless(o, was && whole_seconds_ms(seen) == whole_seconds_ms(old_seen), "waiting_ms",
		   (json_int_t)whole_seconds_ms(seen));
	put_unless(o, was && g->awake == old->awake, "awake", g->awake);
	put_unless(o, was && g->kind == old->kind, "kind", g->kind);
	put_unless(o, was && g->link.cause == old->link.cause, "link_cause", g->link.cause);
	put_unless(o, was && g->link.bottleneck == old->link.bottleneck, "link_bottleneck",
		   g->link.bottleneck);
	if (!was || !same_hops(&g->link, &old->link))
		json_object_set_new(o, "hops", hops_json(&g->link));
	put_unless(o, was && h->n_left_out == old->holders.n_left_out, "procs_left_out",
		   h->n_left_out);
	if (!was || !same_procs(h, &old->holders))
		json_object_set_new(o, "procs",
				    list_of(proc_rows, N_OF(proc_rows), h->procs,
					    sizeof(h->procs[0]), h->n_procs));
	return unless_short(o, all);
}

void frame_told_device(struct device_told *told, const struct gpu *g,
		       const struct device_seen *seen)
{
	struct gpu *to = &told->gpu;

	to->awake = g->awake;
	to->kind = g->kind;
	to->link = g->link;
	to->holders.n_procs = g->holders.n_procs;
	to->holders.n_left_out = g->holders.n_left_out;
	memcpy(to->holders.procs, g->holders.procs,
	       g->holders.n_procs * sizeof(g->holders.procs[0]));
	fields_copy(gpu_rows, N_OF(gpu_rows), to, g);
	told->seen = *seen;
}

static void link_from(const json_t *o, struct link *l)
{
	const json_t *list = json_object_get(o, "hops");
	json_int_t narrowest = json_integer_value(json_object_get(o, "link_bottleneck"));

	l->n_hops = list_to(list, hop_rows, N_OF(hop_rows), l->hops, sizeof(l->hops[0]),
			    LINK_HOPS_MAX);
	for (uint32_t i = 0; i < l->n_hops; i++)
		l->hops[i].kind = get_below(json_array_get(list, i), "kind", HOP_COUNT);
	l->bottleneck = narrowest >= 0 && narrowest < l->n_hops ? (int)narrowest : -1;
	l->cause = get_below(o, "link_cause", LINK_CAUSE_COUNT);
}

void frame_to_device(const json_t *o, struct gpu *g, struct device_seen *seen)
{
	struct holders *h = &g->holders;
	json_int_t waiting = json_integer_value(json_object_get(o, "waiting_ms"));

	fields_restore(o, gpu_rows, N_OF(gpu_rows), g);
	drop_absurd(gpu_rows, N_OF(gpu_rows), g);
	fields_restore(o, seen_rows, N_OF(seen_rows), seen);
	seen->waiting_ms = waiting > 0 ? (uint64_t)waiting : 0;
	g->awake = get_below(o, "awake", AWAKE_NO + 1);
	g->kind = get_below(o, "kind", GPU_KIND_COUNT);
	link_from(o, &g->link);
	h->n_procs = list_to(json_object_get(o, "procs"), proc_rows, N_OF(proc_rows), h->procs,
			     sizeof(h->procs[0]), PROCS_MAX);
	h->n_left_out = get_below(o, "procs_left_out", UINT32_MAX);
}
