#!/bin/sh
# SPDX-License-Identifier: MIT
# The real engine on one CPU, with a model of every kind that the generator makes: what was planned is what was
# allocated, to the byte; a seed decides the text; and while it serves, each of its threads is where it was planned.
. tests/lib.sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
shim=$(realpath "$BUILD/tests/fake/lib_buffers.so")
export BERTH_RUNTIME_DIR="$T/run" ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS:-}"
mkdir -m 700 "$T/run"
# the last one that we may use: no thread is there by chance
cpu=$(sed -n 's/^Cpus_allowed_list:.*[^0-9]\([0-9]*\)$/\1/p' /proc/self/status)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$T"' EXIT

# model NAME MODELGEN-OPTION...
model() {
	name=$1
	shift
	"$BUILD/tests/modelgen/modelgen" -o "$T/$name.gguf" "$@" || fail "$name" "modelgen failed"
}
# launch MODEL OPTION...: what it allocated is in $T/buffers
launch() {
	m=$1
	shift
	rm -f "$T/buffers"
	run taskset -c "$cpu" env BUFFERS="$T/buffers" LD_PRELOAD="$shim" "$BERTH" launch "$T/$m.gguf" --accept cpu --json "$@"
}
text() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["text"])' "$T/$1"
}
# proven NAME: the last launch's layers, and to the byte its buffers
proven() {
	if [ "$rc" -ne 0 ] || ! grep -q '"placement": "proven"' "$T/out"; then
		fail "$1: proven" "exit $rc: $(cat "$T/err")"
	elif ! why=$(python3 tests/buffers.py "$T/out" "$T/buffers" 2>&1); then
		fail "$1: planned is allocated" "$why"
	else
		ok "$1: proven, to the byte"
	fi
}
# family NAME PLAN-OPTION...: of the model of this name
family() {
	name=$1
	shift
	launch "$name" --prompt "Hello there" -n 16 "$@"
	proven "$name"
	cp "$T/out" "$T/one"
	launch "$name" --prompt "Hello there" -n 16 "$@"
	[ "$(text one)" = "$(text out)" ] && ok "$name: same seed, same text" ||
		fail "$name: same seed, same text" "$(text one) / $(text out)"
	launch "$name" --prompt "Hello there" -n 16 --seed 7 "$@"
	[ "$(text one)" != "$(text out)" ] && ok "$name: other seed, other text" ||
		fail "$name: other seed, other text" "$(text one)"
}

for arch in llama qwen3 gemma3 qwen3moe lfm2 mamba; do
	model $arch --arch $arch
	family $arch
done
# packed weights, several sequences, short batches, a window that slides, a packed cache
model packed --arch llama --type q8_0
family packed -c 3000 --parallel 3 --ubatch 100
model slides --arch gemma3 --window 64 --type q8_0
family slides -c 1024 --parallel 2 --no-kv-unified --cache-type-k q8_0
model states --arch lfm2 --type q8_0
family states --parallel 3
model bert --arch bert --ctx 512
launch bert --embeddings
proven "bert"

# --- serving ---
cat >"$T/ask.py" <<'EOP'
"""ask.py SOCKET MODEL SUPERVISOR: questions, several at once; then where each thread of the core may run."""
import http.client, json, os, socket, sys, threading
path, model, supervisor = sys.argv[1:]
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
def ask(api, body):
    c = Unix("localhost", timeout=60)
    c.request("POST", api, json.dumps(dict(body, model=model)), {"Content-Type": "application/json"})
    return json.loads(c.getresponse().read())
def vector(text):
    return ask("/v1/embeddings", {"input": text})["data"][0]["embedding"]
def field(path, key):
    return next(line.split(":")[1].strip() for line in open(path) if line.startswith(key + ":"))
def is_core(p):
    try:
        return field(f"/proc/{p}/status", "PPid") == supervisor and field(f"/proc/{p}/status", "Name") == "core"
    except OSError:
        return False
if model == "bert":
    a, b, c = vector("Hello there"), vector("Hello there"), vector("the ship sails")
    print(len(a), a == b, a != c, abs(sum(x * x for x in a) - 1) < 1e-3)
else:
    kept = []
    def go(i):
        kept.append(ask("/v1/completions", {"prompt": "Hello %d" % i, "max_tokens": 40})["choices"][0])
    threads = [threading.Thread(target=go, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    cores = [p for p in os.listdir("/proc") if p.isdigit() and is_core(p)]
    tasks = [f"/proc/{p}/task/{t}/status" for p in cores for t in os.listdir(f"/proc/{p}/task")]
    print(len(kept), len(cores), len(tasks) > 2, *{field(t, "Cpus_allowed_list") for t in tasks})
EOP
healthy() {
	curl -s --unix-socket "$T/s" http://localhost/health 2>/dev/null | grep -q '"ok"'
}
# serves NAME MODEL WANTED OPTION...: what ask.py says of it
serves() {
	name=$1 m=$2 want=$3
	shift 3
	rm -f "$T/s"
	taskset -c "$cpu" "$BERTH" launch "$T/$m.gguf" --accept cpu --serve --no-key --listen "unix:$T/s" "$@" >"$T/serve" 2>&1 &
	pid=$!
	wait_for healthy
	run python3 "$T/ask.py" "$T/s" "$m" "$pid"
	[ "$(cat "$T/out")" = "$want" ] && ok "$name" || fail "$name" "$(cat "$T/out" "$T/err" "$T/serve" | tail -c 800)"
	kill -INT "$pid"
	wait "$pid"
	pid=
}
serves "an encoder's vectors" bert "256 True True True" --embeddings
serves "every thread is on the planned CPU" llama "8 1 True $cpu" --parallel 4

# --- a draft and its model agree more often than not, and not always ---
model big --deciding 2
model draft --layers 2
launch big --prompt "Hello there" -n 16 --temp 0
big=$(text out)
launch draft --prompt "Hello there" -n 16 --temp 0
python3 -c 'import sys; a, b = (s.split(" ") for s in sys.argv[1:]); sys.exit(sum(x == y for x, y in zip(a, b)) < 8)' "$big" "$(text out)" &&
	ok "a draft guesses well" || fail "a draft guesses well" "$big / $(text out)"
finish
