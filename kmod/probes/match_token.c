// SPDX-License-Identifier: GPL-2.0-only
/* The token of an SR-IOV function is matched by its UUID. */
#include <linux/vfio_pci_core.h>
const struct vfio_device_ops ops = { .match_token_uuid = vfio_pci_core_match_token_uuid };
