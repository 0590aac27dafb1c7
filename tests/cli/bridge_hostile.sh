#!/bin/sh
# SPDX-License-Identifier: MIT
# The processes of a bridge that a guest talks to are not themselves any more (tests/bridge_hostile.py): what started them is.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/bridge" ] || skip "bridge is not built"
[ -e "/proc/$$/task/$$/children" ] || skip "the kernel does not tell a process's children"
export BERTH_RUNTIME_DIR="$T/run"
exits "processes that are not themselves" 0 python3 tests/bridge_hostile.py "$BERTH" "$T" bar-forward/devices
cat "$T/out"
[ "$(grep -c '^ok ' "$T/out")" -eq 5 ] && ok "all came to their end" || fail "hostile" "$(cat "$T/err")"
[ -z "$(ls "$T/run")" ] && ok "no page is left" || fail "no page is left" "$(ls "$T/run")"
finish
