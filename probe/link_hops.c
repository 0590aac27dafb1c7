/* SPDX-License-Identifier: MIT */
/*
 * From the ends of the way to hops, and what each hop is. Pure.
 *
 * Link files describe the link that a function or an upstream port looks up into, but the one that a
 * root port or a downstream port looks down into. Which of the two a bridge is, the kernel exports only
 * by config space; but they alternate on the way up: a bridge on the root bus looks down, the next is a
 * switch's upstream port, the next one of its downstream ports.
 */
#include <string.h>

#include "base/text.h"
#include "probe/link_priv.h"
#include "probe/probe_priv.h"
#include "probe/usb4_ids.h"

/*
 * Switches on graphics cards. Behind them every number is made up: AMD's functions claim the chip's own
 * speed at x16, Intel's 2.5 GT/s x1. An Intel upstream port says 2.5 GT/s x1 towards the slot as well
 * (nvtop pull request 344: only the root port is right), so what it can comes from Intel ARK: Arc A750
 * and A770 are PCIe 4.0 x16, A310 and A380 4.0 x8.
 *
 * Sources: pci.ids for AMD; listings of an Arc A750 (4fa0, 4fa4) and an Arc B570 (e2ff, e2f0) in
 * raspberry-pi-pcie-devices 510 and 695. 4fa1 and e2f1 are believed: seen in no listing at hand.
 */
static const struct card_bridge {
	uint16_t vendor, device;
	bool lies; /* its own 2.5 GT/s x1 is not true */
	uint32_t max_speed_mts, max_width;
} card_bridges[] = {
	{ .vendor = 0x1002, .device = 0x1470 }, /* Vega 10 */
	{ .vendor = 0x1002, .device = 0x1471 },
	{ .vendor = 0x1002, .device = 0x1478 }, /* Navi 10 and all since */
	{ .vendor = 0x1002, .device = 0x1479 },
	{ .vendor = 0x8086,
	  .device = 0x4fa0,
	  .lies = true,
	  .max_speed_mts = 16000,
	  .max_width = 16 },
	{ .vendor = 0x8086,
	  .device = 0x4fa1,
	  .lies = true,
	  .max_speed_mts = 16000,
	  .max_width = 8 },
	{ .vendor = 0x8086, .device = 0x4fa4, .lies = true },
	{ .vendor = 0x8086, .device = 0xe2ff, .lies = true }, /* Battlemage */
	{ .vendor = 0x8086, .device = 0xe2f0, .lies = true },
	{ .vendor = 0x8086, .device = 0xe2f1, .lies = true },
};

/*
 * Bridges of AMD processors to functions of the same chip; never a slot (pci.ids: "Internal PCIe GPP
 * Bridge"; 14eb and 14dd are the same part of Phoenix and Raphael, from listings).
 */
static const uint16_t amd_internal[] = {
	0x13e5, 0x13e6, 0x1454, 0x1484, 0x14b9, 0x14dd, 0x14eb,
	0x15db, 0x15dc, 0x15fd, 0x15fe, 0x162a, 0x1635, 0x1648,
};

/*
 * NVIDIA's Grace and Blackwell packages: the GPU's memory is reached over NVLink-C2C, and the PCIe link is
 * a placeholder. Linux 7.2, drivers/vfio/pci/nvgrace-gpu: 2342, 2345, 2348 GH200, 2941 GB200, 31c2 GB300;
 * 2e12 is GB10 (list of supported chips of NVIDIA's open kernel modules).
 */
static const uint16_t nvidia_on_package[] = { 0x2342, 0x2345, 0x2348, 0x2941, 0x31c2, 0x2e12 };

static bool listed(const uint16_t *ids, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

bool bridge_is_internal(uint32_t vendor, uint32_t device)
{
	return vendor == 0x1022 && listed(amd_internal, ARRAY_LEN(amd_internal), device);
}

bool function_is_on_package(uint32_t vendor, uint32_t device)
{
	return vendor == 0x10de && listed(nvidia_on_package, ARRAY_LEN(nvidia_on_package), device);
}

static const struct card_bridge *card_bridge_find(const struct link_end *e)
{
	for (size_t i = 0; i < ARRAY_LEN(card_bridges); i++)
		if (card_bridges[i].vendor == e->vendor && card_bridges[i].device == e->device)
			return &card_bridges[i];
	return NULL;
}

struct way {
	const struct link_end *ends;
	uint32_t n, below_root;
};

/* How many bridges are above it. */
static uint32_t depth(const struct way *w, uint32_t i)
{
	return w->n - 1 - i + w->below_root;
}

static bool is_bridge(const struct link_end *e)
{
	return e->class >> 8 == 0x0604;
}

static const struct tb_id *port_of(const struct link_end *e)
{
	const struct tb_id *id = tb_id_find(e->vendor, e->device);

	return tb_id_is_port(id) ? id : NULL;
}

/* Whether another Thunderbolt controller's upstream port is below end i. */
static bool another_below(const struct way *w, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (depth(w, k) % 2 == 1 && port_of(&w->ends[k]))
			return true;
	return false;
}

/*
 * Below a processor's own port, or between two controllers, there is a cable. A controller below any
 * other port is the host's own, on plain PCIe, if another follows; the last of the way is the box's.
 */
static bool is_tunnel(const struct way *w, uint32_t i)
{
	const struct tb_id *above = port_of(&w->ends[i + 1]), *id = port_of(&w->ends[i]);

	if (depth(w, i) % 2 == 0)
		return false;
	if (above && above->role == TB_HOST_PORT)
		return true;
	if (!id)
		return false;
	return above || id->role == TB_BOX_BRIDGE || !another_below(w, i);
}

static bool any_pcie_above(const struct way *w, uint32_t i)
{
	while (++i < w->n)
		if (w->ends[i].pcie)
			return true;
	return false;
}

/* On the root bus there is no link, unless a virtual machine's host hid the bridges of a real card. */
static enum hop_kind kind_on_root(const struct link_end *e)
{
	if (fact_known(&e->max_speed_mts))
		return HOP_PCIE;
	return e->vendor == 0x1002 || e->vendor == 0x10de ? HOP_UNKNOWN : HOP_ON_DIE;
}

static enum hop_kind kind_of(const struct way *w, uint32_t i)
{
	const struct link_end *e = &w->ends[i];
	const struct link_end *above = i + 1 < w->n ? &w->ends[i + 1] : NULL;

	if (i == 0 && function_is_on_package(e->vendor, e->device))
		return HOP_ON_PACKAGE;
	if (!above)
		return kind_on_root(e);
	if (card_bridge_find(above))
		return HOP_ON_CARD;
	if (bridge_is_internal(above->vendor, above->device))
		return HOP_ON_DIE;
	if (is_tunnel(w, i))
		return HOP_TUNNEL;
	if (!e->pcie)
		return any_pcie_above(w, i) ? HOP_CONVENTIONAL : HOP_UNKNOWN;
	return is_bridge(e) && depth(w, i) % 2 == 0 ? HOP_SWITCH : HOP_PCIE;
}

static struct fact known_or(const struct fact *a, const struct fact *b)
{
	return fact_known(a) || !fact_known(b) ? *a : *b;
}

/* What both can: unknown as soon as one is. */
static struct fact less(const struct fact *a, const struct fact *b)
{
	if (!fact_known(a) || !fact_known(b))
		return fact_known(a) ? *b : *a;
	return a->v <= b->v ? *a : *b;
}

/* What an end says of itself, or what the table knows better. */
static struct link_end honest(const struct link_end *e)
{
	const struct card_bridge *c = card_bridge_find(e);
	struct link_end h = *e;

	/* A later stepping that tells the truth shows more than the made-up value. */
	if (!c || !c->lies || (fact_known(&e->max_width) && e->max_width.v > 1))
		return h;
	h.speed_mts = h.width = h.max_speed_mts = h.max_width = fact_unknown(WHY_GARBLED);
	if (c->max_width) {
		h.max_speed_mts = fact_of(c->max_speed_mts, SRC_TABLE);
		h.max_width = fact_of(c->max_width, SRC_TABLE);
	}
	return h;
}

/* Intel's cards say so of every function, so where the bridges of the card are hidden nobody knows. */
static bool is_made_up(const struct link_end *e)
{
	return e->vendor == 0x8086 && e->class >> 16 == 0x03 && fact_known(&e->max_speed_mts) &&
	       e->max_speed_mts.v == 2500 && (!fact_known(&e->max_width) || e->max_width.v == 1);
}

/* A real link, which both its ends report. */
static void join(struct hop *h, const struct link_end *lower, const struct link_end *above)
{
	const struct link_end own = honest(lower);

	h->own_max_speed_mts = own.max_speed_mts;
	h->own_max_width = own.max_width;
	h->speed_mts = known_or(&own.speed_mts, &above->speed_mts);
	h->width = known_or(&own.width, &above->width);
	h->max_speed_mts = less(&own.max_speed_mts, &above->max_speed_mts);
	h->max_width = less(&own.max_width, &above->max_width);
}

static void as_reported(struct hop *h, const struct link_end *e)
{
	h->speed_mts = e->speed_mts;
	h->width = e->width;
	h->max_speed_mts = h->own_max_speed_mts = e->max_speed_mts;
	h->max_width = h->own_max_width = e->max_width;
}

static struct hop hop_of(const struct way *w, uint32_t i)
{
	const struct link_end *e = &w->ends[i];
	const struct link_end *above = i + 1 < w->n ? &w->ends[i + 1] : NULL;
	const struct fact none = fact_unknown(WHY_NOT_APPLICABLE);
	struct hop h = { .vendor = e->vendor, .device = e->device, .kind = kind_of(w, i) };

	memcpy(h.pci, e->pci, sizeof(h.pci));
	if (above) {
		memcpy(h.above, above->pci, sizeof(h.above));
		h.above_vendor = above->vendor;
		h.above_device = above->device;
	}
	if (h.kind == HOP_PCIE && above)
		join(&h, e, above);
	else if (h.kind != HOP_SWITCH)
		as_reported(&h, e);
	else
		h.speed_mts = h.width = h.max_speed_mts = h.max_width = h.own_max_speed_mts =
			h.own_max_width = none;
	if (h.kind == HOP_PCIE && is_made_up(e))
		h.speed_mts = h.width = h.max_speed_mts = h.max_width = h.own_max_speed_mts =
			h.own_max_width = fact_unknown(WHY_GARBLED);
	h.bytes_per_s = h.max_bytes_per_s = none;
	return h;
}

void link_build(struct link *l, const struct link_end *ends, uint32_t n, uint32_t below_root)
{
	const struct way w = { .ends = ends, .n = n, .below_root = below_root };

	l->n_hops = 0;
	/* The highest bridge of a whole way is on the root bus: above it is no link. */
	for (uint32_t i = 0; i < n && (i + 1 < n || n == 1) && l->n_hops < LINK_HOPS_MAX; i++)
		l->hops[l->n_hops++] = hop_of(&w, i);
}

int link_hop_of(const struct link *l, enum hop_kind kind)
{
	for (uint32_t i = 0; i < l->n_hops; i++)
		if (l->hops[i].kind == kind)
			return (int)i;
	return -1;
}

int link_card_hop(const struct link *l)
{
	return link_hop_of(l, HOP_PCIE);
}
