#!/bin/sh
# SPDX-License-Identifier: MIT
# The core's server part over the real engine on one CPU: tests/engine/batch.c, for models of three families,
# with a cache that the sequences share and with one for each.
. tests/lib.sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
modelgen=$BUILD/tests/modelgen/modelgen
cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)

# batch NAME MODELGEN-OPTIONS -- PLAN-OPTIONS: every test of the program is one of ours
batch() {
	name=$1 model=
	shift
	while [ "$1" != -- ]; do model="$model $1"; shift; done
	shift
	"$modelgen" -o "$T/$name.gguf" $model || fail "$name" "modelgen failed"
	run "$BERTH" plan "$T/$name.gguf" --accept cpu --json "$@"
	cp "$T/out" "$T/$name.json"
	run taskset -c "$cpu" timeout 300 "$BUILD/tests/engine/batch" "$BUILD/lib/berth" "$T/$name.json"
	if [ "$rc" -eq 0 ]; then
		ok "$name: $(grep -c '   OK ' "$T/err" "$T/out" | awk -F: '{ n += $2 } END { print n }') tests"
	else
		fail "$name" "exit $rc: $(grep -h -e ERROR -e LINE -e FAILED "$T/out" "$T/err" | head -c 1500)"
	fi
}

batch llama --arch llama -- -c 512 --parallel 4
batch qwen3 --arch qwen3 --type f32 -- -c 2048 --parallel 4 --no-kv-unified
batch gemma3 --arch gemma3 --window 64 -- -c 512 --parallel 4 --ubatch 128
batch vectors --arch llama -- -c 512 --parallel 4 --embeddings
finish
