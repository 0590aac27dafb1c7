# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # BUILD, BERTH, T, rc: lib.sh; COMMAND: who sources it
# After lib.sh: a command with verbs, "$COMMAND", on machines that are folders below $M: what it shows, what it refuses.
M=$BUILD/tests/device
export BERTH_STATE_DIR="$T/state"

on() {
	name=$1
	shift
	run "$BERTH" "$COMMAND" "$@" --machine "$M/$name"
}

# shows GOLDEN MACHINE WORDS...: exit 0, and what it prints
shows() {
	want=$1
	shift
	on "$@"
	[ "$rc" -eq 0 ] && ok "$want is shown" || fail "$want is shown" "exit $rc: $(cat "$T/err")"
	cat "$T/err" "$T/out" >"$T/both"
	golden "$want" "$T/both"
}

# no NAME EXIT PATTERN MACHINE WORDS...: one sentence, that exit code, nothing on stdout
no() {
	name=$1 want=$2 pattern=$3
	shift 3
	on "$@"
	[ "$rc" -eq "$want" ] && ok "$name" || fail "$name" "exit $rc, not $want: $(cat "$T/err")"
	one_sentence "$name says so once"
	says "$name says why" "$pattern"
	[ -s "$T/out" ] && fail "$name prints nothing" "$(head -3 "$T/out")"
}
