/* SPDX-License-Identifier: MIT */
/* The scan and what the libraries added, as one report. Pure. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/probe_priv.h"

#define FIND(view, pci_) find_in((view).fns, sizeof((view).fns[0]), (view).n, pci_)

/* The record of an address; every *_fn starts with it. */
static const void *find_in(const void *fns, size_t size, uint32_t n, const char *pci)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *at = (const char *)fns + i * size;

		if (strcmp(at, pci) == 0)
			return at;
	}
	return NULL;
}

_Static_assert(offsetof(struct pci_fn, pci) == 0 && offsetof(struct drm_fn, pci) == 0 &&
		       offsetof(struct topo_fn, pci) == 0,
	       "find_in");

/*
 * A name as people say it: pci.ids has "Navi 31 [Radeon RX 7900 XT/7900 XTX]" of "Advanced Micro
 * Devices, Inc. [AMD/ATI]"; on the box stands "AMD Radeon RX 7900 XT".
 */
static struct fact_text short_name(const struct gpu *g)
{
	const char *full = g->device_name.v, *vendor = vendor_short(g->vendor);
	const char *open = strchr(full, '['), *close = open ? strrchr(open, ']') : NULL;
	char buf[160];

	if (!fact_text_known(&g->device_name))
		return fact_text_unknown(g->device_name.why);
	if (open && close > open + 1)
		snprintf(buf, sizeof(buf), "%.*s", (int)(close - open - 1), open + 1);
	else
		snprintf(buf, sizeof(buf), "%s", full);
	char named[sizeof(buf) + 16];
	bool says_vendor = !vendor || strncasecmp(buf, vendor, strlen(vendor)) == 0;

	snprintf(named, sizeof(named), "%s%s%s", says_vendor ? "" : vendor, says_vendor ? "" : " ",
		 buf);
	return fact_text_of(named, g->device_name.src);
}

static void merge_names(struct gpu *g, const struct run *run)
{
	const struct pci_fn *f = FIND(run->pci, g->pci);
	enum why why = run->pci.asked ? WHY_NOT_EXPORTED : WHY_NONE;

	g->vendor_name = f ? f->vendor_name : fact_text_unknown(why);
	g->device_name = f ? f->device_name : fact_text_unknown(why);
	g->name = short_name(g);
	/* What the card says of itself goes before what pci.ids says of it. */
	if (f && !fact_text_known(&g->board) && fact_text_known(&f->board))
		g->board = f->board;
}

static void merge_nodes(struct gpu *g, const struct run *run)
{
	const struct drm_fn *f = FIND(run->drm, g->pci);

	/* sysfs names a node where no /dev file may be: libdrm has seen the file. */
	if (f && fact_text_known(&f->card))
		g->drm_card = f->card;
	if (f && fact_text_known(&f->render))
		g->drm_render = f->render;
}

static void merge_place(struct gpu *g, const struct run *run)
{
	const struct topo_fn *f = FIND(run->topo, g->pci);

	if (f && !fact_known(&g->numa_node) && fact_known(&f->numa_node))
		g->numa_node = f->numa_node;
}

/* Only the GPUs there are: the array is a megabyte. */
void report_copy(struct report *to, const struct report *from)
{
	memcpy(to, from, offsetof(struct report, gpus) + from->n_gpus * sizeof(from->gpus[0]));
}

void run_merge(struct run *run)
{
	struct report *r = &run->merged;

	report_copy(r, &run->scan);
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct gpu *g = &r->gpus[i];

		merge_names(g, run);
		merge_nodes(g, run);
		merge_place(g, run);
		nvml_merge(g, &run->nvml);
	}
}
