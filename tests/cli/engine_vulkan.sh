#!/bin/sh
# SPDX-License-Identifier: MIT
# The real engine on three Vulkan devices, all of them lavapipe: what was planned for each is what was allocated
# there, to the byte, for uneven splits of every kind of model, and with experts in host memory.
. tests/lib.sh
. tests/lib_lavapipe.sh
shim=$(realpath "$BUILD/tests/fake/lib_buffers.so")
export ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS:-}"

# launch MODEL OPTION...
launch() {
	m=$1
	shift
	rm -f "$T/buffers"
	run taskset -c "$cpu" env BUFFERS="$T/buffers" LD_PRELOAD="$shim" "$BERTH" launch "$T/$m.gguf" --margin 1M \
		--device $devices --json "$@"
}
# exact NAME LAYERS MODEL OPTION...: proven, with these layers on each and the host, every byte as planned
exact() {
	name=$1 layers=$2
	shift 2
	launch "$@"
	got=$(python3 -c 'import json, sys; o = json.load(open(sys.argv[1])); print(o["placement"], *(r["layers_found"] for r in o["proof"]))' "$T/out" 2>&1)
	if [ "$rc" -ne 0 ] || [ "$got" != "proven $layers" ]; then
		fail "$name: layers" "exit $rc, $got: $(tail -c 600 "$T/err")"
	elif ! why=$(python3 tests/buffers.py "$T/out" "$T/buffers" 2>&1); then
		fail "$name: bytes" "$why"
	else
		ok "$name"
	fi
}
text() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["text"])' "$T/$1"
}

for arch in llama qwen3 gemma3 qwen3moe lfm2 mamba; do
	"$BUILD/tests/modelgen/modelgen" -o "$T/$arch.gguf" --arch $arch || fail "$arch" "modelgen failed"
done
"$BUILD/tests/modelgen/modelgen" -o "$T/bert.gguf" --arch bert --ctx 512 || fail "bert" "modelgen failed"

exact "llama" "4 2 3 0" llama -c 512 --split 4,2,3
exact "llama, short batches" "4 2 3 0" llama -c 512 --split 4,2,3 --ubatch 16
exact "llama, part of it" "4 1 1 3" llama -c 700 --split 4,1,1 --accept spill
exact "qwen3" "1 6 2 0" qwen3 -c 512 --split 1,6,2
exact "gemma3, sequences" "4 2 3 0" gemma3 -c 2048 --split 4,2,3 --parallel 3
exact "lfm2, sequences" "4 2 3 0" lfm2 -c 512 --split 4,2,3 --parallel 3
exact "lfm2, part of it" "2 1 2 4" lfm2 -c 512 --split 2,1,2 --accept spill
# the scans of its layers have no kernel there
exact "mamba" "4 2 3 0" mamba -c 512 --split 4,2,3 --accept spill
exact "bert" "4 2 3 0" bert --embeddings --split 4,2,3
exact "experts on the GPUs" "4 2 3 0" qwen3moe -c 512 --split 4,2,3
exact "the cache on the host" "4 2 3 0" qwen3moe -c 512 --split 4,2,3 --no-kv-offload --accept spill
exact "all experts on the host" "4 2 3 0" qwen3moe -c 512 --split 4,2,3 --cpu-moe --accept spill
exact "experts by name" "4 2 3 0" qwen3moe -c 512 --split 4,2,3 --override-tensor "blk\.[2-5]\.ffn_.*_exps=CPU" --accept spill
python3 - "$T/out" <<'EOP' && ok "and only those" || fail "and only those" "$(head -c 600 "$T/out")"
import json, sys
experts = 3 * 8 * 256 * 256 * 2  # of a layer: more than all else
layers = [r["planned"]["weights_bytes"] // experts for r in json.load(open(sys.argv[1]))["proof"]]
sys.exit(layers != [2, 0, 2, 4])
EOP
set -- -c 512 --split 4,2,3 --n-cpu-moe 3 --accept spill --prompt Hello -n 6
exact "the first experts on the host" "4 2 3 0" qwen3moe "$@"
cp "$T/out" "$T/one"
launch qwen3moe "$@"
[ "$(text one)" = "$(text out)" ] && ok "same seed, same text" || fail "same seed, same text" "$(text one) / $(text out)"
launch qwen3moe "$@" --seed 7
[ "$(text one)" != "$(text out)" ] && ok "other seed, other text" || fail "other seed, other text" "$(text one)"
finish
