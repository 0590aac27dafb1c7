#!/bin/sh
# SPDX-License-Identifier: MIT
# berth top as terminals show it: what a person sees with each TERM and locale, and what the keys do.
. tests/lib.sh
mkdir "$T/run"
export BERTH_RUNTIME_DIR="$T/run" XDG_CONFIG_HOME="$T/config"
term=$BUILD/tests/screen/term

# in_term NAME SIZE SCRIPT...: the lines of the script, then the program leaves
in_term() {
	name=$1 size=$2
	shift 2
	printf '%s\n' "$@" 'keys q' 'exit 0' >"$T/script"
	if "$term" "$size" "$T/script" "$BERTH" top --machine tests/machines/three >"$T/log" 2>&1; then
		ok "$name"
	else
		fail "$name" "$(cat "$T/log")"
	fi
}

for tm in vt100 linux xterm-256color tmux-256color; do
	TERM=$tm in_term "TERM=$tm" 80x24 'wait 03:00.0 Radeon' 'wait q quit'
done
TERM=xterm LC_ALL=C.UTF-8 in_term "UTF-8" 80x24 'wait 03:00.0 Radeon'
NO_COLOR=1 TERM=xterm-256color in_term "NO_COLOR" 80x24 'wait q quit' "look $T/look"
if grep '^~' "$T/look" | grep -q 'fg\|bg'; then fail "no colours" "$(cat "$T/look")"; else ok "no colours"; fi
finish
