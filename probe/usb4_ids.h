/* SPDX-License-Identifier: MIT */
/* Thunderbolt and USB4 controllers by their PCI ids, and what their cables leave for PCIe. */
#ifndef BERTH_PROBE_USB4_IDS_H
#define BERTH_PROBE_USB4_IDS_H

#include <stdbool.h>
#include <stdint.h>

enum tb_role {
	TB_HOST_PORT =
		1,     /* root port of a processor with its own controller: below it is a tunnel */
	TB_BRIDGE,     /* port of a discrete controller's switch, in a host or in a box */
	TB_BOX_BRIDGE, /* port of a chip that is only built into boxes and docks */
	TB_NHI,        /* a host controller: the function the kernel's thunderbolt driver binds */
};

struct tb_id {
	uint16_t vendor, device;
	uint8_t role;       /* enum tb_role */
	uint8_t generation; /* 1, 2, 3: Thunderbolt 1-3; 4: Thunderbolt 4, USB4; 5: Thunderbolt 5 */
	bool integrated;    /* part of the processor or its chipset */
	const char *name;   /* of the controller, for people */
};

/* The row of a function; NULL: not one we know. */
const struct tb_id *tb_id_find(uint32_t vendor, uint32_t device);

/* Whether it carries PCIe: a host port or a bridge of either kind. */
bool tb_id_is_port(const struct tb_id *id);

struct tb_rate {
	uint32_t link_gbps;           /* of the cable, one way: speed of a lane x lanes */
	int64_t budget_bytes_per_s;   /* the most that a tunnel may carry of PCIe, one way */
	int64_t expected_bytes_per_s; /* what copies reach in practice */
	bool measured;                /* expected is measured; else scaled from a measured row */
};

/* By a cable's speed in Gb/s, the highest row that is not above it; NULL below all of them. */
const struct tb_rate *tb_rate_of_gbps(uint32_t gbps);

/* By generation, when nobody knows the cable: the generation's usual speed. NULL: unknown. */
const struct tb_rate *tb_rate_of_generation(uint32_t generation);

#endif
