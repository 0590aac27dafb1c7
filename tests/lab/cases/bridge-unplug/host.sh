#!/bin/sh
# SPDX-License-Identifier: MIT
# A card that is lost, and a Linux guest that lets go of it because the bridge has asked its virtual machine: host.sh OUT.
set -eu
out=$1
. tests/lab/needs.sh
needs_headers
needs_vm_of_it
mkdir -p "$out"
cp -R tests/lab/cases/bridge-unplug/machine "$out/machine"
cp tests/lab/driver/card.sh "$out/machine/"
sh tests/lab/served.sh "$kernel" "$headers/build" "$out/machine" "$out"
