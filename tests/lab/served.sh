#!/bin/sh
# A guest that has served devices: served.sh KERNEL-FOLDER KDIR MACHINE-FOLDER OUT. Builds the guests' driver (driver/) for
# its kernel, and boots it in LAB_QEMU, which speaks vfio-user (needs.sh).
set -eu
kernel=$1 kdir=$2 machine=$3 out=$4
mkdir -p "$out"
[ -e "$out/initramfs" ] || sh tests/lab/initramfs.sh "$kernel" "$(sh tests/lab/udev.sh)" "$out/initramfs"
cp -R "$machine" "$out/case"
cp "$(sh tests/lab/driver.sh "$kdir" "$out/driver")" "$out/case/"
python3 tests/lab/vm.py "$out/case" "$kernel" "$out/initramfs" "$out/vm" || echo "FAIL vm.py: broke"
