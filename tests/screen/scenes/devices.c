/* SPDX-License-Identifier: MIT */
/* Devices of four makers that work, and what may befall them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "tests/screen/scenes/scenes.h"

static const struct {
	const char *name;
	int64_t gib, cap_w;
} cards[] = {
	{ "NVIDIA GeForce RTX 5090", 32, 575 },
	{ "NVIDIA GeForce RTX 3090", 24, 350 },
	{ "AMD Radeon RX 7900 XTX", 24, 355 },
	{ "Intel Arc B580", 12, 190 },
};

#define N_CARDS (sizeof(cards) / sizeof(cards[0]))

static void make_gpu(struct gpu *g, uint32_t i)
{
	snprintf(g->pci, sizeof(g->pci), "0000:%02x:00.0", i + 1);
	g->name = fact_text_of(cards[i % N_CARDS].name, SRC_PCI);
	g->driver = fact_text_of(i % N_CARDS < 2    ? "nvidia"
				 : i % N_CARDS == 2 ? "amdgpu"
						    : "xe",
				 SRC_SYSFS);
	g->awake = AWAKE_YES;
	g->vram_total = fact_of(cards[i % N_CARDS].gib * GIB, SRC_NVML);
	g->power_cap_mw = fact_of(cards[i % N_CARDS].cap_w * 1000, SRC_NVML);
	g->live.mem_mhz = fact_of(14001, SRC_NVML);
	g->live.core_max_mhz = fact_of(3090, SRC_NVML);
	g->live.fan_percent = fact_of(30 + i, SRC_NVML);
	g->live.throttle = fact_text_of(i % 3 == 1 ? "power cap" : "none", SRC_NVML);
	g->live.temp_limit_mc = fact_of(95000, SRC_NVML);
	g->link.n_hops = 1;
	g->link.hops[0] = (struct hop) { .kind = HOP_PCIE,
					 .speed_mts = fact_of(i ? 16000 : 32000, SRC_SYSFS),
					 .width = fact_of(16, SRC_SYSFS) };
	text_copy(g->link.hops[0].pci, sizeof(g->link.hops[0].pci), g->pci);
	g->link.bytes_per_s = fact_of(i ? INT64_C(31500000000) : INT64_C(63000000000), SRC_SYSFS);
}

static void move_gpu(struct gpu *g, uint32_t i, uint32_t step)
{
	int64_t w = wave(step, i);

	g->vram_used = fact_of(g->vram_total.v / 100 * (40 + (int64_t)i % 5 * 8), SRC_NVML);
	g->vram_free = fact_of(g->vram_total.v - g->vram_used.v, SRC_NVML);
	g->power_mw = fact_of(g->power_cap_mw.v / 100 * (20 + w * 8 / 10), SRC_NVML);
	g->temp_mc = fact_of(45000 + w * 300, SRC_NVML);
	g->busy_percent = fact_of(w, SRC_NVML);
	g->live.core_mhz = fact_of(1800 + w * 9, SRC_NVML);
}

static void hold(struct gpu *g, uint32_t pid, const char *name, int64_t bytes)
{
	struct gpu_proc *p = &g->holders.procs[g->holders.n_procs++];

	*p = (struct gpu_proc) { .pid = pid, .vram = fact_of(bytes, SRC_NVML) };
	text_copy(p->name, sizeof(p->name), name);
	text_clean(p->name);
	p->engines = fact_text_of("compute", SRC_PROC);
}

void scene_trouble(struct scene *sc, struct snapshot *s)
{
	struct report *r = sc->report;

	if (r->n_gpus > 1 && sc->step > 20)
		s->devices[1].lost = true;
	if (r->n_gpus > 2) {
		r->gpus[2].awake = AWAKE_NO;
		r->gpus[2].power_mw = r->gpus[2].temp_mc = r->gpus[2].busy_percent = fact_unknown(
			WHY_ASLEEP);
		r->gpus[2].live = (struct live) { 0 };
	}
	if (r->n_gpus > 3 && sc->step > 48)
		s->devices[3].waiting_ms = (uint64_t)(sc->step - 48) * 1000;
	if (r->n_gpus > 4)
		r->gpus[4].temp_mc = fact_of(50000 + sc->step * 700, SRC_HWMON);
	if (r->n_gpus > 5)
		r->gpus[5].driver = fact_text_unknown(WHY_NO_DRIVER);
}

void scene_move(struct scene *sc)
{
	sc->report->cpu.busy_percent = fact_of(wave(sc->step, 9), SRC_PROC);
	for (uint32_t i = 0; i < sc->report->n_gpus; i++)
		move_gpu(&sc->report->gpus[i], i, sc->step);
}

bool scene_devices(struct scene *sc)
{
	struct report *r;

	r = sc->report = calloc(1, sizeof(*r));
	if (!r)
		return false;
	r->host = fact_text_of("ws1", SRC_PROC);
	r->cpu.name = fact_text_of("AMD Ryzen 9 9950X", SRC_HWLOC);
	r->cpu.ram_total = fact_of(128 * GIB, SRC_PROC);
	r->cpu.ram_available = fact_of(96 * GIB, SRC_PROC);
	r->n_gpus = sc->n < PROBE_GPUS_MAX ? sc->n : PROBE_GPUS_MAX;
	for (uint32_t i = 0; i < r->n_gpus; i++)
		make_gpu(&r->gpus[i], i);
	if (r->n_gpus)
		hold(&r->gpus[0], 2345, "ollama", 3 * GIB);
	if (r->n_gpus > 2)
		hold(&r->gpus[2], 1999, "Xorg", GIB / 4);
	return true;
}
