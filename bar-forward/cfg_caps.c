/* SPDX-License-Identifier: MIT */
/*
 * The permission table. Numbers of capabilities and places of fields are those of the PCI Code and ID Assignment
 * Specification and of the PCI Express Base Specification 6, as linux/pci_regs.h spells them, too.
 *
 * Why capabilities are hidden: with ATS, PRI and PASID a guest could have the device use addresses that its IOMMU has not
 * translated for it; SR-IOV makes functions that no IOMMU group of the guest has; ACS, ARI and multicast are the
 * host's topology; a resized BAR would move under the host's bridges.
 */
#include <stddef.h>

#include "bar-forward/cfg_priv.h"

/* clang-format off */
static const struct cfg_cap caps[] = {
	{ 0x01, "Power Management", CFG_SHOW, 8, { { 4, 2, 0x0103, 0x8000 } } }, /* state, PME enable; PME status is the host's */
	{ 0x03, "Vital Product Data", CFG_SHOW, 8, { { 2, 2, 0x7fff, 0x8000 } } }, /* an address to read; bit 15 would write */
	{ 0x05, "MSI", CFG_SHOW, 0, { { 2, 2, 0x0071, 0 }, { 4, 4, 0xfffffffc, 0 }, { 8, 4, 0xffffffff, 0 },
		{ 12, 4, 0xffffffff, 0 }, { 16, 4, 0xffffffff, 0 } } },
	{ 0x09, "Vendor Specific", CFG_SHOW, 0, { { 0 } } }, /* read-only: what it does nobody knows */
	{ 0x0d, "Subsystem IDs", CFG_SHOW, 8, { { 0 } } },
	{ 0x0c, "Hot-plug Controller", CFG_HIDE, 8, { { 0 } } },
	{ 0x10, "PCI Express", CFG_SHOW, 0, {
		{ 8, 2, 0xfd1f, 0 },      /* device control: all but the maximum payload, which its bridges fix; FLR is bit 15 */
		{ 10, 2, 0x000f, 0x000f },/* device status: errors found, cleared by 1 */
		{ 40, 2, 0x001f, 0 },     /* device control 2: completion timeout; link control is the host's: it concerns its bridge, too */
	} },
	{ 0x11, "MSI-X", CFG_SHOW, 12, { { 2, 2, 0xc000, 0 } } }, /* enable, mask all */
	{ 0x12, "SATA", CFG_SHOW, 8, { { 0 } } },
	{ 0x13, "Advanced Features", CFG_SHOW, 6, { { 4, 1, 0x01, 0 } } }, /* function level reset */
	{ 0x14, "Enhanced Allocation", CFG_HIDE, 4, { { 0 } } },           /* addresses that nobody could move */
};

static const struct cfg_cap ext_caps[] = {
	{ 0x0001, "Advanced Error Reporting", CFG_SHOW, 0, {
		{ 4, 4, 0xffffffff, 0xffffffff }, /* uncorrectable errors found */
		{ 8, 4, 0xffffffff, 0 },          /* and which are reported */
		{ 12, 4, 0xffffffff, 0 },         /* and as what */
		{ 16, 4, 0xffffffff, 0xffffffff },/* correctable ones found */
		{ 20, 4, 0xffffffff, 0 },
		{ 24, 4, 0x00000140, 0 },         /* ECRC generation and check */
	} },
	{ 0x0002, "Virtual Channel", CFG_SHOW, 0, { { 0 } } },
	{ 0x0003, "Device Serial Number", CFG_SHOW, 12, { { 0 } } },
	{ 0x0004, "Power Budgeting", CFG_SHOW, 16, { { 4, 1, 0xff, 0 } } }, /* which row is read */
	{ 0x000b, "Vendor Specific Extended", CFG_SHOW, 0, { { 0 } } },
	{ 0x000d, "Access Control Services", CFG_HIDE, 8, { { 0 } } },
	{ 0x000e, "Alternative Routing-ID", CFG_HIDE, 8, { { 0 } } },
	{ 0x000f, "Address Translation Services", CFG_HIDE, 8, { { 0 } } },
	{ 0x0010, "Single Root I/O Virtualization", CFG_HIDE, 64, { { 0 } } },
	{ 0x0011, "Multi-Root I/O Virtualization", CFG_HIDE, 4, { { 0 } } },
	{ 0x0012, "Multicast", CFG_HIDE, 48, { { 0 } } },
	{ 0x0013, "Page Request Interface", CFG_HIDE, 16, { { 0 } } },
	{ 0x0015, "Resizable BAR", CFG_REBAR, 0, { { 0 } } },
	{ 0x0018, "Latency Tolerance Reporting", CFG_SHOW, 8, { { 0 } } },
	{ 0x0019, "Secondary PCI Express", CFG_SHOW, 0, { { 0 } } },
	{ 0x001b, "Process Address Space ID", CFG_HIDE, 8, { { 0 } } },
	{ 0x001e, "L1 PM Substates", CFG_SHOW, 0, { { 0 } } },
	{ 0x001f, "Precision Time Measurement", CFG_HIDE, 12, { { 0 } } },
	{ 0x0023, "Designated Vendor-Specific", CFG_SHOW, 0, { { 0 } } },
	{ 0x0024, "VF Resizable BAR", CFG_HIDE, 4, { { 0 } } },
	{ 0x0025, "Data Link Feature", CFG_SHOW, 12, { { 0 } } },
	{ 0x0026, "Physical Layer 16.0 GT/s", CFG_SHOW, 0, { { 0 } } },
	{ 0x0027, "Lane Margining", CFG_HIDE, 4, { { 0 } } },
};
/* clang-format on */

static const struct cfg_cap *find(const struct cfg_cap *rows, size_t n, uint16_t id)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].id == id)
			return &rows[i];
	return NULL;
}

const struct cfg_cap *cfg_cap(uint16_t id)
{
	return find(caps, sizeof(caps) / sizeof(caps[0]), id);
}

const struct cfg_cap *cfg_ext_cap(uint16_t id)
{
	return find(ext_caps, sizeof(ext_caps) / sizeof(ext_caps[0]), id);
}
