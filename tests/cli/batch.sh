#!/bin/sh
# SPDX-License-Identifier: MIT
# The core's server part over the real engine on one CPU: tests/engine/batch.c, for models of several families,
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

# Batches of another size round otherwise: these seeds leave no two tokens nearly equally likely.
batch llama --arch llama -- -c 512 --parallel 4
batch qwen3 --arch qwen3 --type f32 --seed 1 -- -c 2048 --parallel 4 --no-kv-unified
batch gemma3 --arch gemma3 --window 64 --seed 3 -- -c 512 --parallel 4 --ubatch 128
# A draft that is often right, and one that is the model itself.
"$modelgen" -o "$T/small.gguf" --layers 2 --type f32 || fail small "modelgen failed"
batch draft --arch llama --type f32 --deciding 2 -- -c 512 --parallel 4 --draft "$T/small.gguf" --draft-max 5
batch itself --arch llama -- -c 1024 --parallel 4 --no-kv-unified --draft "$T/itself.gguf" --draft-max 3
# States that cannot be taken back, alone and beside attention.
batch mamba --arch mamba -- -c 512 --parallel 4 --accept-unverified
batch lfm2 --arch lfm2 --type f32 -- -c 512 --parallel 4 --accept-unverified
batch encoder --arch bert --ctx 512 -- -c 512 --parallel 2 --embeddings
batch vectors --arch llama -- -c 512 --parallel 4 --embeddings

# The same through the whole core: embeddings over its own socket, several at once; and no text from them.
taskset -c "$cpu" "$BUILD/libexec/berth/core" --plan "$T/vectors.json" --serve --no-key --name v \
	--listen "unix:$T/s" >"$T/core.out" 2>&1 &
core=$!
cat >"$T/ask.py" <<'EOP'
import http.client, json, socket, sys, time
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
def ask(path, body):
    c = Unix("localhost", timeout=60)
    c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, json.loads(r.read())
for _ in range(1200):
    try:
        status, got = ask("/v1/embeddings", {"model": "v", "input": ["Hello world", "a small boat", "Hello world"]})
        break
    except OSError:
        time.sleep(0.05)
v = [d["embedding"] for d in got["data"]]
print(status, [round(sum(x * x for x in d), 3) for d in v], v[0] == v[1], max(abs(a - b) for a, b in zip(v[0], v[2])) < 1e-3)
print(ask("/v1/completions", {"model": "v", "prompt": "Hello"})[0])
EOP
run timeout 200 python3 "$T/ask.py" "$T/s"
[ "$(cat "$T/out")" = "200 [1.0, 1.0, 1.0] False True
501" ] && ok "vectors over HTTP" || fail "vectors over HTTP" "$(cat "$T/out" "$T/err" "$T/core.out" | head -c 800)"
kill "$core"
wait "$core"
[ $? -eq 0 ] && ok "ends when told to" || fail "ends when told to" "$(tail -3 "$T/core.out")"
run "$BERTH" plan "$T/encoder.gguf" --accept cpu --json
cp "$T/out" "$T/writer.json"
run "$BUILD/libexec/berth/core" --plan "$T/writer.json" --prompt Hello
[ "$rc" -eq 4 ] && grep -q 'reads texts and writes none' "$T/err" && ok "no text from an encoder" || fail "no text from an encoder" "$rc: $(cat "$T/err")"
run "$BUILD/libexec/berth/core" --plan "$T/vectors.json" --prompt Hello
[ "$rc" -eq 4 ] && grep -q 'generates no text' "$T/err" && ok "no text from vectors" || fail "no text" "$rc: $(cat "$T/err")"
finish
