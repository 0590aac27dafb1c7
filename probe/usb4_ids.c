/* SPDX-License-Identifier: MIT */
/*
 * Ids: "pci.ids" is the PCI ID Repository (2026), which names each function's part in its controller;
 * "nhi.h" is drivers/thunderbolt/nhi.h of Linux 7.2; "quirk" is drivers/pci/quirks.c of Linux 7.2, the
 * Thunderbolt root ports in its list of wrong RP PIO log sizes. Rows without a mark are from pci.ids.
 */
#include "probe/usb4_ids.h"

#include <stddef.h>

#define INTEL 0x8086
#define AMD   0x1022

/* clang-format off */
static const struct tb_id ids[] = {
	{ AMD, 0x14cd, TB_HOST_PORT, 4, true, "Rembrandt" },
	{ AMD, 0x14ef, TB_HOST_PORT, 4, true, "Phoenix" },
	{ AMD, 0x150a, TB_HOST_PORT, 4, true, "Strix" },
	{ AMD, 0x1125, TB_HOST_PORT, 4, true, "Krackan" },
	{ AMD, 0x162e, TB_NHI, 4, true, "Rembrandt" },
	{ AMD, 0x162f, TB_NHI, 4, true, "Rembrandt" },
	{ AMD, 0x1668, TB_NHI, 4, true, "Pink Sardine" },
	{ AMD, 0x1669, TB_NHI, 4, true, "Pink Sardine" },
	{ AMD, 0x15c4, TB_NHI, 4, true, "Phoenix" }, { AMD, 0x15c5, TB_NHI, 4, true, "Phoenix" },
	{ AMD, 0x151c, TB_NHI, 4, true, "Strix" }, { AMD, 0x151d, TB_NHI, 4, true, "Strix" },
	{ AMD, 0x158d, TB_NHI, 4, true, "Strix Halo" },
	{ AMD, 0x158e, TB_NHI, 4, true, "Strix Halo" },
	{ AMD, 0x1120, TB_NHI, 4, true, "Krackan" }, { AMD, 0x1121, TB_NHI, 4, true, "Krackan" },
	{ AMD, 0x113b, TB_NHI, 4, true, "Krackan" }, { AMD, 0x113c, TB_NHI, 4, true, "Krackan" },
	{ 0x106b, 0x1010, TB_HOST_PORT, 4, true, "Apple silicon" },

	{ INTEL, 0x8a1d, TB_HOST_PORT, 3, true, "Ice Lake" },
	{ INTEL, 0x8a1f, TB_HOST_PORT, 3, true, "Ice Lake" },
	{ INTEL, 0x8a21, TB_HOST_PORT, 3, true, "Ice Lake" },
	{ INTEL, 0x8a23, TB_HOST_PORT, 3, true, "Ice Lake" },
	{ INTEL, 0x8a0d, TB_NHI, 3, true, "Ice Lake" },
	{ INTEL, 0x8a17, TB_NHI, 3, true, "Ice Lake" },
	{ INTEL, 0x9a23, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a25, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a27, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a29, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a2b, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a2d, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a2f, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a31, TB_HOST_PORT, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a1b, TB_NHI, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a1d, TB_NHI, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a1f, TB_NHI, 4, true, "Tiger Lake" },
	{ INTEL, 0x9a21, TB_NHI, 4, true, "Tiger Lake" },
	{ INTEL, 0x466e, TB_HOST_PORT, 4, true, "Alder Lake" },
	{ INTEL, 0x463f, TB_HOST_PORT, 4, true, "Alder Lake" },
	{ INTEL, 0x462f, TB_HOST_PORT, 4, true, "Alder Lake" },
	{ INTEL, 0x461f, TB_HOST_PORT, 4, true, "Alder Lake" },
	{ INTEL, 0x463e, TB_NHI, 4, true, "Alder Lake" },
	{ INTEL, 0x466d, TB_NHI, 4, true, "Alder Lake" },
	{ INTEL, 0xa76e, TB_HOST_PORT, 4, true, "Raptor Lake" },
	{ INTEL, 0xa71f, TB_HOST_PORT, 4, true, "Raptor Lake" },
	{ INTEL, 0xa72f, TB_HOST_PORT, 4, true, "Raptor Lake" },
	{ INTEL, 0xa73f, TB_HOST_PORT, 4, true, "Raptor Lake" }, /* quirk */
	{ INTEL, 0xa73e, TB_NHI, 4, true, "Raptor Lake" },
	{ INTEL, 0xa76d, TB_NHI, 4, true, "Raptor Lake" },
	/* 7ec4 and 7ec6 as root ports #0 and #2 of a NUC with a Core Ultra 7 165H (Proxmox 9.1 listing). */
	{ INTEL, 0x7ec4, TB_HOST_PORT, 4, true, "Meteor Lake" },
	{ INTEL, 0x7ec5, TB_HOST_PORT, 4, true, "Meteor Lake" },
	{ INTEL, 0x7ec6, TB_HOST_PORT, 4, true, "Meteor Lake" },
	{ INTEL, 0x7ec7, TB_HOST_PORT, 4, true, "Meteor Lake" },
	{ INTEL, 0x7ec2, TB_NHI, 4, true, "Meteor Lake" },
	{ INTEL, 0x7ec3, TB_NHI, 4, true, "Meteor Lake" },
	{ INTEL, 0x7eb2, TB_NHI, 4, true, "Meteor Lake" }, /* nhi.h */
	{ INTEL, 0xa833, TB_NHI, 4, true, "Lunar Lake" },
	{ INTEL, 0xa834, TB_NHI, 4, true, "Lunar Lake" },
	{ INTEL, 0xe333, TB_NHI, 4, true, "Panther Lake" },
	{ INTEL, 0xe334, TB_NHI, 4, true, "Panther Lake" },
	{ INTEL, 0xe433, TB_NHI, 4, true, "Panther Lake" },
	{ INTEL, 0xe434, TB_NHI, 4, true, "Panther Lake" },
	{ INTEL, 0xd34e, TB_HOST_PORT, 5, true, "Nova Lake" },
	{ INTEL, 0xd34f, TB_HOST_PORT, 5, true, "Nova Lake" },
	{ INTEL, 0xd360, TB_HOST_PORT, 5, true, "Nova Lake" },
	{ INTEL, 0xd333, TB_NHI, 5, true, "Nova Lake" },
	{ INTEL, 0xd44e, TB_HOST_PORT, 5, true, "Nova Lake" },
	{ INTEL, 0xd44f, TB_HOST_PORT, 5, true, "Nova Lake" },
	{ INTEL, 0xd460, TB_HOST_PORT, 5, true, "Nova Lake" },
	{ INTEL, 0xd433, TB_NHI, 5, true, "Nova Lake" },

	/* The first three generations show the bridge and the host controller under one id. */
	{ INTEL, 0x1513, TB_BRIDGE, 1, false, "Light Ridge" },
	{ INTEL, 0x151a, TB_BRIDGE, 1, false, "Eagle Ridge" },
	{ INTEL, 0x151b, TB_BRIDGE, 1, false, "Light Peak" },
	{ INTEL, 0x1547, TB_BRIDGE, 1, false, "Cactus Ridge" },
	{ INTEL, 0x1548, TB_BRIDGE, 1, false, "Cactus Ridge" },
	{ INTEL, 0x1549, TB_BRIDGE, 1, false, "Port Ridge" },
	{ INTEL, 0x1567, TB_BRIDGE, 1, false, "Redwood Ridge" },
	{ INTEL, 0x1566, TB_NHI, 1, false, "Redwood Ridge" },
	{ INTEL, 0x1569, TB_BRIDGE, 1, false, "Redwood Ridge" },
	{ INTEL, 0x1568, TB_NHI, 1, false, "Redwood Ridge" },
	{ INTEL, 0x156b, TB_BRIDGE, 2, false, "Falcon Ridge" },
	{ INTEL, 0x156a, TB_NHI, 2, false, "Falcon Ridge" },
	{ INTEL, 0x156d, TB_BRIDGE, 2, false, "Falcon Ridge" },
	{ INTEL, 0x156c, TB_NHI, 2, false, "Falcon Ridge" },
	{ INTEL, 0x157e, TB_BRIDGE, 2, false, "Win Ridge" },
	{ INTEL, 0x157d, TB_NHI, 2, false, "Win Ridge" },
	{ INTEL, 0x1576, TB_BRIDGE, 3, false, "Alpine Ridge" },
	{ INTEL, 0x1575, TB_NHI, 3, false, "Alpine Ridge" },
	{ INTEL, 0x1578, TB_BRIDGE, 3, false, "Alpine Ridge" },
	{ INTEL, 0x1577, TB_NHI, 3, false, "Alpine Ridge" },
	{ INTEL, 0x15c0, TB_BRIDGE, 3, false, "Alpine Ridge" },
	{ INTEL, 0x15bf, TB_NHI, 3, false, "Alpine Ridge" },
	{ INTEL, 0x15d3, TB_BRIDGE, 3, false, "Alpine Ridge" },
	{ INTEL, 0x15d2, TB_NHI, 3, false, "Alpine Ridge" },
	{ INTEL, 0x15da, TB_BRIDGE, 3, false, "Alpine Ridge" },
	{ INTEL, 0x15d9, TB_NHI, 3, false, "Alpine Ridge" },
	{ INTEL, 0x15e7, TB_BRIDGE, 3, false, "Titan Ridge" },
	{ INTEL, 0x15e8, TB_NHI, 3, false, "Titan Ridge" },
	{ INTEL, 0x15ea, TB_BRIDGE, 3, false, "Titan Ridge" },
	{ INTEL, 0x15eb, TB_NHI, 3, false, "Titan Ridge" },
	{ INTEL, 0x15ef, TB_BOX_BRIDGE, 3, false, "Titan Ridge DD" },
	{ INTEL, 0x0b26, TB_BOX_BRIDGE, 4, false, "Goshen Ridge" },
	{ INTEL, 0x1133, TB_BRIDGE, 4, false, "Maple Ridge" },
	{ INTEL, 0x1134, TB_NHI, 4, false, "Maple Ridge" },
	{ INTEL, 0x1136, TB_BRIDGE, 4, false, "Maple Ridge" },
	{ INTEL, 0x1137, TB_NHI, 4, false, "Maple Ridge" },
	{ INTEL, 0x5780, TB_BRIDGE, 5, false, "Barlow Ridge" },
	{ INTEL, 0x5781, TB_NHI, 5, false, "Barlow Ridge" },
	{ INTEL, 0x5783, TB_BRIDGE, 4, false, "Barlow Ridge" },
	{ INTEL, 0x5784, TB_NHI, 4, false, "Barlow Ridge" },
	{ INTEL, 0x5786, TB_BOX_BRIDGE, 5, false, "Barlow Ridge hub" },
	{ INTEL, 0x57a4, TB_BOX_BRIDGE, 4, false, "Barlow Ridge hub" },
	{ 0x1b21, 0x2421, TB_BRIDGE, 4, false, "ASM4242" },
	{ 0x1b21, 0x2423, TB_BRIDGE, 4, false, "ASM4242" },
	{ 0x1b21, 0x2425, TB_NHI, 4, false, "ASM4242" },
	{ 0x1b21, 0x2463, TB_BOX_BRIDGE, 4, false, "ASM2464PD" },
};

/*
 * A tunnel's part of the cable. Thunderbolt 3 and USB4 at 40 Gb/s give PCIe at most 32 Gb/s, of which
 * copies reach 22 to 25: 2.80 GB/s towards the card and 3.29 back were measured with nvbandwidth on an
 * RTX 5090 behind Thunderbolt 4, 19 to 22 Gb/s towards it elsewhere. At 20 Gb/s the budget is 16, at 80
 * it is 64 (Thunderbolt 5 brief, Intel 2023); nobody's measurement is at hand, so the ratio of the 40 Gb/s
 * row stands in. Thunderbolt 1 and 2 tunnel PCIe 2.0 x4 over one channel of 10 or two joined to 20.
 */
static const struct tb_rate rates[] = {
	{ .link_gbps = 80, .budget_bytes_per_s = 8000000000, .expected_bytes_per_s = 5500000000 },
	{ .link_gbps = 40, .budget_bytes_per_s = 4000000000, .expected_bytes_per_s = 2750000000,
	  .measured = true },
	{ .link_gbps = 20, .budget_bytes_per_s = 2000000000, .expected_bytes_per_s = 1375000000 },
	{ .link_gbps = 10, .budget_bytes_per_s = 1000000000, .expected_bytes_per_s = 687500000 },
};
/* clang-format on */

/* The speed a generation's cables usually run at, Gb/s one way. */
static const uint32_t usual_gbps[] = { [1] = 10, [2] = 20, [3] = 40, [4] = 40, [5] = 80 };

const struct tb_id *tb_id_find(uint32_t vendor, uint32_t device)
{
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i].vendor == vendor && ids[i].device == device)
			return &ids[i];
	return NULL;
}

bool tb_id_is_port(const struct tb_id *id)
{
	return id && id->role != TB_NHI;
}

const struct tb_rate *tb_rate_of_gbps(uint32_t gbps)
{
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		if (rates[i].link_gbps <= gbps)
			return &rates[i];
	return NULL;
}

const struct tb_rate *tb_rate_of_generation(uint32_t generation)
{
	if (generation >= sizeof(usual_gbps) / sizeof(usual_gbps[0]))
		return NULL;
	return tb_rate_of_gbps(usual_gbps[generation]);
}
