/* SPDX-License-Identifier: MIT */
/*
 * The way of a PCI function to the root of the bus, hop by hop. A hop is the link between a function
 * (or a bridge on the way) and the bridge right above it.
 *
 * A card's own function is often the wrong place to look: AMD and Intel put a switch on the card and
 * report a made-up speed behind it, and tunnelled hops report 2.5 GT/s whatever the cable does.
 */
#ifndef BERTH_PROBE_LINK_H
#define BERTH_PROBE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

#define LINK_HOPS_MAX 16

enum hop_kind {
	HOP_UNKNOWN = 0,
	HOP_PCIE,         /* a slot, a cable or a trace: what it reports is true */
	HOP_ON_CARD,      /* inside the card, behind its own switch: its numbers mean nothing */
	HOP_TUNNEL,       /* carried by Thunderbolt or USB4: its numbers mean nothing */
	HOP_ON_DIE,       /* no link at all: the function is part of the processor */
	HOP_ON_PACKAGE,   /* a coherent link of one package (NVLink-C2C) */
	HOP_CONVENTIONAL, /* conventional PCI: a bus, shared */
	HOP_SWITCH,       /* between the two ports of one switch: no link at all */
	HOP_COUNT
};

/* What hops without a link worth the name report is kept as it is; their rates are not applicable. */
struct hop {
	char pci[24];   /* the lower end */
	char above[24]; /* the bridge above; empty: the root complex */
	uint32_t vendor, device, above_vendor, above_device;
	enum hop_kind kind;
	struct fact speed_mts, width; /* now; megatransfers per second (8000 = 8 GT/s), lanes */
	struct fact max_speed_mts, max_width;         /* what both ends can */
	struct fact own_max_speed_mts, own_max_width; /* what the lower end alone can */
	struct fact bytes_per_s; /* usable now: speed x width after line coding */
	struct fact max_bytes_per_s;
};

/* Why the narrowest hop is not as fast as it could be. */
enum link_cause {
	LINK_CAUSE_NONE = 0, /* it is as fast as both its ends can */
	LINK_CAUSE_IDLE, /* slower now because nothing is asked of it; it comes back under load */
	LINK_CAUSE_DOWN, /* below what both ends can while it works, or narrower: a real limit */
	LINK_CAUSE_SLOT, /* the slot or the bridge above has fewer lanes or generations than the card */
	LINK_CAUSE_TUNNEL, /* Thunderbolt or USB4 carries it */
	LINK_CAUSE_UNKNOWN,
	LINK_CAUSE_COUNT
};

struct link {
	uint32_t n_hops; /* from the function upwards */
	struct hop hops[LINK_HOPS_MAX];
	bool cut;     /* more hops than we keep */
	enum why why; /* while n_hops is 0 */
	/* What the driver says of the card's own link (amdgpu's pp_dpm_pcie): now, and at its best. */
	struct fact driver_speed_mts, driver_width, driver_best_speed_mts, driver_best_width;
	int bottleneck; /* index of the narrowest hop that counts, by the product; -1 unknown */
	enum link_cause cause;
	struct fact
		bytes_per_s; /* to expect under load; a tunnel's is what Thunderbolt leaves for PCIe */
	struct fact load_10gb_ms; /* milliseconds to move 10^10 bytes at that rate */
};

const char *hop_kind_name(enum hop_kind k); /* "pcie", "on card", "tunnel", ... */
const char *link_cause_name(
	enum link_cause c); /* "none", "idle", "downtrained", "slot", "tunnel" */

#endif
