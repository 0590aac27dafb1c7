// SPDX-License-Identifier: GPL-2.0-only
/* Parts of a function have address spaces of their own. */
#include <linux/vfio_pci_core.h>
const struct vfio_device_ops ops = {
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};
