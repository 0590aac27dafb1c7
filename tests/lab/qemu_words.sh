#!/bin/sh
# Prints the words that run the QEMU of qemu.sh where it lies, without entering its root: vm.py's LAB_QEMU. qemu_words.sh [ROOT]
set -eu
root=${1:-$(sh "$(dirname "$0")/qemu.sh")}
libs=$root/usr/lib/x86_64-linux-gnu
echo "env QEMU_MODULE_DIR=$libs/qemu $libs/ld-linux-x86-64.so.2 --library-path $libs $root/usr/bin/qemu-system-x86_64 -L $root/usr/share/qemu -L $root/usr/share/seabios"
