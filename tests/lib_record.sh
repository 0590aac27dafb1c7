# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # T: lib.sh
# After lib.sh: what the run called a says of itself, and waiting for it.

# is NAME WANT GOT
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
# record KEY: of what the run a says of itself; "none": there is no such run
record() {
	if [ -e "$T/run/a.run.json" ]; then
		sed -n "s/^ *\"$1\": \(.*[^,]\),*\$/\1/; t found
			d
			:found
			s/^\"\(.*\)\"\$/\1/; s/^null\$/None/; p" "$T/run/a.run.json"
	else
		echo none
	fi
}
# listed: the run's state as `berth ps` sees it
listed() {
	"$BERTH" ps | sed -n 's/^a  *\([a-z]*\) .*/\1/p'
}
# comes NAME WANT COMMAND...: its output becomes that
comes() {
	name=$1 want=$2
	shift 2
	wait_for becomes "$want" "$@"
	is "$name" "$want" "$got"
}
becomes() {
	wanted=$1
	shift
	got=$("$@" 2>/dev/null)
	[ "$got" = "$wanted" ]
}
alive() {
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	[ -n "$state" ] && [ "$state" != Z ]
}
# gone NAME PID
gone() {
	if wait_for dead "$2"; then ok "$1"; else fail "$1" "pid $2 still runs"; fi
}
dead() {
	! alive "$1"
}
