#!/bin/sh
# SPDX-License-Identifier: MIT
# Pages that a bridge lets QEMU map, and a lost device that its guest has to let go of: host.sh OUT. With QEMU 11.1 (Debian's,
# in a root of its own) and -accel qtest, as in bridge-qtest; maps.py does it. The guest's part of an unplug is one port write.
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
	env PYTHONPATH=tests/lab python3 tests/lab/cases/bridge-map/maps.py "$BUILD/bin/berth" "$root" "$(realpath "$out")/files" bar-forward/devices
