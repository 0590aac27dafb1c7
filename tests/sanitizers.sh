# What programs built with a sanitizer find. Sourced by those who run tests, with the folder of their run in $out.
# shellcheck shell=sh

# The memory of a sanitizer of threads has fixed places, where others may be put by chance.
if [ "${SAN:-}" = tsan ] && [ -z "${SAN_PLACED:-}" ] && setarch -R true 2>/dev/null; then
	rm -rf "$out"
	export SAN_PLACED=1
	exec setarch -R sh "$0" "$@"
fi

# Every process writes into a file of its own: nobody waits for some of them, others are expected to die, or a test has
# their output and looks for something else in it. Whoever they run as may write there.
found=$out/found
mkdir -m 1777 "$found" && chmod 711 "$out"
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:exitcode=99:log_path=$found/asan:${ASAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0:${LSAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:log_path=$found/ubsan:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="exitcode=99:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp:log_path=$found/tsan:${TSAN_OPTIONS:-}"

# Since the last time: prints it and is true, or there was nothing. Whoever is killed while it looks for leaks leaves an empty
# file, or a word on a thread that is gone; and whoever could not look says so, which is no finding: its exit code is 99.
sanitizers_found() {
	reports=$(grep -l 'Sanitizer: \|runtime error' "$found"/* 2>/dev/null)
	# shellcheck disable=SC2086 # names without spaces
	[ -z "$reports" ] || head -n 100 $reports
	find "$found" -type f -delete
	[ -n "$reports" ]
}
