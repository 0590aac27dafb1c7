#!/bin/sh
# The kernel's own tests of VFIO on a network card: as stock vfio-pci gives it, as our module gives it, and as a Linux inside of
# the lab's machine has it, by its own stock vfio-pci, from `berth bridge serve`. That needs a kernel with an iommufd, and
# takes minutes, so this is for the night: LAB_OWN=1.
set -eu
. tests/lab/needs.sh
out=$1
needs_own
needs_vm_of_it
tests=$(sh tests/lab/selftests.sh) || skip "the kernel's tests do not build"
export LAB_MODULES='virtio_pci virtio_console vfio_pci vfio_iommu_type1 9pnet_virtio 9p'
mkdir -p "$out/inner/selftests"
out=$(realpath "$out")
cp -R "$tests/." "$out/inner/selftests"
# It makes VFs, and asks that they be vfio-pci's: neither our module nor a bridge gives a card that has them.
rm "$out/inner/selftests/vfio_pci_sriov_uapi_test"
cp tests/lab/guest/selftests.sh "$out/inner/"
cp -R tests/lab/cases/vfio-selftests/machine "$out/machine"
cp -R "$out/inner/." tests/lab/inner/outer.sh "$out/machine/"
sh tests/lab/inner.sh "$kernel" 'vfio_pci vfio_iommu_type1' "$out/machine/inner" "$out/inner"
KMOD_MACHINE=$out/machine KMOD_ROOT=$root sh tests/lab/kmod.sh "$kernel" "$kernel/build" "$out"
