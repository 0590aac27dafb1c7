/* SPDX-License-Identifier: MIT */
/* Where the scan and the libraries disagree. Pure: views in, texts out. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/probe_priv.h"

static void say(json_t *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(json_t *to, const char *fmt, ...)
{
	char buf[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	json_array_append_new(to, json_string(text_clean(buf)));
}

static const struct gpu *scanned(const struct run *run, const char *pci)
{
	for (uint32_t i = 0; i < run->scan.n_gpus; i++)
		if (strcmp(run->scan.gpus[i].pci, pci) == 0)
			return &run->scan.gpus[i];
	return NULL;
}

/* A library's own list is no longer than ours; what is beyond cannot be compared. */
static bool is_cut(const struct run *run, uint32_t n)
{
	return run->scan.n_left_out || n == PROBE_GPUS_MAX;
}

/* clang-format off */
static const struct {
	const char *label;
	size_t in_gpu, in_fn;
} ids[] = {
	{ "vendor", offsetof(struct gpu, vendor), offsetof(struct pci_fn, vendor) },
	{ "device", offsetof(struct gpu, device), offsetof(struct pci_fn, device) },
	{ "subsystem vendor", offsetof(struct gpu, subvendor), offsetof(struct pci_fn, subvendor) },
	{ "subsystem device", offsetof(struct gpu, subdevice), offsetof(struct pci_fn, subdevice) },
	{ "class", offsetof(struct gpu, class), offsetof(struct pci_fn, class) },
	{ "revision", offsetof(struct gpu, revision), offsetof(struct pci_fn, revision) },
};
/* clang-format on */

static void check_ids(const struct gpu *g, const struct pci_fn *f, struct check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		uint32_t ours, theirs;

		memcpy(&ours, (const char *)g + ids[i].in_gpu, sizeof(ours));
		memcpy(&theirs, (const char *)f + ids[i].in_fn, sizeof(theirs));
		if (ours != theirs)
			say(c->disagreements, "%s: %s: the scan says %04x, libpciaccess %04x",
			    g->pci, ids[i].label, ours, theirs);
	}
}

static void check_bars(const struct gpu *g, const struct pci_fn *f, struct check *c)
{
	char ours[TEXT_SIZE_MAX], theirs[TEXT_SIZE_MAX];

	if (!f->bars_known) {
		say(c->notes,
		    "%s: BARs not compared: libpciaccess reads the config space for them, which "
		    "is done only while the device is awake",
		    g->pci);
		return;
	}
	for (int i = 0; i < 6; i++) { /* libpciaccess reports another size for the ROM's shadow */
		const struct bar *a = &g->bars[i], *b = &f->bars[i];

		if (a->unassigned && !b->size_bytes) {
			say(c->notes,
			    "%s: BAR %d has no address, so libpciaccess takes it as absent", g->pci,
			    i);
			continue;
		}
		if (a->size_bytes != b->size_bytes)
			say(c->disagreements, "%s: BAR %d: the scan says %s, libpciaccess %s",
			    g->pci, i, text_size(ours, a->size_bytes),
			    text_size(theirs, b->size_bytes));
		else if (a->size_bytes && (a->io != b->io || a->prefetchable != b->prefetchable))
			say(c->disagreements,
			    "%s: BAR %d: the scan and libpciaccess disagree about its kind", g->pci,
			    i);
	}
}

static void check_pci(const struct run *run, struct check *c)
{
	if (!run->pci.listed) {
		say(c->notes, "libpciaccess's list is not here to compare");
		return;
	}
	for (uint32_t i = 0; i < run->pci.n; i++) {
		const struct pci_fn *f = &run->pci.fns[i];
		const struct gpu *g = scanned(run, f->pci);

		if (g) {
			check_ids(g, f, c);
			check_bars(g, f, c);
		} else if (!is_cut(run, run->scan.n_gpus)) {
			say(c->disagreements, "%s: libpciaccess lists it, the scan does not",
			    f->pci);
		}
	}
	for (uint32_t i = 0; i < run->scan.n_gpus; i++) {
		const char *pci = run->scan.gpus[i].pci;
		bool found = false;

		for (uint32_t k = 0; k < run->pci.n; k++)
			found |= strcmp(run->pci.fns[k].pci, pci) == 0;
		if (!found && !is_cut(run, run->pci.n))
			say(c->disagreements, "%s: the scan lists it, libpciaccess does not", pci);
	}
}

static void check_node(const struct gpu *g, const char *what, const struct fact_text *ours,
		       const struct fact_text *theirs, struct check *c)
{
	const char *a = fact_text_known(ours) ? ours->v : "none";
	const char *b = fact_text_known(theirs) ? theirs->v : "none";

	if (strcmp(a, b) != 0)
		say(c->disagreements, "%s: %s node: the scan says %s, libdrm %s", g->pci, what, a,
		    b);
}

static void check_drm_gpu(const struct run *run, const struct gpu *g, struct check *c)
{
	const struct drm_fn *f = NULL;

	for (uint32_t i = 0; i < run->drm.n && !f; i++)
		f = strcmp(run->drm.fns[i].pci, g->pci) == 0 ? &run->drm.fns[i] : NULL;
	if (f) {
		check_node(g, "card", &g->drm_card, &f->card, c);
		check_node(g, "render", &g->drm_render, &f->render, c);
	} else if (strtoull(g->pci, NULL, 16) > 0xffff) {
		say(c->notes, "%s: libdrm keeps PCI domains in 16 bits, so it cannot list this one",
		    g->pci);
	} else if (fact_text_known(&g->drm_card) || fact_text_known(&g->drm_render)) {
		say(c->disagreements, "%s: the scan lists %s, libdrm does not list the device",
		    g->pci, fact_text_known(&g->drm_card) ? g->drm_card.v : g->drm_render.v);
	} else {
		say(c->notes, "%s: libdrm does not list it: its driver (%s) makes no DRM node",
		    g->pci, fact_text_known(&g->driver) ? g->driver.v : "none");
	}
}

static void check_drm(const struct run *run, struct check *c)
{
	if (!run->drm.asked || run->drm.no_nodes) {
		say(c->notes, "%s",
		    run->drm.asked ? "libdrm sees no device: /dev/dri does not exist here"
				   : "libdrm's list is not here to compare");
		return;
	}
	for (uint32_t i = 0; i < run->scan.n_gpus; i++)
		check_drm_gpu(run, &run->scan.gpus[i], c);
	for (uint32_t i = 0; i < run->drm.n; i++)
		if (!scanned(run, run->drm.fns[i].pci) && !is_cut(run, run->scan.n_gpus))
			say(c->disagreements, "%s: libdrm lists it, the scan does not",
			    run->drm.fns[i].pci);
}

static void check_topo(const struct run *run, struct check *c)
{
	if (!run->topo.asked) {
		say(c->notes, "hwloc's view is not here to compare");
		return;
	}
	for (uint32_t i = 0; i < run->topo.n; i++) {
		const struct topo_fn *f = &run->topo.fns[i];
		const struct gpu *g = scanned(run, f->pci);

		if (!g) {
			say(c->disagreements,
			    "%s: hwloc's answer places it, the scan does not list it", f->pci);
			continue;
		}
		if (!fact_known(&g->numa_node) || !fact_known(&f->numa_node))
			continue; /* one of them does not say, which contradicts nothing */
		if (g->numa_node.v != f->numa_node.v)
			say(c->disagreements,
			    "%s: NUMA node: the scan says %lld, hwloc places its CPUs (%s) on %lld",
			    g->pci, (long long)g->numa_node.v, g->cpus.v,
			    (long long)f->numa_node.v);
	}
}

/* What the kernel's files say of a link against its registers. Speeds change with the load, widths do not. */
static void check_link(const struct gpu *g, struct check *c)
{
	const struct hop *h = &g->link.hops[0];
	const struct config_facts *k = &g->config;

	if (!g->link.n_hops)
		return;
	if (fact_known(&h->width) && fact_known(&k->width) && h->width.v != k->width.v)
		say(c->disagreements,
		    "%s: link: the kernel's file says x%lld, the configuration space x%lld", g->pci,
		    (long long)h->width.v, (long long)k->width.v);
	if (fact_known(&h->speed_mts) && fact_known(&k->speed_mts) &&
	    h->speed_mts.v != k->speed_mts.v)
		say(c->notes,
		    "%s: link: the kernel's file says %lld MT/s, the configuration space %lld: it "
		    "changed in between, or one is wrong",
		    g->pci, (long long)h->speed_mts.v, (long long)k->speed_mts.v);
}

void run_check(const struct run *run, struct check *c)
{
	c->disagreements = json_array();
	c->notes = json_array();
	check_pci(run, c);
	check_drm(run, c);
	check_topo(run, c);
	for (uint32_t i = 0; i < run->scan.n_gpus; i++)
		check_link(&run->scan.gpus[i], c);
}
