#!/bin/sh
# The kernel module on Debian's newest kernel, with an iommufd. Building that kernel takes minutes, so this is for the
# night: LAB_OWN=1.
set -eu
[ -n "${LAB_OWN:-}" ] || { echo "builds a kernel; LAB_OWN=1 runs it" && exit 77; }
kernel=$(sh tests/lab/own_kernel.sh) || { echo "no kernel of our own" && exit 77; }
export LAB_MODULES='virtio_pci virtio_console nvme vfio_pci vfio_iommu_type1'
exec sh tests/lab/kmod.sh "$kernel" "$kernel/build" "$1"
