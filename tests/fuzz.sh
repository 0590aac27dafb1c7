#!/bin/sh
# Fuzz every target named, SECONDS_EACH seconds each, from its seeds, as many at once as there are
# processors. New inputs stay in the build folder; a crash leaves its input beside them and fails.
set -u
: "${BUILD:=build-fuzz}" "${SECONDS_EACH:=20}"
export LC_ALL=C BUILD SECONDS_EACH
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# shellcheck disable=SC2016
one='t=$1
corpus=$BUILD/corpus/$t
mkdir -p "$corpus"
if "$BUILD/fuzz/$t" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	-artifact_prefix="$corpus/" "$corpus" "tests/fuzz/seeds/$t" >"$corpus.log" 2>&1; then
	printf "ok    fuzz/%-20s %s runs\n" "$t" "$(sed -n "s/^stat::number_of_executed_units: *//p" "$corpus.log")"
else
	# One write, so that two reports do not mix.
	printf "FAIL  fuzz/%s\n%s\n" "$t" "$(tail -n 40 "$corpus.log")"
fi'
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c "$one" fuzz {} | tee "$results"
passed=$(grep -c '^ok    fuzz/' "$results")
echo "$passed passed, $(($# - passed)) failed"
[ "$passed" -eq $# ]
