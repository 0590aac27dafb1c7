# berth plan for what is loaded beside a model: image encoders, adapters, drafts.
# shellcheck shell=sh
. tests/lib.sh
models=$PWD/$BUILD/tests/models/headers
[ -d "$models" ] || skip "no model headers in $models: make test-programs unpacks them"
none=$PWD/tests/machines/none

plan() {
	(cd "$T" && exec "$BERTH" plan --machine "$none" --gpu "RTX 3090" "$@")
}

# number KEY: of the last JSON, the first
number() {
	sed -n "s/^ *\"$1\": \([0-9-]*\),*\$/\1/p" "$T/out" | head -n 1
}

for m in gemma-3-4b llama-3.1-8b qwen3-0.6b llama-3.2-1b exaone-4-32b; do ln -s "$models/$m.gguf" "$T/"; done

# --- encoders: the compute buffer that llama.cpp 0.7.0 reserved for the same header on a simulated CUDA device ---

# measured NAME BYTES KIND KEYS...
measured() {
	name=$1 bytes=$2
	shift 2
	kind=$1
	shift
	python3 tests/fake/clip_header.py "$kind" "$T/mm.gguf" "$@"
	exits "$name" 0 plan --json --mmproj mm.gguf gemma-3-4b.gguf
	got=$(sed -n '/"beside"/,/]/s/^ *"compute_bytes": \([0-9]*\),$/\1/p' "$T/out")
	if [ "$got" = "$bytes" ]; then ok "$name: $bytes bytes"; else fail "$name: $bytes bytes" "$got"; fi
}

measured "gemma 3" 127139840 gemma3 size=896 patch=14 embd=1152 ff=4304 layers=27 heads=16 out=2560
measured "half as large" 47120384 gemma3 size=448 patch=14 embd=1152 ff=4304 layers=27 heads=16 out=2560
measured "narrower" 42991616 gemma3 size=448 patch=14 embd=1024 ff=4096 layers=20 heads=16 out=2560
measured "llava" 22593152 mlp size=336 patch=14 embd=1024 ff=4096 layers=24 heads=16 out=4096
measured "llava, larger" 165869696 mlp size=672 patch=14 embd=1024 ff=4096 layers=24 heads=16 out=8192
measured "internvl" 29388800 internvl size=448 patch=14 embd=1024 ff=4096 layers=24 heads=16 out=2048 merge=2
measured "internvl, larger" 264269824 internvl size=1344 patch=14 embd=1024 ff=4096 layers=24 heads=16 out=2048 merge=2
measured "idefics 3" 22020096 idefics3 size=512 patch=16 embd=768 ff=3072 layers=12 heads=12 out=960 merge=4
# Its worst image has 16,384 patches: measured were 8,464, and it grows with them.
measured "qwen 2 vl" 542113792 qwen2vl_merger size=560 patch=14 embd=1280 ff=5120 layers=32 heads=16 out=3584 merge=2
# The engine reserved 17,152 bytes more, for indices of windows.
measured "qwen 2.5 vl, with its windows" 601011712 qwen2.5vl_merger size=560 patch=14 embd=1280 ff=3456 layers=32 heads=16 \
	out=3584 rms=1 gate=1 pixels=1658944
python3 tests/fake/clip_header.py gemma3 "$T/mm.gguf" size=896 patch=14 embd=1152 ff=4304 layers=27 heads=16 out=2560
exits "in words" 0 plan --mmproj mm.gguf gemma-3-4b.gguf
golden plan-beside-mmproj.txt "$T/out"
exits "as JSON" 0 plan --mmproj mm.gguf --json gemma-3-4b.gguf
valid "beside" plan "$T/out"
python3 tests/fake/clip_header.py brandnew "$T/new.gguf" size=448 patch=14 embd=64 ff=64 layers=2 heads=2 out=64
exits "a projector nobody knows" 0 plan --mmproj new.gguf gemma-3-4b.gguf
grep -q "only its weights are counted" "$T/out" && ok "it is said" || fail "it is said" "$(cat "$T/out")"
python3 tests/fake/clip_header.py gemma3 "$T/other.gguf" size=896 patch=14 embd=1152 ff=4304 layers=2 heads=16 out=5376
exits "of another model" 0 plan --mmproj other.gguf gemma-3-4b.gguf
grep -q "do they belong together" "$T/out" && ok "that is said" || fail "that is said" "$(cat "$T/out")"

# --- adapters: on the devices of their layers ---

python3 tests/fake/clip_header.py lora "$T/lora.gguf" arch=llama layers=32 embd=4096 rank=64
run plan --json llama-3.1-8b.gguf
alone=$(number weights_bytes)
exits "an adapter" 0 plan --json --lora lora.gguf --lora lora.gguf llama-3.1-8b.gguf
with=$(number weights_bytes)
if [ $((with - alone)) -eq $((2 * 32 * 2 * 4096 * 64 * 2)) ]; then ok "two of them"; else fail "two of them" "$((with - alone))"; fi
exits "an adapter over two GPUs" 0 plan --json --gpu "RTX 3090" --split 16,17 --lora lora.gguf llama-3.1-8b.gguf
run plan --json --gpu "RTX 3090" --split 16,17 --lora lora.gguf llama-3.1-8b.gguf
with=$(number weights_bytes)
run plan --json --gpu "RTX 3090" --split 16,17 llama-3.1-8b.gguf
if [ $((with - $(number weights_bytes))) -eq $((16 * 2 * 4096 * 64 * 2)) ]; then ok "half of it on each"; else
	fail "half of it on each" "$((with - $(number weights_bytes)))"; fi

# --- drafts ---

exits "a draft" 0 plan --draft llama-3.2-1b.gguf -c 16384 llama-3.1-8b.gguf
golden plan-beside-draft.txt "$T/out"
exits "a draft with another vocabulary" 0 plan --draft qwen3-0.6b.gguf llama-3.1-8b.gguf
grep -q "the engine refuses such a" "$T/out" && ok "it is said, too" || fail "it is said, too" "$(cat "$T/out")"
exits "a draft to launch" 0 plan --parallel 2 --draft-max 4 -o p.json --draft llama-3.2-1b.gguf -c 16384 llama-3.1-8b.gguf
valid "a draft to launch" plan "$T/p.json"
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
is "how it is carried out" "llama-3.2-1b.gguf 16 4 0 10 2" "$(python3 -c '
import json, os, sys
o = json.load(open(sys.argv[1]))
d = o["draft"]
b = o["devices"][d["device"]]["buffers"]
assert all(0 < d["buffers"][k] < b[k] for k in ("weights_bytes", "kv_bytes", "compute_bytes"))
assert d["flags"]["n_ctx"] == o["flags"]["n_ctx"] and d["flags"]["n_gpu_layers"] == d["n_layer"] + 1
print(os.path.basename(d["path"]), d["n_layer"], d["n_max"], d["device"], o["flags"]["n_outputs_max"], d["flags"]["n_seq_max"])' "$T/p.json")"
exits "fits alone" 0 plan -c 32768 exaone-4-32b.gguf
exits "not beside a draft" 1 plan -c 32768 --draft llama-3.1-8b.gguf exaone-4-32b.gguf
exits "all at once" 0 plan --mmproj mm.gguf --draft llama-3.2-1b.gguf --lora lora.gguf llama-3.1-8b.gguf
exits "several models with it" 0 plan --mmproj mm.gguf --json gemma-3-4b.gguf qwen3-0.6b.gguf
valid "several with it" compare "$T/out"
exits "without a GPU" 0 "$BERTH" plan --machine "$none" --accept cpu --draft "$T/llama-3.2-1b.gguf" "$T/llama-3.1-8b.gguf"

# --- bad input ---

# bad NAME STATUS PATTERN ARGS...
bad() {
	case_=$1 status=$2 pattern=$3
	shift 3
	exits "$case_" "$status" plan "$@" llama-3.1-8b.gguf
	one_sentence "$case_: one sentence"
	says "$case_: the cause" "$pattern"
}
bad "no encoder" 4 "is no image encoder: its architecture is qwen3" --mmproj qwen3-0.6b.gguf
bad "no adapter" 4 "is no LoRA adapter" --lora qwen3-0.6b.gguf
python3 tests/fake/clip_header.py lora "$T/gemma.gguf" arch=gemma3 layers=2 embd=64 rank=8
bad "an adapter for another" 4 "is an adapter for gemma3; the model is llama" --lora gemma.gguf
bad "an absent one" 1 "No such file" --draft absent.gguf
python3 tests/fake/clip_header.py gemma3 "$T/bad.gguf" size=896 patch=14 embd=1152 ff=4304 layers=2 out=64
bad "a key is missing" 4 "attention.head_count is missing" --mmproj bad.gguf
python3 tests/fake/clip_header.py gemma3 "$T/bad.gguf" size=896 patch=14 embd=1152 ff=4304 layers=2 heads=7 out=64
bad "heads do not divide" 4 "do not divide" --mmproj bad.gguf
python3 tests/fake/clip_header.py internvl "$T/bad.gguf" size=16384 patch=1 embd=8 ff=8 layers=1 heads=2 out=8
bad "absurdly many patches" 4 "patches" --mmproj bad.gguf
python3 tests/fake/clip_header.py gemma3 "$T/bad.gguf" size=28 patch=14 embd=64 ff=64 layers=1 heads=2 out=8
exits "a tiny one" 4 plan --mmproj bad.gguf llama-3.1-8b.gguf
exits "into a plan to launch" 2 plan -o p.json --mmproj mm.gguf llama-3.1-8b.gguf
exits "guesses of nobody" 2 plan --draft-max 4 llama-3.1-8b.gguf
finish
