#!/bin/sh
# SPDX-License-Identifier: MIT
# berth bridge against QEMU's own client: host.sh OUT. QEMU 11.1 (Debian's, in a root of its own) with -accel qtest has a
# vfio-user-pci device that we serve; clients.py does to it what a guest would. No kernel and no guest in it.
set -eu
: "${BUILD:=build}"
out=$1

skip() {
	echo "$*"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "a root file system with QEMU wants root"
command -v mmdebstrap >/dev/null || skip "QEMU comes from Debian's backports by mmdebstrap, which is not here"
root=$(sh tests/lab/qemu.sh) || skip "there is no QEMU that speaks vfio-user to be had"
mkdir -p "$out/files"
# A mount of its own over the root, so that two labs do not meet in it.
exec unshare --mount --propagation private timeout -k 10 240 \
	env PYTHONPATH=tests/lab python3 tests/lab/cases/bridge-qtest/clients.py "$BUILD/bin/berth" "$root" "$(realpath "$out")/files" bar-forward/devices
