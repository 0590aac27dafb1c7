/* SPDX-License-Identifier: MIT */
/*
 * libpciaccess: the names of pci.ids, and its own list of functions to check ours against. Its
 * pci_device_probe() reads the config space, which wakes a device: it is called only to check, and
 * only for devices that are awake.
 */
#include <pciaccess.h>
#include <stdio.h>
#include <string.h>

#include "probe/probe_priv.h"

static struct fact_text name_of(const char *name)
{
	return name ? fact_text_of(name, SRC_PCI) : fact_text_unknown(WHY_NOT_EXPORTED);
}

/* The name of a maker of cards: as people say it where a table of ours has it. */
static const char *maker_name(uint32_t id)
{
	/* Asked as a vendor: of a match's subvendor the library gives the name of its vendor (0.17). */
	const struct pci_id_match match = { .vendor_id = id };
	const char *device = NULL, *vendor = NULL, *subdevice = NULL, *subvendor = NULL;

	if (vendor_short(id))
		return vendor_short(id);
	pci_get_strings(&match, &device, &vendor, &subdevice, &subvendor);
	return vendor;
}

/* "Sapphire NITRO+ RX 5700 XT", "Dell Radeon PRO": the card's own name, with its maker's unless it says it. */
static struct fact_text board_of(uint32_t maker_id, const char *card)
{
	const char *maker = maker_name(maker_id);
	char buf[256];

	if (maker && card && strncasecmp(maker, card, strcspn(maker, " ,")) == 0)
		maker = NULL;
	snprintf(buf, sizeof(buf), "%s%s%s", maker ? maker : "", maker && card ? " " : "",
		 card ? card : "");
	return name_of(*buf ? buf : NULL);
}

/* pci.ids is a file: looking there needs no device and no pci_system_init(). */
static void ask_names(struct pci_fn *f)
{
	const struct pci_id_match match = {
		.vendor_id = f->vendor,
		.device_id = f->device,
		.subvendor_id = f->subvendor,
		.subdevice_id = f->subdevice,
	};
	const char *device = NULL, *vendor = NULL, *subdevice = NULL, *subvendor = NULL;

	pci_get_strings(&match, &device, &vendor, &subdevice, &subvendor);
	f->vendor_name = name_of(vendor);
	f->device_name = name_of(device);
	f->board = f->subvendor ? board_of(f->subvendor, subdevice)
				: fact_text_unknown(WHY_NOT_EXPORTED);
}

static void copy_ids(struct pci_fn *f, const struct gpu *g)
{
	*f = (struct pci_fn) {
		.vendor = g->vendor,
		.device = g->device,
		.subvendor = g->subvendor,
		.subdevice = g->subdevice,
		.class = g->class,
		.revision = g->revision,
	};
	memcpy(f->pci, g->pci, sizeof(f->pci));
}

void pci_ask_names(const struct report *r, struct pci_view *v)
{
	v->asked = true;
	v->listed = false;
	v->n = r->n_gpus;
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		copy_ids(&v->fns[i], &r->gpus[i]);
		ask_names(&v->fns[i]);
	}
}

static void copy_bars(struct pci_fn *f, const struct pci_device *d)
{
	for (int i = 0; i < 6; i++) {
		const struct pci_mem_region *m = &d->regions[i];

		if (!m->size)
			continue;
		f->bars[i] = (struct bar) { .address = m->base_addr,
					    .size_bytes = m->size,
					    .io = m->is_IO,
					    .is_64bit = m->is_64,
					    .prefetchable = m->is_prefetchable };
	}
	f->bars_known = true;
}

static void copy_function(struct pci_fn *f, struct pci_device *d)
{
	*f = (struct pci_fn) {
		.vendor = d->vendor_id,
		.device = d->device_id,
		.subvendor = d->subvendor_id,
		.subdevice = d->subdevice_id,
		.class = d->device_class,
		.revision = d->revision,
	};
	snprintf(f->pci, sizeof(f->pci), "%04x:%02x:%02x.%x", d->domain, d->bus, d->dev,
		 d->func & 7u);
	ask_names(f);
}

/* Loading hwloc took its time since the scan. */
static bool is_awake(const struct machine *m, const struct gpu *g)
{
	return g && g->awake == AWAKE_YES && !asleep_now(m, g->pci);
}

void pci_ask_list(const struct machine *m, const struct report *r, bool wake, struct pci_view *v)
{
	/* A machine without a PCI bus cannot be initialised, and has an empty list. */
	if (pci_system_init() != 0) {
		pci_ask_names(r, v);
		v->listed = r->n_gpus == 0;
		return;
	}
	*v = (struct pci_view) { .asked = true, .listed = true };
	struct pci_device_iterator *it = pci_id_match_iterator_create(NULL);
	struct pci_device *d;

	while (it && (d = pci_device_next(it)) && v->n < PROBE_GPUS_MAX) {
		if (!class_is_ours(d->device_class))
			continue;
		struct pci_fn *f = &v->fns[v->n++];

		copy_function(f, d);
		const struct gpu *g = report_gpu(r, f->pci);

		if ((is_awake(m, g) || (g && wake)) && pci_device_probe(d) == 0)
			copy_bars(f, d);
	}
	pci_iterator_destroy(it);
	pci_system_cleanup();
}
