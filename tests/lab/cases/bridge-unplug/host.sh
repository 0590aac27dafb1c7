#!/bin/sh
# SPDX-License-Identifier: MIT
# A card that is lost, and a Linux guest that lets go of it because the bridge has asked its virtual machine: host.sh OUT.
set -eu
out=$1
kernel=$(sh tests/lab/kernel.sh)
headers=$(sh tests/lab/headers.sh "$kernel") || { echo "no headers of Linux $(cat "$kernel/release") to build a driver with" && exit 77; }
LAB_QEMU=${LAB_QEMU:-$(sh tests/lab/qemu_words.sh)} || { echo "there is no QEMU that speaks vfio-user to be had" && exit 77; }
export LAB_QEMU
mkdir -p "$out"
cp -R tests/lab/cases/bridge-unplug/machine "$out/machine"
cp tests/lab/driver/card.sh "$out/machine/"
sh tests/lab/served.sh "$kernel" "$headers/build" "$out/machine" "$out"
