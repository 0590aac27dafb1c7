#!/bin/sh
# SPDX-License-Identifier: MIT
# What the kernel module costs beside stock vfio-pci, in an emulated machine with two equal devices: `make bench-kmod`, on the
# lab's kernel; with LAB_OWN=1 on one of our own, whose maps can be revoked. First instructions are counted, which are the same
# at each run, and meet the goals or miss them, which ends it with 1; then it is timed. Emulation makes all instructions dearer
# than the device, so a ratio here is worse than a real one.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# shellcheck source=tests/lab/needs.sh
. tests/lab/needs.sh
if [ -n "${LAB_OWN:-}" ]; then needs_own; else needs_headers; fi
bad=0

# machine NAME: what it says, as rows
machine() {
	KMOD_MACHINE="$out/$1.machine" LAB_MODULES='virtio_pci virtio_console vfio_pci vfio_iommu_type1 9pnet_virtio 9p' \
		sh tests/lab/kmod.sh "$kernel" "$headers/build" "$out/$1" >"$out/$1.log"
	grep '^ok row' "$out/$1.log" >"$out/$1.rows" || bad=1
	awk -F '|' '{
		sub(/^ok row /, "", $1)
		line = sprintf("%-58s", $1)
		if ($2 != "") line = line sprintf(" %8s %s", $2, $4)
		if ($3 != "") line = line sprintf(" against %s: %.2f", $3, $5)
		missed = $6 != "" && sprintf("%.2f", $5) + 0 > $6 + 0
		if ($6 != "") line = line sprintf(", goal %s%s", $6, missed ? "  MISSED" : "")
		sub(/ *$/, "", line)
		print line
		late += missed
	}
	END { exit late > 0 }' "$out/$1.rows" || bad=1
	! grep -A 30 '^FAIL' "$out/$1.log" || bad=1
}

mkdir "$out/timed.machine"
cp tests/bench/kmod/machine/* "$out/timed.machine/"
if (needs_qemu) >"$out/why"; then
	KMOD_ROOT=$(sh tests/lab/qemu.sh)
	export KMOD_ROOT
	as --32 -o "$out/inner.o" tests/bench/kmod/inner.S
	ld -m elf_i386 -Ttext=0xffff0000 -e 0xfffffff0 --oformat binary -o "$out/timed.machine/inner" "$out/inner.o"
else
	echo "not through QEMU: $(cat "$out/why")"
fi
cp -R "$out/timed.machine" "$out/counted.machine"
echo '-icount shift=0,sleep=off' >>"$out/counted.machine/vm"
: >"$out/counted.machine/counted"
echo "Linux $(cat "$kernel/release"), instructions counted:"
machine counted
echo "timed:"
machine timed
exit $bad
