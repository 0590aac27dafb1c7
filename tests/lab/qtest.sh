#!/bin/sh
# A case that is a script beside QEMU, without a kernel or a guest: qtest.sh OUT SCRIPT [WORD...] runs SCRIPT BERTH ROOT FOLDER
# DEVICES WORD..., which drives the QEMU below ROOT by its test port (qtest.py).
set -eu
: "${BUILD:=build}"
out=$1 script=$2
shift 2
. tests/lab/needs.sh
needs_qemu
mkdir -p "$out/files"
# A mount of its own over the root, so that two labs do not meet in it.
exec unshare --mount --propagation private timeout -k 10 600 env PYTHONPATH=tests/lab:tests \
	python3 "$script" "$BUILD/bin/berth" "$root" "$(realpath "$out")/files" bar-forward/devices "$@"
