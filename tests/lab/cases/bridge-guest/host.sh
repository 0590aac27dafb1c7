#!/bin/sh
# SPDX-License-Identifier: MIT
# A Linux guest with a served card: host.sh OUT. First a guest without an IOMMU, then one behind Intel's. By night, with
# LAB_OWN=1, also one behind virtio's, which Debian's kernels for this release do not know.
set -eu
out=$1
. tests/lab/needs.sh
needs_headers
needs_vm_of_it

# guest NAME IOMMU KERNEL KDIR LINE...: lines of its machine besides
guest() {
	name=$1 iommu=$2 kernel=$3 kdir=$4
	shift 4
	mkdir -p "$out/$name"
	cp -R tests/lab/cases/bridge-guest/machine "$out/$name/machine"
	cp tests/lab/driver/card.sh "$out/$name/machine/"
	echo "$iommu" >"$out/$name/machine/iommu"
	python3 tests/lab/driver/without.py msix <bar-forward/devices/gpu.json >"$out/$name/machine/without-msix.json"
	# An IOMMU has to be there before what it is for.
	printf '%s\n' "$@" | cat - tests/lab/cases/bridge-guest/machine/vm >"$out/$name/machine/vm"
	sh tests/lab/served.sh "$kernel" "$kdir" "$out/$name/machine" "$out/$name" |
		sed "s/^\(ok\|FAIL\) /\1 $name: /"
	PYTHONPATH=tests/lab python3 tests/lab/cases/bridge-guest/check.py "$out/$name/vm" "$name" || echo "FAIL $name: check.py: broke"
}

guest plain "" "$kernel" "$headers/build"
guest intel yes "$kernel" "$headers/build" 'cmdline intel_iommu=on iommu.strict=1' \
	'-device intel-iommu,intremap=on,caching-mode=on'
[ -n "${LAB_OWN:-}" ] || exit 0
own=$(sh tests/lab/own_kernel.sh)
export LAB_MODULES='virtio_pci virtio_console'
guest virtio yes "$own" "$own/build" '-device virtio-iommu-pci,addr=2'
