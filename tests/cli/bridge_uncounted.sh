#!/bin/sh
# SPDX-License-Identifier: MIT
# A worker's death on a kernel without counts of what tasks read and write (tests/uncounted.py), beside one that has them.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/bridge" ] || skip "bridge is not built"
[ -e "/proc/$$/task/$$/io" ] || skip "the kernel does not count the bytes of tasks"
[ -e "/proc/$$/syscall" ] || skip "the kernel does not tell what a task waits in"
export BERTH_RUNTIME_DIR="$T/run" ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS:-}"
exits "workers die with and without counts" 0 python3 tests/uncounted.py "$BUILD/tests/fake/prog_bridge_file" \
	"$PWD/$BUILD/tests/fake/lib_uncounted.so" "$T"
cat "$T/out"
[ "$(grep -c '^ok ' "$T/out")" -eq 4 ] && ok "all came to their end" || fail "workers" "$(cat "$T/err")"
[ -z "$(ls "$T/run")" ] && ok "no page is left" || fail "no page is left" "$(ls "$T/run")"
finish
