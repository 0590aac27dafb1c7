#!/bin/sh
# What a register costs through the kernel module, against stock vfio-pci, in an emulated machine with the lab's kernel:
# `make bench-kmod`. Emulation makes all instructions dearer than the device, so a ratio here is worse than a real one.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
kernel=$(sh tests/lab/kernel.sh)
headers=$(sh tests/lab/headers.sh "$kernel")
KMOD_MACHINE=tests/bench/kmod LAB_MODULES='virtio_pci virtio_console vfio_pci vfio_iommu_type1' \
	sh tests/lab/kmod.sh "$kernel" "$headers/build" "$out/kmod" >"$out/log"
sed -n 's/^ok \(.* against .*\)/\1/p' "$out/log"
! grep '^FAIL' "$out/log"
