#!/bin/sh
# A stock QEMU inside of the lab's machine, whose vfio-pci gets functions of our module. QEMU is Debian's newest (qemu.sh), on
# the lab's kernel; with LAB_OWN=1 on one of our own, by an iommufd, too.
set -eu
[ "$(id -u)" = 0 ] || { echo "a root file system with QEMU wants root" && exit 77; }
command -v mmdebstrap >/dev/null || { echo "QEMU comes from Debian's backports by mmdebstrap, which is not here" && exit 77; }
root=$(sh tests/lab/qemu.sh) || { echo "there is no QEMU for it to be had" && exit 77; }
export KMOD_MACHINE=tests/lab/cases/kmod-nested/machine KMOD_ROOT="$root"
if [ -n "${LAB_OWN:-}" ]; then
	kernel=$(sh tests/lab/own_kernel.sh) || { echo "no kernel of our own" && exit 77; }
	headers=$kernel
else
	kernel=$(sh tests/lab/kernel.sh)
	headers=$(sh tests/lab/headers.sh "$kernel") || { echo "no headers of Linux $(cat "$kernel/release") to build a module with" && exit 77; }
fi
export LAB_MODULES='virtio_pci virtio_console vfio_pci vfio_iommu_type1 9pnet_virtio 9p'
exec sh tests/lab/kmod.sh "$kernel" "$headers/build" "$1"
