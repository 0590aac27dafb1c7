#!/bin/sh
# As bridge-vfio, on Debian's newest kernel: by an iommufd, and without it. Building that kernel takes minutes, so this is
# for the night: LAB_OWN=1.
set -eu
. tests/lab/needs.sh
needs_own
exec sh tests/lab/vfio.sh "$kernel" "$1"
