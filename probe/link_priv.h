/* SPDX-License-Identifier: MIT */
/* The way of a function to the root, in three steps: read (link.c), build (link_hops.c), decide. */
#ifndef BERTH_PROBE_LINK_PRIV_H
#define BERTH_PROBE_LINK_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/probe.h"

/* A function or bridge of the way, as its files tell. A bridge's link is the one it faces. */
struct link_end {
	char pci[24];
	uint32_t vendor, device, class;
	bool pcie; /* it has link files: it speaks PCI Express */
	struct fact speed_mts, width, max_speed_mts, max_width;
};

#define LINK_ENDS_MAX (LINK_HOPS_MAX + 1)

/* --- parsers (link_parse.c) --- */

/* "16.0 GT/s PCIe" or "8 GT/s" in MT/s; "Unknown" is not exported, all else garbled. */
struct fact parse_link_speed(const char *text, enum src src);

/* "16"; 0 and 255 are the kernel's words for unknown. */
struct fact parse_link_width(const char *text, enum src src);

/* amdgpu's pp_dpm_pcie into the driver_* facts: the starred level is in force, the fastest the best. */
void parse_dpm_pcie(const char *text, struct link *l);

/* Bytes per second of so many lanes at such a speed; 0: no such link. */
int64_t link_rate(int64_t speed_mts, int64_t width);

/* --- pure --- */

/*
 * ends[0] is the function, ends[n - 1] the highest bridge kept, which stands `below_root` bridges
 * below the root bus. Fills hops[]; what the function is and what drivers say is not known yet.
 */
void link_build(struct link *l, const struct link_end *ends, uint32_t n, uint32_t below_root);

/* Everything that follows, once the kind is decided: rates, bottleneck, cause. */
void link_decide(struct gpu *g);

/* What it is, from its ids, its driver's word and its way. Also: integrated GPUs have no VRAM to lack. */
void kind_decide(struct gpu *g);

/* The first hop that is a real PCIe link, from the function upwards: the card's own. -1: none. */
int link_card_hop(const struct link *l);

/* The hop of a kind nearest to the function; -1: none. */
int link_hop_of(const struct link *l, enum hop_kind kind);

/* Whether a bridge is one that processors have above their own functions, not a slot. */
bool bridge_is_internal(uint32_t vendor, uint32_t device);

/* Functions joined to the processor by a coherent link of one package. */
bool function_is_on_package(uint32_t vendor, uint32_t device);

#endif
