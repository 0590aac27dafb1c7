// SPDX-License-Identifier: GPL-2.0-only
/* BARs are taken when a function is opened. */
#include <linux/vfio_pci_core.h>
void __iomem *get(struct vfio_pci_core_device *core);
void __iomem *get(struct vfio_pci_core_device *core)
{
	return vfio_pci_core_get_iomap(core, 0);
}
