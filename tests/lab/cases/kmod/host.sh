#!/bin/sh
# The kernel module on the lab's kernel: built for it first.
set -eu
. tests/lab/needs.sh
needs_headers
exec sh tests/lab/kmod.sh "$kernel" "$headers/build" "$1"
