// SPDX-License-Identifier: GPL-2.0-only
/* Functions can be bound to an iommufd. */
#include <linux/vfio_pci_core.h>
const struct vfio_device_ops ops = {
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
};
