/* SPDX-License-Identifier: MIT */
/* What moments of the monitor are made of in its tests: cards and runs as most are. */
#ifndef BERTH_TESTS_MOMENT_H
#define BERTH_TESTS_MOMENT_H

#include <stdio.h>
#include <string.h>

#include "tui/snapshot.h"

#define GIB    (INT64_C(1) << 30)
#define SECOND UINT64_C(1000000000)

/* The i-th card of a report, at bus i + 1: awake, a quarter of its memory in use. */
static inline struct gpu *moment_card(struct report *r, uint32_t i)
{
	struct gpu *g = &r->gpus[i];

	snprintf(g->pci, sizeof(g->pci), "0000:%02x:00.0", i + 1);
	g->name = fact_text_of("Card", SRC_PCI);
	g->driver = fact_text_of("amdgpu", SRC_SYSFS);
	g->awake = AWAKE_YES;
	g->vram_total = fact_of(16 * GIB, SRC_SYSFS);
	g->vram_used = fact_of(4 * GIB, SRC_SYSFS);
	g->power_mw = fact_of(100000, SRC_HWMON);
	g->temp_mc = fact_of(50000, SRC_HWMON);
	return g;
}

/* A run that generates on the first card, a tenth of its context in use. */
static inline struct run_seen *moment_run(struct run_seen *r, const char *file, const char *model)
{
	struct telem_run *run = &r->page.run;

	snprintf(r->file, sizeof(r->file), "%s", file);
	snprintf(run->model, sizeof(run->model), "%s", model);
	r->life = TELEM_ALIVE;
	run->state = TELEM_GENERATING;
	run->verified = 1;
	run->started_ns = 5;
	run->ctx_tokens = 1000;
	run->ctx_used_tokens = 100;
	run->n_devices = 1;
	strcpy(run->devices[0].pci, "0000:01:00.0");
	return r;
}

#endif
