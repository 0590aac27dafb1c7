#!/bin/sh
# A Linux inside of the lab's machine, whose own drivers use devices that `berth bridge serve` hands on by the kernel's VFIO.
# It takes minutes, and a small kernel, so this is for the night: LAB_OWN=1.
set -eu
. tests/lab/needs.sh
out=$1
needs_own
needs_vm_of_it
export LAB_MODULES='virtio_pci virtio_console 9p 9pnet_virtio vfio_pci vfio_iommu_type1'
mkdir -p "$out"
out=$(realpath "$out")
cp -R tests/lab/cases/bridge-linux/machine "$out/case"
cp tests/lab/inner/outer.sh "$out/case/"
sed -i "s|@QEMU@|$root|; s|@OUT@|$out|" "$out/case/vm"
sh tests/lab/inner_data.sh make "$out" disk
sh tests/lab/inner.sh "$kernel" 'nvme igb' "$out/case/inner" "$out/known"
sh tests/lab/initramfs.sh "$kernel" "$(sh tests/lab/udev.sh)" "$out/initramfs"
python3 tests/lab/vm.py "$out/case" "$kernel" "$out/initramfs" "$out/vm" || echo "FAIL vm.py: broke"
sh tests/lab/inner_data.sh check "$out" disk
