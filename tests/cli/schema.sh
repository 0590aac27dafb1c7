#!/bin/sh
# SPDX-License-Identifier: MIT
# Answers held to JSON schemas: the grammars by themselves, drawn from at random, then a real engine with a
# model of noise, whose answers must be what the schemas allow all the same.
. tests/lib.sh
core=$BUILD/libexec/berth/core
K=0123456789abcdefghij
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$T"' EXIT

python3 tests/schemas.py check "$BUILD/tests/fake/prog_schema" || fail "grammars" "the check ended with $?"

if [ ! -e "$BUILD/lib/berth/libggml-base.so" ]; then
	echo "the engine is not there: $BUILD/lib/berth"
	finish
fi
(umask 077 && echo "$K" >"$T/key")
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" && "$BERTH" plan "$T/m.gguf" --accept cpu --json >"$T/plan.json" ||
	fail "plan" "no model or no plan"
"$core" --plan "$T/plan.json" --serve --threads 1 --chat-template chatml --key-file "$T/key" --listen "unix:$T/s" 2>"$T/err" &
pid=$!
serves() {
	curl -s --unix-socket "$T/s" http://localhost/health | grep -q '"ok"'
}
wait_for serves
python3 tests/schemas.py engine "$T/s" "$K" m || fail "engine" "the check ended with $?: $(cat "$T/err")"
finish
