#!/bin/sh
# The guests' file system: initramfs.sh KERNEL-FOLDER UDEV-FOLDER OUT. Writes OUT, an uncompressed cpio archive:
# busybox, our programs from $BUILD with the libraries they load, lspci and setpci, strace, the udev daemon, the names
# of PCI ids, the modules below, and guest/. What one case adds comes as a second archive behind it (vm.py).
set -eu
: "${BUILD:=build}"
kernel=$1 udev=$2 out=$3
# What the lab itself talks through; drivers of the GPUs that QEMU has; VFIO; a disk that somebody may need, and a
# file system for it; a network card, which is reset in another way than both. LAB_MODULES: others, for a kernel that has
# not all of these.
modules=${LAB_MODULES:-'virtio_pci virtio_console bochs|bochs_drm cirrus|cirrus_qemu virtio_gpu vgem vfio_pci vfio_iommu_type1
nvme ext4 crc32c_generic|crc32c_cryptoapi e1000e'}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM

# The program and every library the loader would take for it, at their own paths.
program() {
	cp -L "$1" "$2"
	ldd "$1" | sed -n 's/^.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p' | while read -r lib; do
		mkdir -p "$root${lib%/*}"
		[ -e "$root$lib" ] || cp -L "$lib" "$root$lib"
	done
}

mkdir -p "$root/bin" "$root/sbin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/out" "$root/lab/modules" \
	"$root/berth/bin" "$root/berth/libexec/berth" "$root/usr/share/misc"
busybox=$(command -v busybox) || busybox=/bin/busybox
cp -L "$busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
program "$BUILD/bin/berth" "$root/berth/bin/berth"
# The core needs the engine, which the guest has no use for.
for p in "$BUILD"/libexec/berth/*; do
	if [ -L "$p" ]; then
		cp -P "$p" "$root/berth/libexec/berth/"
	elif [ "${p##*/}" != core ]; then
		program "$p" "$root/berth/libexec/berth/${p##*/}"
	fi
done
for p in tests/fake/prog_vfio_*.c; do
	p=$(basename "$p" .c)
	program "$BUILD/tests/fake/$p" "$root/bin/${p#prog_}"
done
program "$(PATH=$PATH:/usr/sbin:/sbin command -v lspci)" "$root/bin/lspci"
program "$(PATH=$PATH:/usr/sbin:/sbin command -v setpci)" "$root/bin/setpci"
program "$(command -v strace)" "$root/bin/strace"
program "$udev/udevadm" "$root/bin/udevadm"
ln -s udevadm "$root/bin/systemd-udevd"
for ids in /usr/share/misc/pci.ids /usr/share/hwdata/pci.ids; do
	[ ! -e "$ids" ] || cp -L "$ids" "$root/usr/share/misc/pci.ids"
done
# shellcheck disable=SC2086 # one word per module
python3 tests/lab/modules.py "$kernel/modules" "$root/lab/modules" $modules
cp tests/lab/guest/init "$root/init"
cp tests/lab/guest/modprobe "$root/sbin/modprobe"
cp tests/lab/guest/lib.sh tests/lab/guest/device.sh device/data/70-berth-vfio.rules "$root/lab/"
# The folder itself, too: mktemp made it for one user, and processes of others run in there.
chmod 755 "$root" "$root/init" "$root/sbin/modprobe"
(cd "$root" && find . | cpio -o -H newc -R +0:+0 --quiet) >"$out"
