#!/bin/sh
# Real devices (QEMU's, in an emulated machine) handed on by berth bridge and the kernel's VFIO.
set -eu
kernel=$(sh tests/lab/kernel.sh)
exec sh tests/lab/vfio.sh "$kernel" "$1"
