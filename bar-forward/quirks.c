/* SPDX-License-Identifier: MIT */
#include "bar-forward/quirks.h"

#include <stddef.h>

#define ANY    0, 0xffff
#define SCREEN 0x030000, 0xff0000 /* class codes of displays, 3D controllers among them */
#define ENGINE 0x120000, 0xff0000 /* processing accelerators */
#define SPACE  4096
#define KiB    1024u
#define MiB    (1024u * 1024)

enum { NVIDIA = 0x10de, ATI = 0x1002, HABANA = 0x1da3, OURS = 0x1234 };

/*
 * QEMU has such quirks for its own vfio-pci, and none for vfio-user: there they are the server's. What its file tells of the
 * hardware is taken from hw/vfio/pci-quirks.c of QEMU 10.2; it looks for NVIDIA's only where the class is that of a VGA
 * controller, and for some only with the VGA region, which is never shown here. Going through the permission table does no
 * harm where nobody asks.
 *
 * Not closed by any row: what the firmware of a card does, and AMD's own index registers in the register BAR of newer cards,
 * which reach the whole of the chip. The IOMMU and VFIO hold those, as they do without us.
 */
/* clang-format off */
static const struct quirk quirks[] = {
	{ NVIDIA, ANY, SCREEN, QUIRK_MIRROR, 0, 0x88000, SPACE, 0, 0, 0, "configuration space in the register BAR",
		"QEMU vfio_probe_nvidia_bar0_quirk; Linux nouveau nv40_pci (nv40 to Ada)" },
	{ NVIDIA, ANY, SCREEN, QUIRK_MIRROR, 0, 0x1800, 256, 0, 0, 0, "its first 256 bytes, as the first cards had it",
		"QEMU vfio_probe_nvidia_bar0_quirk; Linux nouveau nv04_pci" },
	{ NVIDIA, 0x2300, 0x23ff, SCREEN, QUIRK_MIRROR, 0, 0x92000, SPACE, 0, 0, 0, "the same of Hopper",
		"NVIDIA open-gpu-kernel-modules kbifGetPciConfigSpacePriMirror_GH100: NV_EP_PCFGM" },
	{ NVIDIA, 0x2900, 0x3fff, SCREEN, QUIRK_MIRROR, 0, 0x92000, SPACE, 0, 0, 0, "the same of Blackwell and later",
		"NVIDIA open-gpu-kernel-modules kbifGetPciConfigSpacePriMirror_GH100: NV_EP_PCFGM" },
	{ NVIDIA, ANY, SCREEN, QUIRK_WINDOW, 5, 0xc, SPACE, 0x8, 0x88000, 4 * KiB, "I/O ports that reach the mirror",
		"QEMU vfio_probe_nvidia_bar5_quirk" },
	{ NVIDIA, ANY, SCREEN, QUIRK_WINDOW, 5, 0xc, 256, 0x8, 0x1800, 4 * KiB, "I/O ports that reach the old mirror",
		"QEMU vfio_probe_nvidia_bar5_quirk" },
	{ NVIDIA, ANY, SCREEN, QUIRK_PASS, 0, 0x88068, 2, 0, 0, 0, "an MSI is acknowledged by a write to its capability's id",
		"QEMU vfio_nvidia_quirk_mirror_write; Linux nouveau nv40_pci_msi_rearm" },
	{ NVIDIA, ANY, SCREEN, QUIRK_PASS, 0, 0x88704, 4, 0, 0, 0, "an MSI is acknowledged here from Fermi on",
		"Linux nouveau gf100_pci_msi_rearm" },
	{ NVIDIA, ANY, SCREEN, QUIRK_ORDER, 0, 0, 4, 0, 0, 0, "PMC_BOOT_0, which chip it is: never 0, never changes",
		"NVIDIA open-gpu-doc dev_boot" },
	{ ATI, ANY, SCREEN, QUIRK_MIRROR, 2, 0x4000, SPACE, 0, 0, 1 * MiB, "configuration space in the register BAR, where that is BAR 2",
		"QEMU vfio_probe_ati_bar2_quirk; since Sea Islands BAR 2 is doorbells, of 2 MiB and more: Linux amdgpu_device_init" },
	{ ATI, ANY, SCREEN, QUIRK_WINDOW, 4, 0x4, SPACE, 0x0, 0x4000, 4 * KiB, "I/O ports that reach the mirror",
		"QEMU vfio_probe_ati_bar4_quirk" },
	{ ATI, ANY, SCREEN, QUIRK_ORDER, 5, 0x378c, 4, 0, 0, 0, "RCC_CONFIG_MEMSIZE, how much memory the card has",
		"Linux amdgpu_discovery.c: mmRCC_CONFIG_MEMSIZE, read before anything is known of the card" },
	{ HABANA, ANY, ENGINE, QUIRK_OPEN, 0, 0xff0, 16, 0, 0, 0, "the window that its driver starts the card through",
		"Linux drivers/accel/habanalabs/common/pci/pci.c: mmPCI_CONFIG_ELBI_ADDR to _STS" },
	{ OURS, 0xbe47, 0xbe47, 0, 0, QUIRK_ORDER, 0, 0, 4, 0, 0, 0, "the identity of our own description of a card",
		"bar-forward/devices/gpu.json" },
};
/* clang-format on */

#define N_QUIRKS (sizeof(quirks) / sizeof(quirks[0]))

static bool is_of(const struct quirk *q, uint16_t vendor, uint16_t device, uint32_t class_,
		  const uint64_t size[6])
{
	uint64_t bar = size[q->bar];

	if (q->vendor != vendor || device < q->first || device > q->last ||
	    (class_ & q->mask) != q->class_)
		return false;
	if (q->kind == QUIRK_OPEN)
		return true;
	return q->at + (uint64_t)(q->kind == QUIRK_WINDOW ? 4 : q->bytes) <= bar &&
	       (!q->bar_most || bar <= q->bar_most);
}

void quirks_find(struct quirk_set *q, uint16_t vendor, uint16_t device, uint32_t class_,
		 const uint64_t size[6])
{
	*q = (struct quirk_set) { 0 };
	for (size_t i = 0; i < N_QUIRKS && q->n < QUIRKS_MAX; i++)
		if (is_of(&quirks[i], vendor, device, class_, size))
			q->row[q->n++] = &quirks[i];
}

const struct quirk *quirks_at(const struct quirk_set *q, enum quirk_kind kind, uint32_t bar,
			      uint64_t offset, uint64_t count)
{
	for (uint32_t i = 0; i < q->n; i++) {
		const struct quirk *r = q->row[i];
		uint64_t bytes = r->kind == QUIRK_WINDOW ? 4 : r->bytes;

		if (r->kind == kind && r->bar == bar && offset < r->at + bytes &&
		    offset + count > r->at)
			return r;
	}
	return NULL;
}

const struct quirk *quirks_next(const struct quirk_set *q, enum quirk_kind kind, uint32_t *i)
{
	while (*i < q->n)
		if (q->row[(*i)++]->kind == kind)
			return q->row[*i - 1];
	return NULL;
}

int64_t quirk_target(const struct quirk *window, uint32_t index)
{
	return index >= window->base && index - window->base < window->bytes
		       ? (int64_t)(index - window->base)
		       : -1;
}
