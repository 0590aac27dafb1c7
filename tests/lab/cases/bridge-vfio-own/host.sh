#!/bin/sh
# As bridge-vfio, on Debian's newest kernel: by an iommufd, and without it. Building that kernel takes minutes, so this is
# for the night: LAB_OWN=1.
set -eu
[ -n "${LAB_OWN:-}" ] || { echo "builds a kernel; LAB_OWN=1 runs it" && exit 77; }
kernel=$(sh tests/lab/own_kernel.sh) || { echo "no kernel of our own" && exit 77; }
exec sh tests/lab/vfio.sh "$kernel" "$1"
