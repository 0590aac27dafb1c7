#!/bin/sh
# SPDX-License-Identifier: MIT
# Served cards that go, in a Linux guest: host.sh OUT.
set -eu
out=$1
. tests/lab/needs.sh
needs_headers
needs_vm_of_it
mkdir -p "$out"
cp -R tests/lab/cases/bridge-removal/machine "$out/machine"
cp tests/lab/driver/card.sh "$out/machine/"
python3 tests/lab/driver/without.py msix <bar-forward/devices/gpu.json >"$out/machine/without-msix.json"
exec sh tests/lab/served.sh "$kernel" "$headers/build" "$out/machine" "$out"
