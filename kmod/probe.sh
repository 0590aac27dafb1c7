#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What a kernel has, by compiling a snippet for each question (probes/NAME.c), never by its version, which says little of
# a kernel that a distribution patched: probe.sh KDIR FOLDER. FOLDER/config.h gets BV_HAVE_NAME for what compiles.
set -eu
kdir=$1 out=$2 here=$(dirname "$0")
mkdir -p "$out/probes"
cp "$here"/probes/*.c "$out/probes/"
echo 'ccflags-y := -Werror -Wno-missing-prototypes' >"$out/probes/Kbuild"
names=$(cd "$out/probes" && ls -- *.c)
rm -f "$out"/probes/*.o
# shellcheck disable=SC2046,SC2086 # one word for each
make -s -k -C "$kdir" M="$out/probes" KBUILD_MODPOST_WARN=1 $(for n in $names; do echo "${n%.c}.o"; done) \
	>"$out/probes/log" 2>&1 || true
if [ ! -e "$out/probes/base.o" ]; then
	grep -v '^make' "$out/probes/log" | head -n 20 >&2
	echo "kmod: $kdir cannot build a driver for vfio_pci_core; what the compiler said is above" >&2
	exit 1
fi
{
	echo "/* Made by probe.sh for $kdir. */"
	for n in $names; do
		name=$(echo "${n%.c}" | tr '[:lower:]' '[:upper:]')
		[ "$name" = BASE ] || [ ! -e "$out/probes/${n%.c}.o" ] || echo "#define BV_HAVE_$name 1"
	done
} >"$out/config.h"
