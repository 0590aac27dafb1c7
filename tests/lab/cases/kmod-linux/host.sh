#!/bin/sh
# A Linux inside of the lab's machine, to which a stock QEMU hands two disks on that our module has, each in another of its modes. It takes
# minutes, and a small kernel, so this is for the night: LAB_OWN=1.
set -eu
. tests/lab/needs.sh
out=$1
needs_own
needs_qemu
mkdir -p "$out"
out=$(realpath "$out")
cp -R tests/lab/cases/kmod-linux/machine "$out/machine"
cp tests/lab/inner/outer.sh "$out/machine/"
sed -i "s|@OUT@|$out|" "$out/machine/vm"
sh tests/lab/inner_data.sh make "$out" trap revocable
sh tests/lab/inner.sh "$kernel" nvme "$out/machine/inner" "$out/known"
export LAB_MODULES='virtio_pci virtio_console vfio_pci vfio_iommu_type1 9pnet_virtio 9p'
KMOD_MACHINE=$out/machine KMOD_ROOT=$root sh tests/lab/kmod.sh "$kernel" "$kernel/build" "$out"
sh tests/lab/inner_data.sh check "$out" trap revocable
