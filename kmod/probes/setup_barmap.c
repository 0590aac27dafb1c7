// SPDX-License-Identifier: GPL-2.0-only
/* A BAR is taken when it is first used, and we can ask for it. */
#include <linux/vfio_pci_core.h>
int take(struct vfio_pci_core_device *core);
int take(struct vfio_pci_core_device *core)
{
	return vfio_pci_core_setup_barmap(core, 0);
}
