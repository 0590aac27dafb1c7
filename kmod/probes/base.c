// SPDX-License-Identifier: GPL-2.0-only
/* What every kernel that the module is built for has: where this does not compile, the others say nothing. */
#include <linux/vfio_pci_core.h>
const struct vfio_device_ops ops = {
	.init = vfio_pci_core_init_dev,
	.release = vfio_pci_core_release_dev,
	.device_feature = vfio_pci_core_ioctl_feature,
};
