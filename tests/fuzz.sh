#!/bin/sh
# Fuzz every target named, SECONDS_EACH seconds each, from its seeds. New inputs stay in the build
# folder; a crash leaves its input beside them and fails.
set -u
: "${BUILD:=build-fuzz}" "${SECONDS_EACH:=20}"
passed=0 failed=0
export LC_ALL=C
for t in "$@"; do
	corpus=$BUILD/corpus/$t
	mkdir -p "$corpus"
	if "$BUILD/fuzz/$t" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$corpus/" "$corpus" "tests/fuzz/seeds/$t" >"$corpus.log" 2>&1; then
		passed=$((passed + 1))
		printf 'ok    fuzz/%-20s %s runs\n' "$t" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$corpus.log")"
	else
		failed=$((failed + 1))
		printf 'FAIL  fuzz/%s\n' "$t"
		tail -n 40 "$corpus.log"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
