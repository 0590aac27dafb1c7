/* SPDX-License-Identifier: MIT */
/* Devices for programs, part of "berth.top/1". */
#include "tui/json_priv.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

#define ROW(member, key)                                                                           \
	{                                                                                          \
		key, offsetof(struct gpu, member)                                                  \
	}

/* clang-format off */
static const struct {
	const char *key;
	size_t offset;
} facts[] = {
	ROW(vram_total, "vram_total_bytes"),
	ROW(vram_used, "vram_used_bytes"),
	ROW(power_mw, "power_mw"),
	ROW(power_cap_mw, "power_cap_mw"),
	ROW(live.energy_uj, "energy_uj"),
	ROW(temp_mc, "temp_mc"),
	ROW(live.temp_hotspot_mc, "temp_hotspot_mc"),
	ROW(live.temp_memory_mc, "temp_memory_mc"),
	ROW(busy_percent, "busy_percent"),
	ROW(live.core_mhz, "core_mhz"),
	ROW(live.mem_mhz, "mem_mhz"),
	ROW(live.fan_percent, "fan_percent"),
	ROW(link.bytes_per_s, "link_bytes_per_s"),
	ROW(live.pcie_rx_bytes_per_s, "pcie_rx_bytes_per_s"),
	ROW(live.pcie_tx_bytes_per_s, "pcie_tx_bytes_per_s"),
};
/* clang-format on */

static json_t *held_json(const struct held *h)
{
	json_t *o = json_object();

	top_put_bytes(o, "weights_bytes", h->weights);
	top_put_bytes(o, "kv_bytes", h->kv);
	top_put_bytes(o, "compute_bytes", h->compute);
	json_put_fact(o, "other_bytes", &h->other);
	return o;
}

/* How the reading goes: when the numbers are from, and for how long the next ones have not come. */
static void put_age(json_t *o, const struct snapshot *s, const struct device_seen *seen)
{
	/* Nobody reads a captured machine's sensors, and a recording does not keep when that was. */
	top_put_count(o, "age_ms", s->origin == ORIGIN_LIVE ? seen->age_ms : TELEM_UNKNOWN);
	top_put_count(o, "waiting_ms", seen->waiting_ms);
	json_put_bool(o, "resting", seen->resting);
}

static json_t *processes_json(const struct holders *h)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < h->n_procs && i < PROCS_MAX; i++) {
		json_t *o = json_object();

		json_put_int(o, "pid", h->procs[i].pid);
		json_put_text(o, "name", h->procs[i].name);
		json_put_fact(o, "vram_bytes", &h->procs[i].vram);
		json_put_fact(o, "host_bytes", &h->procs[i].host);
		top_append(list, o);
	}
	return list;
}

static json_t *gpu_json(const struct snapshot *s, uint32_t i)
{
	const struct gpu *g = &s->report->gpus[i];
	struct held held = judge_held(s, g->pci, &g->vram_used);
	json_t *o = json_object();

	json_put_text(o, "pci", g->pci);
	json_put_fact_text(o, "name", &g->name);
	json_put_fact_text(o, "driver", &g->driver);
	json_put_text(o, "state", device_state_name(judge_device(s, i)));
	put_age(o, s, &s->devices[i]);
	top_put(o, "held", held_json(&held));
	for (size_t k = 0; k < N_OF(facts); k++)
		json_put_fact(
			o, facts[k].key,
			(const struct fact *)(const void *)((const char *)g + facts[k].offset));
	json_put_fact_text(o, "throttle", &g->live.throttle);
	json_put_text(o, "link_cause", link_cause_name(g->link.cause));
	json_put_bool(o, "tunnelled", judge_tunnelled(g));
	top_put(o, "processes", processes_json(&g->holders));
	json_put_int(o, "processes_left_out", g->holders.n_left_out);
	return o;
}

json_t *top_cpu_json(const struct snapshot *s)
{
	struct fact used = judge_ram_used(&s->report->cpu);
	struct held held = judge_held(s, NULL, &used);
	json_t *o = json_object();

	json_put_fact_text(o, "name", &s->report->cpu.name);
	json_put_fact(o, "ram_total_bytes", &s->report->cpu.ram_total);
	json_put_fact(o, "ram_used_bytes", &used);
	json_put_fact(o, "busy_percent", &s->report->cpu.busy_percent);
	top_put(o, "held", held_json(&held));
	return o;
}

json_t *top_devices_json(const struct snapshot *s)
{
	json_t *list;

	if (!s->report)
		return json_null(); /* not read yet, which is not "none" */
	list = json_array();
	for (uint32_t i = 0; i < s->report->n_gpus; i++)
		top_append(list, gpu_json(s, i));
	return list;
}
