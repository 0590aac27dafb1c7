// SPDX-License-Identifier: GPL-2.0-only
/* And taken out of an address space again. */
#include <linux/vfio_pci_core.h>
const struct vfio_device_ops ops = { .detach_ioas = vfio_iommufd_physical_detach_ioas };
