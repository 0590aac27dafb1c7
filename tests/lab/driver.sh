#!/bin/sh
# The guests' drivers, for one kernel: driver.sh KDIR FOLDER. Prints the path of the card of memory's; edu's lies beside it.
set -eu
kdir=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
cp "$(dirname "$0")"/driver/* "$out/"
# As kmod/build.sh has it: without pahole there is no BTF, and it works all the same.
set --
command -v pahole >/dev/null || set -- CONFIG_DEBUG_INFO_BTF_MODULES=
make -s -C "$kdir" M="$out" "$@" modules >"$out/log" 2>&1 || { tail -n 20 "$out/log" >&2 && exit 1; }
! grep -E 'lab[a-z]*\.c:.* warning' "$out/log" >&2 || exit 1
echo "$out/labdrive.ko"
