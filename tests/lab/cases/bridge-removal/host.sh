#!/bin/sh
# SPDX-License-Identifier: MIT
# Served cards that go, in a Linux guest: host.sh OUT.
set -eu
out=$1
kernel=$(sh tests/lab/kernel.sh)
headers=$(sh tests/lab/headers.sh "$kernel") || { echo "no headers of Linux $(cat "$kernel/release") to build a driver with" && exit 77; }
LAB_QEMU=${LAB_QEMU:-$(sh tests/lab/qemu_words.sh)} || { echo "there is no QEMU that speaks vfio-user to be had" && exit 77; }
export LAB_QEMU
mkdir -p "$out"
cp -R tests/lab/cases/bridge-removal/machine "$out/machine"
cp tests/lab/driver/card.sh "$out/machine/"
python3 tests/lab/driver/without.py msix <bar-forward/devices/gpu.json >"$out/machine/without-msix.json"
exec sh tests/lab/served.sh "$kernel" "$headers/build" "$out/machine" "$out"
