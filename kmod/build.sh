#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Build berth_vfio.ko: build.sh KDIR FOLDER. KDIR is what the distribution's headers of a kernel give; the module
# is FOLDER/kmod/berth_vfio.ko. The sources are copied, for the kernel's build writes beside them.
#
#   KMOD_KEY=FILE KMOD_CERT=FILE  sign it, as a machine with Secure Boot wants it
#   KMOD_CHECK=1                  have sparse look at it, too
set -eu
kdir=${1:-} out=${2:-}
if [ ! -e "$kdir/Makefile" ]; then
	echo "kmod: no kernel to build for at '$kdir': install linux-headers-$(uname -r), or say make kmod KDIR=FOLDER" >&2
	exit 2
fi
here=$(dirname "$0")
mkdir -p "$out/kmod"
out=$(cd "$out" && pwd)
cp "$here"/*.[ch] "$here/Kbuild" "$out/kmod/"
sh "$here/probe.sh" "$kdir" "$out/kmod"
# Kernels with BTF describe modules with it, too, by a program that a machine may lack; the module works without.
set --
command -v pahole >/dev/null || set -- CONFIG_DEBUG_INFO_BTF_MODULES=
make -s -C "$kdir" M="$out/kmod" ${KMOD_CHECK:+C=2} "$@" modules
if [ -n "${KMOD_KEY:-}" ]; then
	if [ ! -x "$kdir/scripts/sign-file" ]; then
		echo "kmod: $kdir has no scripts/sign-file to sign it with: it was built without CONFIG_MODULE_SIG; sign $out/kmod/berth_vfio.ko by another kernel's" >&2
		exit 2
	fi
	"$kdir/scripts/sign-file" sha256 "$KMOD_KEY" "${KMOD_CERT:?is wanted with KMOD_KEY}" "$out/kmod/berth_vfio.ko"
fi
echo "$out/kmod/berth_vfio.ko"
