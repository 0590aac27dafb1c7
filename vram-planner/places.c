/* SPDX-License-Identifier: MIT */
/* From the probe's facts to devices that the planner may use. */
#include <stdio.h>
#include <string.h>

#include "vram-planner/cards.h"
#include "vram-planner/plan.h"

/*
 * Which of the engine's backends a kernel driver leads to, with the engine builds that berth fetches
 * (CPU, Vulkan, CUDA: core/engine/pins.tsv). launch asks the engine itself and corrects this.
 */
static const struct {
	const char *driver, *backend;
} drivers[] = {
	{ "nvidia", "cuda" }, { "amdgpu", "vulkan" },  { "i915", "vulkan" },
	{ "xe", "vulkan" },   { "nouveau", "vulkan" },
};

static const char *backend_of(const struct gpu *g)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (fact_text_known(&g->driver) && strcmp(g->driver.v, drivers[i].driver) == 0)
			return drivers[i].backend;
	}
	return "vulkan";
}

/*
 * A sleeping device is not woken: nobody uses its memory, so all that it has, when that is known from
 * elsewhere, counts as free.
 */
static struct fact free_of(const struct gpu *g)
{
	if (!fact_known(&g->vram_free) && g->awake == AWAKE_NO && fact_known(&g->vram_total))
		return fact_of(g->vram_total.v,
			       g->vram_total.src == SRC_CACHE ? SRC_CACHE : SRC_GUESS);
	return g->vram_free;
}

static struct fact known_or(const struct fact *f, uint64_t table)
{
	if (fact_known(f) || !table)
		return *f;
	return fact_of((int64_t)table, SRC_TABLE);
}

/* What decides speed: measured or reported where somebody knows, else from the table of cards. */
static void fill_speeds(struct place *p, const struct gpu *g)
{
	uint64_t total = fact_known(&g->vram_total) ? (uint64_t)g->vram_total.v : 0;
	const struct card *c = card_of_device(p->name, total);
	const struct fact none = fact_unknown(WHY_NOT_EXPORTED);

	p->bandwidth_bytes_s = known_or(&none, c ? c->bandwidth_gb_s * UINT64_C(1000000000) : 0);
	p->gflops = known_or(&none, c ? c->tflops * UINT64_C(1000) : 0);
	p->link_bytes_s = known_or(&g->link.bytes_per_s, 0);
	p->power_mw = known_or(&g->power_cap_mw, c ? c->power_w * UINT64_C(1000) : 0);
}

/*
 * What an integrated GPU reports as VRAM is the firmware's carve-out, while the engine gets that and a
 * good part of RAM: only the engine can say how much.
 */
static void place_of(struct place *p, const struct gpu *g)
{
	const struct fact shared = fact_unknown(WHY_NOT_APPLICABLE);

	*p = (struct place) { .total_bytes = g->vram_total,
			      .free_bytes = free_of(g),
			      .integrated = g->kind == GPU_INTEGRATED };
	if (p->integrated)
		p->total_bytes = p->free_bytes = shared;
	text_copy(p->pci, sizeof(p->pci), g->pci);
	if (fact_text_known(&g->uuid))
		text_copy(p->uuid, sizeof(p->uuid), g->uuid.v);
	if (fact_text_known(&g->name))
		text_copy(p->name, sizeof(p->name), g->name.v);
	else if (fact_text_known(&g->device_name))
		text_copy(p->name, sizeof(p->name), g->device_name.v);
	text_copy(p->backend, sizeof(p->backend), backend_of(g));
	snprintf(p->driver, sizeof(p->driver), "%s %s",
		 fact_text_known(&g->driver) ? g->driver.v : "",
		 fact_text_known(&g->driver_version) ? g->driver_version.v : "");
	fill_speeds(p, g);
}

static int64_t free_or_none(const struct place *p)
{
	return fact_known(&p->free_bytes) ? p->free_bytes.v : -1;
}

uint32_t places_from_report(const struct report *r, const uint32_t *chosen, uint32_t n_chosen,
			    struct place *places, struct host_place *host)
{
	uint32_t n = 0, all = n_chosen ? n_chosen : r->n_gpus;

	host->free_bytes = r->cpu.ram_available;
	for (uint32_t i = 0; i < all && n < PROBE_GPUS_MAX; i++) {
		const struct gpu *g = &r->gpus[n_chosen ? chosen[i] : i];
		struct place p;
		uint32_t at = n;

		if (!gpu_can_compute(g))
			continue;
		place_of(&p, g);
		/* Most free first, unless the user gave an order; equals stay in address order. */
		for (; !n_chosen && at > 0 && free_or_none(&places[at - 1]) < free_or_none(&p);
		     at--)
			places[at] = places[at - 1];
		places[at] = p;
		n++;
	}
	return n;
}

uint32_t places_drop_integrated(struct place *places, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!places[i].integrated)
			places[kept++] = places[i];
	return kept ? kept : n;
}
