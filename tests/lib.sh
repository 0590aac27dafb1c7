# Helpers for tests/cli/*.sh: source with '. tests/lib.sh'. Each check prints "ok NAME" or "FAIL NAME: why".
# shellcheck shell=sh
set -u
: "${BUILD:=build}"
: "${BERTH:=$PWD/$BUILD/bin/berth}"
T=$(mktemp -d)
# What programs keep is no test's to leave in a person's home
export XDG_STATE_HOME="$T/state"
trap 'rm -rf "$T"' EXIT
failures=0

ok() {
	echo "ok $1"
}

fail() {
	echo "FAIL $1: $2"
	failures=$((failures + 1))
}

skip() {
	echo "$1"
	exit 77
}

# wait_for COMMAND...: until it succeeds; a minute, or two where all is slow
wait_for() {
	for _ in $(seq 1200); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

# run COMMAND...: its status in $rc, its output in $T/out and $T/err
run() {
	"$@" >"$T/out" 2>"$T/err" </dev/null
	rc=$?
}

# exits NAME STATUS COMMAND...
exits() {
	name=$1 want=$2
	shift 2
	run "$@"
	if [ "$rc" -eq "$want" ]; then
		ok "$name"
	else
		fail "$name" "exit $rc, not $want: $(head -c 600 "$T/err")"
	fi
}

# one_sentence NAME: the last run wrote exactly one line to stderr, and it is not empty
one_sentence() {
	n=$(grep -c . "$T/err")
	if [ "$n" -eq 1 ]; then
		ok "$1"
	else
		fail "$1" "$n lines on stderr: $(head -c 600 "$T/err")"
	fi
}

# says NAME PATTERN: the last run's stderr has it
says() {
	if grep -q -e "$2" "$T/err"; then
		ok "$1"
	else
		fail "$1" "stderr lacks '$2': $(head -c 600 "$T/err")"
	fi
}

# refused_by COMMAND NAME STATUS PATTERN WORDS...: `berth COMMAND WORDS...` ends so, after one sentence that says why
refused_by() {
	command=$1 name=$2 status=$3 pattern=$4
	shift 4
	exits "$name" "$status" "$BERTH" "$command" "$@"
	one_sentence "$name: one sentence"
	says "$name: says so" "$pattern"
}

# golden NAME FILE: FILE equals tests/golden/NAME; UPDATE=1 writes it anew
golden() {
	if [ -n "${UPDATE:-}" ]; then
		cp "$2" "tests/golden/$1"
	fi
	if cmp -s "tests/golden/$1" "$2"; then
		ok "golden $1"
	else
		fail "golden $1" "differs (UPDATE=1 rewrites it):"
		diff -u "tests/golden/$1" "$2" | head -n 40
	fi
}

# valid NAME SCHEMA FILE: FILE holds JSON that docs/schema/SCHEMA.json accepts
valid() {
	if python3 tests/validate.py "docs/schema/$2.json" "$3" >"$T/valid" 2>&1; then
		ok "schema $1"
	else
		fail "schema $1" "$(head -c 800 "$T/valid")"
	fi
}

# machine NAME: the folder of a captured machine, or of one written as a tree
machine() {
	if [ -d "tests/machines/$1" ]; then
		echo "tests/machines/$1"
	else
		echo "$BUILD/tests/machines/$1"
	fi
}

finish() {
	[ "$failures" -eq 0 ]
	exit $?
}
