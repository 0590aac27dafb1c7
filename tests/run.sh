#!/bin/sh
# Run every test, or those whose names are given ("unit/err", "cli/plan"), and end with one line that
# CI reads. A skip is counted and shown with its reason; under STRICT=1 a skip that tests/skips does not
# list is a failure, so that no check vanishes in silence.
set -u
: "${BUILD:=build}"
BUILD=$(realpath --relative-to=. "$BUILD") # the tests put $PWD before it
STRICT=${STRICT:-}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 skipped=0

# Tests see no configuration of the person who runs them.
export LC_ALL=C BUILD PYTHONDONTWRITEBYTECODE=1
export BERTH="$PWD/$BUILD/bin/berth"
export XDG_RUNTIME_DIR="$out/run" XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}"
# The engine is in the cache; what this machine's GPUs were last seen with is no test's business.
export BERTH_NO_CACHE=1
# Nor is a mouse daemon of the console; the library that asks for one leaks, and is unloaded before it can be named.
export NCURSES_GPM_TERMS=none
unset BERTH_RUNTIME_DIR COLUMNS LINES NO_COLOR
mkdir -m 700 "$XDG_RUNTIME_DIR"
. tests/sanitizers.sh

# listed NAME: tests/skips has the name in its first column
listed() {
	awk -v n="$1" '$1 == n { found = 1 } END { exit !found }' tests/skips
}

# What failed, wherever it is in a long log, and the end of the log.
show() {
	head -n -40 "$out/log" | grep -A 3 '^FAIL ' | sed 's/^/    /'
	tail -n 40 "$out/log" | sed 's/^/    /'
}

# result NAME EXIT-STATUS COUNT
result() {
	case $2 in
	0)
		passed=$((passed + $3))
		printf 'ok    %-28s %s\n' "$1" "$3" ;;
	77)
		why=$(tail -n 1 "$out/log")
		if [ -n "$STRICT" ] && ! listed "$1"; then
			failed=$((failed + 1))
			printf 'FAIL  %-28s skipped, and tests/skips does not list it: %s\n' "$1" "$why"
		else
			skipped=$((skipped + 1))
			printf 'skip  %-28s %s\n' "$1" "$why"
		fi ;;
	*)
		failed=$((failed + 1))
		[ "$2" -eq 124 ] && echo "timed out" >>"$out/log"
		printf 'FAIL  %-28s exit %s\n' "$1" "$2"
		show ;;
	esac
}

# one KIND/NAME SECONDS COMMAND...
one() {
	name=$1 limit=$2
	shift 2
	if [ -n "$only" ]; then
		case " $only " in *" $name "*) ;; *) return ;; esac
	fi
	timeout -k 5 "$limit" "$@" >"$out/log" 2>&1 </dev/null
	rc=$?
	case $name in
	unit/*) n=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$out/log" | tail -n 1) ;;
	cli/* | screen/*) n=$(grep -c '^ok ' "$out/log") ;;
	*) n=1 ;;
	esac
	# A test program that passed nothing has tested nothing.
	[ "$rc" -eq 0 ] && [ "${n:-0}" -eq 0 ] && rc=98 && echo "ran no test" >>"$out/log"
	[ "$rc" -eq 0 ] && grep -q '^FAIL ' "$out/log" && rc=97
	sanitizers_found >>"$out/log" && rc=96
	result "$name" "$rc" "${n:-0}"
}

only=$*
# Limits are for what hangs: the longest take a twentieth of them on a quiet machine
slow=1
[ -n "${SAN:-}" ] && slow=4
one tree/layers 300 sh tests/layers.sh
one tree/headers 600 sh tests/headers.sh
for t in tests/unit/*.c; do
	n=$(basename "$t" .c)
	one "unit/$n" $((300 * slow)) "$BUILD/tests/unit/$n"
done
for t in tests/fuzz/*.c; do
	n=$(basename "$t" .c)
	[ "$n" = replay ] && continue
	one "seeds/$n" $((300 * slow)) "$BUILD/tests/fuzz/$n" "tests/fuzz/seeds/$n"
done
for t in tests/cli/*.sh; do
	one "cli/$(basename "$t" .sh)" $((600 * slow)) sh "$t"
done
for t in tests/screen/*.sh; do
	one "screen/$(basename "$t" .sh)" $((600 * slow)) sh "$t"
done
[ -n "$only" ] && [ $((passed + failed + skipped)) -eq 0 ] && echo "no test is named $only" && exit 2
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
