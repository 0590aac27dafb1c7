#!/bin/sh
# SPDX-License-Identifier: MIT
# An installed llama-server in place of berth's core: its options, its proof, its connections, its end. The
# server is a fake that writes the log of the real one.
. tests/lib.sh
adapter=$BUILD/libexec/berth/core-llama-server
[ -x "$adapter" ] || skip "core-llama-server is not built"
export BERTH_RUNTIME_DIR="$T/run" FAKE_ARGV="$T/argv" BERTH_LLAMA_SERVER="$PWD/tests/fake/llama_server.py"
mkdir -m 700 "$T/run"
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" || fail "model" "modelgen failed"
"$BERTH" plan "$T/m.gguf" --accept cpu --json -c 1024 --parallel 2 >"$T/plan.json"
python3 - "$T" <<'P'
import json, sys
p = json.load(open(sys.argv[1] + "/plan.json"))
def device(i, layers):
    return {"pci": "0000:0%d:00.0" % (i + 1), "uuid": "GPU-%d" % i, "name": "x", "backend": "cuda", "engine_name": "CUDA%d" % (i + 3), "layers": layers,
            "buffers": {"weights_bytes": 1, "kv_bytes": 1, "compute_bytes": 1, "overhead_bytes": 1}, "free_bytes": None}
p["devices"] = [device(0, 6), device(1, 3)]
p["flags"]["n_gpu_layers"] = 9
p["host"]["layers"] = 0
p["verdict"] = "fits"
json.dump(p, open(sys.argv[1] + "/two.json", "w"))
P

is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
# drive NAME PLAN WHAT: what came over the control line is in $T/out
drive() {
	timeout 300 python3 tests/fake/supervise.py "$PWD/$adapter" "$T/$2.json" "$3" >"$T/out" 2>"$T/err" </dev/null
	drove=$1
}
# came PATTERN: a line of the last drive
came() {
	if grep -q -e "$1" "$T/out"; then ok "$drove: $1"; else fail "$drove: $1" "$(cat "$T/out" "$T/err")"; fi
}
# given PATTERN: among its options
given() {
	if python3 -c 'import json,sys; print(" ".join(json.load(open(sys.argv[1]))))' "$T/argv" | grep -q -e "$1"; then
		ok "option $1"
	else
		fail "option $1" "$(cat "$T/argv")"
	fi
}

drive cpu plan echo
came "^loading"
came "^layers CPU,CPU,CPU,CPU,CPU,CPU,CPU,CPU,CPU pci None"
came "^answers 1 of 1"
came "^done||stopped"
came "^exit 0"
for o in "--ctx-size 1024" "--parallel 2" "--device none" "--n-gpu-layers 0" "--cache-type-k f16" "--fit off" \
	"--log-verbosity 5" "--alias tiny" "--threads 1" "--offline"; do
	given "$o"
done
is "its socket is removed" "" "$(python3 -c 'import json,os,sys; a=json.load(open(sys.argv[1])); h=a[a.index("--host")+1]; print(h if os.path.exists(os.path.dirname(h)) else "")' "$T/argv")"
drive "two cards" two echo
given "--device CUDA0,CUDA1"
given "--tensor-split 6,3"
given "--n-gpu-layers 9"
came "^layers CUDA0,CUDA0,CUDA0,CUDA0,CUDA0,CUDA0,CUDA1,CUDA1,CUDA1 pci 0000:01:00.0,0000:02:00.0,None"
drive "many at once" plan many
came "^answers 40 of 40"
came "^counted 120 250000000 77 1500000000"
drive "idle connections" plan stall
came "^answers 1 of 1"
FAKE_MODE=prefixless drive "a log without times" plan echo
came "^layers CPU,CPU"
FAKE_MODE=oom drive "no memory" two echo
came "^failed|oom||llama-server ended with 1: .*out of memory"
came "^exit 8"
FAKE_MODE=exit drive "a model it does not take" plan echo
came "^failed|load||llama-server ended with 1: .*no such thing"
drive "a crash" plan crash
came "^failed|decode||llama-server died of signal 6"
came "^exit 8"
drive "a supervisor that leaves" plan refuse
came "^exit 0"
BERTH_LLAMA_SERVER=$T/none drive "no such program" plan echo
came "^failed|plan||BERTH_LLAMA_SERVER: .*/none: No such file"
is "no server is left" "" "$(pgrep -f "tests/fake/llama_server.py.*$T/")"

exits "no sockets" 4 "$adapter" --plan "$T/plan.json" --serve
one_sentence "no sockets: one sentence"
exits "a prompt" 4 "$adapter" --plan "$T/plan.json" --prompt x
says "a prompt: says so" "computes no --prompt"
exits "no plan" 4 "$adapter"

# --- through launch ---
exits "launch proves it" 0 "$BERTH" launch "$T/m.gguf" --engine llama-server --accept cpu
says "launch proves it: says so" "placement proven: 8 layers and the output"
FAKE_MODE=elsewhere exits "a layer elsewhere" 7 "$BERTH" launch "$T/m.gguf" --engine llama-server --accept cpu
one_sentence "a layer elsewhere: one sentence"
exits "launch and a prompt" 4 "$BERTH" launch "$T/m.gguf" --engine llama-server --accept cpu --prompt x
exits "no such engine" 2 "$BERTH" launch "$T/m.gguf" --engine zork
finish
