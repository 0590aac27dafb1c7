#!/bin/sh
# The kernel's own tests of VFIO on a network card: as stock vfio-pci gives it, and as our module does, in each of its modes.
# They want a kernel with an iommufd, so this is for the night: LAB_OWN=1.
set -eu
. tests/lab/needs.sh
out=$1
needs_own
needs_vm_of_it
tests=$(sh tests/lab/selftests.sh) || skip "the kernel's tests do not build"
export LAB_MODULES='virtio_pci virtio_console vfio_pci vfio_iommu_type1'
mkdir -p "$out"
cp -R tests/lab/cases/vfio-selftests/machine "$out/machine"
cp -R "$tests" "$out/machine/selftests"
# It makes VFs, and asks that they be vfio-pci's: a bound card of ours has none.
rm "$out/machine/selftests/vfio_pci_sriov_uapi_test"
KMOD_MACHINE=$out/machine sh tests/lab/kmod.sh "$kernel" "$kernel/build" "$out"
