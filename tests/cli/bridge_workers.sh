#!/bin/sh
# SPDX-License-Identifier: MIT
# Workers of a bridge are killed at any moment (tests/workers.py), for a few seconds; the lab does it for longer.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/bridge" ] || skip "bridge is not built"
[ -e /proc/self/task/self/io ] || [ -e "/proc/$$/task/$$/io" ] || skip "the kernel does not count the bytes of tasks"
export BERTH_RUNTIME_DIR="$T/run"
exits "workers are killed" 0 python3 tests/workers.py "$BERTH" "$BUILD/tests/fake/prog_bridge_file" "$T" bar-forward/devices "${SECONDS_EACH:-2}"
cat "$T/out"
[ "$(grep -c '^ok ' "$T/out")" -ge 5 ] && ok "all came to their end" || fail "workers" "$(cat "$T/err")"
[ -z "$(ls "$T/run")" ] && ok "no page is left" || fail "no page is left" "$(ls "$T/run")"

# The unit that is installed says what systemd understands.
if command -v systemd-analyze >/dev/null; then
	mkdir "$T/units"
	sed "s|@BERTH@|$(realpath "$BERTH")|" bar-forward/data/berth-bridge@.service.in >"$T/units/berth-bridge@.service"
	if systemd-analyze verify --man=no "$T/units/berth-bridge@.service" >"$T/said" 2>&1 && [ ! -s "$T/said" ]; then
		ok "systemd understands the unit"
	else
		fail "systemd understands the unit" "$(cat "$T/said")"
	fi
fi
finish
