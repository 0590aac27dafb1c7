#!/bin/sh
# Devices handed on by VFIO on one kernel: vfio.sh KERNEL-FOLDER OUT. Runs the machine of cases/bridge-vfio, where a program
# of vfiouser.py and a QEMU of its own use what `berth bridge serve` gives them.
set -eu
kernel=$1 out=$2
case=$out/case

. tests/lab/needs.sh
needs_vm_of_it
[ -x /usr/bin/python3 ] || skip "the system has no python3 of its own, which the machine could run"
export LAB_MODULES='virtio_pci virtio_console 9p 9pnet_virtio vfio_pci vfio_iommu_type1'
mkdir -p "$out"
cp -R tests/lab/cases/bridge-vfio/machine "$case"
out=$(realpath "$out")
sed -i "s|@QEMU@|$root|; s|@TESTS@|$PWD/tests|; s|@DISK@|$out/disk|" "$case/vm"
python3 - "$out/disk" <<'END'
import hashlib, sys
with open(sys.argv[1], "wb") as f:
    for block in range(2048):
        f.write(hashlib.sha256(b"%d" % block).digest() * 128)
END
sh tests/lab/initramfs.sh "$kernel" "$(sh tests/lab/udev.sh)" "$out/initramfs"
python3 tests/lab/vm.py "$case" "$kernel" "$out/initramfs" "$out/vm" || echo "FAIL vm.py: broke"
python3 - "$out/disk" <<'END'
import hashlib, sys
with open(sys.argv[1], "rb") as f:
    got = [f.read(4096) for block in range(2048)]
first = next((i for i, b in enumerate(got) if b != hashlib.sha256(b"%d" % (i ^ (0 if i < 1024 else 1))).digest() * 128), None)
print("ok the disk has what was written, and nothing else" if first is None else f"FAIL the disk: block {first}")
END
