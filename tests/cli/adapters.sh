#!/bin/sh
# SPDX-License-Identifier: MIT
# LoRA adapters and control vectors over the real engine: they change the text, by nothing when their scale is
# 0; files that are none are refused with a sentence, and by name.
. tests/lib.sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
core=$BUILD/libexec/berth/core
cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" --layers 4 --embd 128 || fail "model" "modelgen failed"
run "$BERTH" plan "$T/m.gguf" --accept cpu -c 256 --json
cp "$T/out" "$T/plan.json"
python3 tests/adapters.py lora "$T/a=b.gguf" 128 4
python3 tests/adapters.py lora "$T/other.gguf" 64 4
python3 tests/adapters.py vector "$T/v.gguf" 128 4
python3 tests/adapters.py vector "$T/narrow.gguf" 64 4
python3 tests/adapters.py vector "$T/deep.gguf" 128 9

generate() {
	run taskset -c "$cpu" "$core" --plan "$T/plan.json" --prompt "Hello world" -n 16 --temp 0 "$@"
	text=$(cat "$T/out")
}
# same|differs NAME BASE: the last text, which came without trouble
same() { [ "$rc" -eq 0 ] && [ "$text" = "$2" ] && ok "$1" || fail "$1" "exit $rc: '$text' $(cat "$T/err")"; }
differs() { [ "$rc" -eq 0 ] && [ "$text" != "$2" ] && ok "$1" || fail "$1" "exit $rc: '$text' $(cat "$T/err")"; }
# refuses NAME STATUS PATTERN
refuses() {
	[ "$rc" -eq "$2" ] && grep -q -e "$3" "$T/err" && ok "$1" || fail "$1" "exit $rc: $(cat "$T/err")"
}

generate
base=$text
generate --lora "$T/a=b.gguf=0"
same "a LoRA of scale 0 changes nothing" "$base"
generate --lora "$T/a=b.gguf"
lora=$text
differs "a LoRA changes the text" "$base"
generate --lora "$T/a=b.gguf=0.5" --lora "$T/a=b.gguf=0.5"
same "two halves are a whole" "$lora"
generate --control-vector "$T/v.gguf=0"
same "a vector of scale 0 changes nothing" "$base"
generate --control-vector "$T/v.gguf=2"
steered=$text
differs "a vector changes the text" "$base"
generate --control-vector "$T/v.gguf" --control-vector "$T/v.gguf"
same "vectors add up" "$steered"

generate --lora "$T/other.gguf"
refuses "a LoRA of another width" 8 "other.gguf does not load"
generate --lora "$T/m.gguf"
refuses "a model is no LoRA" 8 "m.gguf does not load"
generate --lora "$T/none.gguf"
refuses "a file that is not there" 1 "none.gguf: No such file"
generate --control-vector "$T/narrow.gguf"
refuses "a vector of another width" 4 "wants 128"
generate --control-vector "$T/deep.gguf"
refuses "a vector of too many layers" 4 "direction.4.*layers 1 to 3"
generate --control-vector "$T/plan.json"
refuses "no GGUF" 4 "no GGUF"
generate --control-vector "$T/v.gguf=1e9"
refuses "a scale without sense" 4 "from -1000 to 1000"
finish
