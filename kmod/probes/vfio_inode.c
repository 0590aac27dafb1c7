// SPDX-License-Identifier: GPL-2.0-only
/* All maps of a function, and nobody else's, hang on an inode of its own, so they can be taken away at once. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/vfio_pci_core.h>
void take_away(struct vfio_pci_core_device *core);
void take_away(struct vfio_pci_core_device *core)
{
	unmap_mapping_range(core->vdev.inode->i_mapping, 0, 0, true);
}
