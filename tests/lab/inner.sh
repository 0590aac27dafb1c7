#!/bin/sh
# A Linux for a machine inside of the lab's: inner.sh KERNEL-FOLDER MODULES OUT [FOLDER...]. Writes OUT/vmlinux and
# OUT/initramfs: busybox, the modules, labedu, inner/init, and what lies in each FOLDER, at /lab. The kernel is one of
# own_kernel.sh.
#
# An emulator that is emulated itself takes some forty times as long as one that is not, so nothing is in it that is not
# used, and the kernel comes without the part that unpacks it (PVH).
set -eu
kernel=$1 modules=$2 out=$3
shift 3
mkdir -p "$out"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
root=$tmp/root

# A bzImage is a program around an xz stream.
python3 - "$kernel/vmlinuz" "$out/vmlinux" <<'END'
import lzma, sys
image = open(sys.argv[1], "rb").read()
at = image.find(b"\xfd7zXZ\0")
elf = lzma.LZMADecompressor().decompress(image[at:]) if at >= 0 else b""
if elf[:4] != b"\x7fELF":
    sys.exit(f"lab: {sys.argv[1]} holds no ELF packed by xz")
open(sys.argv[2], "wb").write(elf)
END
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/lab/modules"
busybox=$(command -v busybox) || busybox=/bin/busybox
cp -L "$busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
# shellcheck disable=SC2086 # one word per module
python3 tests/lab/modules.py "$kernel/modules" "$root/lab/modules" $modules
sh tests/lab/driver.sh "$kernel/build" "$tmp/driver" >/dev/null
cp "$tmp/driver/labedu.ko" "$root/lab/modules/"
echo "labedu labedu" >>"$root/lab/modules/order"
for folder; do
	cp -R "$folder/." "$root/lab/"
done
cp tests/lab/guest/lib.sh "$root/lab/"
cp tests/lab/inner/init "$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc -R +0:+0 --quiet) >"$out/initramfs"
