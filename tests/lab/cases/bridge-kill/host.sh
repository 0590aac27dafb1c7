#!/bin/sh
# SPDX-License-Identifier: MIT
# Workers of a bridge are killed every 100 ms for a minute, under QEMU's own client and under load: host.sh OUT. A device that counts
# its writes, and one of which only the kernel's counts tell; then the holder is killed, too.
exec sh tests/lab/qtest.sh "$1" tests/lab/cases/bridge-kill/kills.py "${BUILD:-build}/tests/fake/prog_bridge_file" "${LAB_SECONDS:-60}"
