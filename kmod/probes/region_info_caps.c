// SPDX-License-Identifier: GPL-2.0-only
/* Regions are told by an operation of their own, not by .ioctl. */
#include <linux/vfio_pci_core.h>
const struct vfio_device_ops ops = { .get_region_info_caps = vfio_pci_ioctl_get_region_info };
