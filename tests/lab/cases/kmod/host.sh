#!/bin/sh
# The kernel module on the lab's kernel: built for it first.
set -eu
kernel=$(sh tests/lab/kernel.sh)
headers=$(sh tests/lab/headers.sh "$kernel") || { echo "no headers of Linux $(cat "$kernel/release") to build a module with" && exit 77; }
exec sh tests/lab/kmod.sh "$kernel" "$headers/build" "$1"
