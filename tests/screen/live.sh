#!/bin/sh
# SPDX-License-Identifier: MIT
# berth top on a machine that it takes for live: a captured /sys in a name space of our own and a library of
# NVIDIA's that moves, hangs, crashes or has lost a card. Keys are answered all the while.
. tests/lib.sh
. tests/live.sh
BERTH_NVML=$(realpath "$BUILD/tests/fake/lib_nvml.so")
export BERTH_NVML TERM=xterm-256color XDG_CONFIG_HOME="$T/config" BERTH_RUNTIME_DIR="$T/run"
mkdir "$T/run"

# on_screen NAME SCRIPT...: berth top inside
on_screen() {
	name=$1
	shift
	printf '%s\n' "$@" >"$T/script"
	live "$PWD/$BUILD/tests/screen/term" 100x24 "$T/script" "$BERTH" top
	if [ "$rc" -eq 0 ]; then ok "$name"; else fail "$name" "$(cat "$T/out" "$T/err")"; fi
}

prepare nvidia2
FAKE_NVML=ok on_screen "NVIDIA's numbers" 'wait 0.4/24.0 GiB' 'wait 21/350 W' 'keys q' 'exit 0'
FAKE_NVML=ok on_screen "the last minutes are saved" 'wait 0.4/24.0 GiB' 'keys R' 'wait Saved: berth top --replay' \
	'wait info Saved' 'keys q' 'exit 0'
FAKE_NVML=moving on_screen "what moves over its link" 'wait B/s  out ' 'keys q' 'exit 0'
FAKE_NVML=hang-call on_screen "a call that hangs" 'wait GeForce' 'wait silent' 'wait SILENT' \
	'keys ?' 'wait Show or hide this page' 'keys ?' 'gone Show or hide this page' 'keys q' 'exit 0'
FAKE_NVML=hang-device on_screen "the second device hangs, the first does not" 'wait 21/350 W' 'wait SILENT' \
	'keys q' 'exit 0'
FAKE_NVML=crash on_screen "a library that crashes" 'wait garbled' 'keys q' 'exit 0'
FAKE_NVML=lost on_screen "a lost card" 'wait LOST' 'wait left its bus' 'keys q' 'exit 0'
BERTH_NVML=/nonexistent on_screen "no library" 'wait no library' 'keys q' 'exit 0'
prepare asleep
FAKE_NVML=ok on_screen "a sleeping one is not asked" 'wait ASLEEP' 'keys q' 'exit 0'
finish
