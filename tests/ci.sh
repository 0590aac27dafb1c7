#!/bin/sh
# What CI runs on a clean checkout: check first, then sanitizers, fuzzing and the lab. Prints the minutes
# of each stage and stops at the first that fails.
set -u
: "${MAKE:=make}"
stages=

stage() {
	name=$1
	shift
	start=$(date +%s)
	echo "=== $name"
	"$@"
	rc=$?
	took=$(($(date +%s) - start))
	stages="$stages$(printf '%-10s %3d.%d min' "$name" $((took / 60)) $((took % 60 / 6)))
"
	if [ "$rc" -ne 0 ]; then
		printf '%s' "$stages"
		echo "stage $name failed"
		exit 1
	fi
}

stage check "$MAKE" --no-print-directory STRICT=1 check
stage asan "$MAKE" --no-print-directory STRICT=1 SAN=asan check
# Six minutes in all on two processors, however many targets there are (one of their files is no target).
stage fuzz "$MAKE" --no-print-directory FUZZ_SECONDS=$((720 / ($(ls tests/fuzz/*.c | wc -l) - 1))) fuzz
# Each case has its own limit; this one is for all of them together.
stage lab timeout -k 30 1800 "$MAKE" --no-print-directory STRICT=1 lab
printf '%s' "$stages"
