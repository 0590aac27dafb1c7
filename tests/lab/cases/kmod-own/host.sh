#!/bin/sh
# The kernel module on Debian's newest kernel, with an iommufd, where a function is a thousand times taken away. Building that
# kernel takes minutes, so this is for the night: LAB_OWN=1.
set -eu
. tests/lab/needs.sh
needs_own
export LAB_MODULES='virtio_pci virtio_console nvme vfio_pci vfio_iommu_type1' LAB_CYCLES="${LAB_CYCLES:-1000}"
exec sh tests/lab/kmod.sh "$kernel" "$headers/build" "$1"
