/* SPDX-License-Identifier: MIT */
/* What NVIDIA's library said, into the report. */
#include <stdio.h>
#include <string.h>

#include "probe/probe_priv.h"

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
