#!/bin/sh
# SPDX-License-Identifier: MIT
# Workers of a bridge are killed every 100 ms for a minute, under QEMU's own client and under load: host.sh OUT. A device that counts
# its writes, and one of which only the kernel's counts tell; then the holder is killed, too.
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
exec unshare --mount --propagation private timeout -k 10 240 env PYTHONPATH=tests/lab:tests \
	python3 tests/lab/cases/bridge-kill/kills.py "$BUILD/bin/berth" "$BUILD/tests/fake/prog_bridge_file" "$root" \
	"$(realpath "$out")/files" bar-forward/devices "${LAB_SECONDS:-60}"
