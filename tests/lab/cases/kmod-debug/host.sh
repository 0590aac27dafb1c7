#!/bin/sh
# The kernel module on a kernel that looks for bugs (debug.config: KASAN, lockdep, sleeping in atomic context, leaks), and a
# thousand functions taken away. That takes half an hour of a processor, and building the kernel twenty minutes more: LAB_OWN=1.
set -eu
[ -n "${LAB_OWN:-}" ] || { echo "builds a kernel; LAB_OWN=1 runs it" && exit 77; }
kernel=$(LAB_CONFIG=tests/lab/debug.config sh tests/lab/own_kernel.sh) || { echo "no kernel of our own" && exit 77; }
export LAB_MODULES='virtio_pci virtio_console nvme vfio_pci vfio_iommu_type1' KMOD_MACHINE="$1/machine" LAB_CYCLES="${LAB_CYCLES:-1000}"
mkdir -p "$1"
cp -R tests/lab/cases/kmod/machine "$KMOD_MACHINE"
# An interrupt while the kernel looks at its processor is taken by KASAN for a wild access, with five levels of pages.
# Its look whether timers work fails on a busy host.
printf '%s\n' 'cmdline no5lvl no_timer_check' '-m 1024' >>"$KMOD_MACHINE/vm"
exec sh tests/lab/kmod.sh "$kernel" "$kernel/build" "$1"
