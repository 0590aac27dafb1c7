#!/bin/sh
# A stock QEMU inside of the lab's machine, whose vfio-pci gets functions of our module. QEMU is Debian's newest (qemu.sh), on
# the lab's kernel; with LAB_OWN=1 on one of our own, by an iommufd, too.
set -eu
. tests/lab/needs.sh
needs_qemu
export KMOD_MACHINE=tests/lab/cases/kmod-nested/machine KMOD_ROOT="$root"
if [ -n "${LAB_OWN:-}" ]; then
	needs_own
else
	needs_headers
fi
export LAB_MODULES='virtio_pci virtio_console vfio_pci vfio_iommu_type1 9pnet_virtio 9p'
exec sh tests/lab/kmod.sh "$kernel" "$headers/build" "$1"
