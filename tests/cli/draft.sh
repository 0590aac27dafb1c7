#!/bin/sh
# SPDX-License-Identifier: MIT
# A draft model beside a model, through launch and the real engine on one CPU: planned, proven, counted, and never heard.
. tests/lib.sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
modelgen=$BUILD/tests/modelgen/modelgen
export BERTH_RUNTIME_DIR="$T/run" BERTH_STATE_DIR="$T/state"
mkdir -m 700 "$T/run" "$T/state"
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
"$modelgen" -o "$T/m.gguf" --type f32 --deciding 2 && "$modelgen" -o "$T/d.gguf" --type f32 --layers 2 &&
	"$modelgen" -o "$T/other.gguf" --vocab 1024 && "$modelgen" -o "$T/mamba.gguf" --arch mamba || fail model "modelgen failed"
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
# says NAME PATTERN: on stderr
says() {
	if grep -q "$2" "$T/err"; then ok "$1"; else fail "$1" "$(cat "$T/err")"; fi
}
# served NAME ARGUMENTS...: what a detached run answers, in $T/NAME
served() {
	name=$1
	shift
	run "$BERTH" launch -d --name "$name" --accept cpu --parallel 2 -c 1024 --no-key --listen "unix:$T/$name.sock" "$@"
	[ "$rc" -eq 0 ] || fail "$name" "exit $rc: $(cat "$T/err")"
	python3 - "$T/$name.sock" "$name" >"$T/$name" <<-'EOP'
		import http.client, json, socket, sys, time
		def ask(method, path, body=None):
		    c = http.client.HTTPConnection("localhost", timeout=60)
		    c.sock = socket.socket(socket.AF_UNIX)
		    c.sock.connect(sys.argv[1])
		    c.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
		    return c.getresponse().read()
		o = json.loads(ask("POST", "/v1/completions", {"model": sys.argv[2], "prompt": "the captain was on", "max_tokens": 40, "temperature": 0}))
		t = o["timings"]
		print(o["choices"][0]["text"])
		print(t.get("draft_n", 0) > 20, 0 < t.get("draft_n_accepted", 0) <= t.get("draft_n", 0), file=sys.stderr)
		def counted():
		    m = dict(l.rsplit(" ", 1) for l in ask("GET", "/metrics").decode().split("\n") if l and l[0] != "#")
		    return [int(v) for k, v in m.items() if "drafted_tokens" in k or "accepted_tokens" in k]
		want, until = [t.get("draft_n", 0), t.get("draft_n_accepted", 0)], time.monotonic() + 60
		# The answer may be faster than the account of its last pass.
		while counted() != want and time.monotonic() < until:
		    time.sleep(0.05)
		print(counted() == want, file=sys.stderr)
	EOP
	"$BERTH" stop "$name" 2>/dev/null
}
served alone "$T/m.gguf" 2>"$T/alone.said"
is "no draft, no guesses" "False False True" "$(tr '\n' ' ' <"$T/alone.said" | sed 's/ $//')"
served with "$T/m.gguf" -md "$T/d.gguf" --draft-max 4 --draft-min 4 2>"$T/with.said"
says "it is proven, too" "placement proven"
is "guesses are made, taken and counted" "True True True" "$(tr '\n' ' ' <"$T/with.said" | sed 's/ $//')"
is "nothing else is said" "$(cat "$T/alone")" "$(cat "$T/with")"
run "$BERTH" plan "$T/m.gguf" --accept cpu --parallel 2 -c 1024 --draft "$T/d.gguf" -o "$T/p.json"
# bad NAME STATUS PATTERN ARGUMENTS...
bad() {
	case_=$1 status=$2 pattern=$3
	shift 3
	run "$BERTH" launch --accept cpu "$@"
	is "$case_: exit $status" "$status" "$rc"
	grep -q -- "$pattern" "$T/err" && ok "$case_: why" || fail "$case_: why" "$(cat "$T/err")"
}
sock=unix:$T/b.sock
bad "without a server" 2 "--draft needs --serve" "$T/m.gguf" --draft "$T/d.gguf"
bad "nobody's guesses" 2 "--draft-max is for --draft" "$T/m.gguf" --serve --draft-max 3
bad "for llama-server" 2 "is not for --engine" "$T/m.gguf" --serve --engine llama-server --draft "$T/d.gguf"
bad "beside a plan" 2 "has no place beside --plan" --plan "$T/p.json" --serve --draft "$T/d.gguf"
bad "absent" 1 "there is no file" "$T/m.gguf" --serve --no-key --listen "$sock" --draft "$T/absent.gguf"
cp "$T/d.gguf" "$T/d2.gguf"
cp "$T/m.gguf" "$T/d.gguf"
bad "another file than planned" 4 "is not the model that" --plan "$T/p.json" --serve --no-key --listen "$sock"
cp "$T/d2.gguf" "$T/d.gguf"
bad "the plan's draft without a server" 4 "when it serves" --plan "$T/p.json" --prompt Hello
bad "another vocabulary" 4 "another vocabulary\|cuts text" "$T/m.gguf" --serve --no-key --listen "$sock" --draft "$T/other.gguf"
bad "a state that cannot be taken back" 4 "cannot be taken back" "$T/mamba.gguf" --serve --no-key --listen "$sock" --draft "$T/d.gguf"
finish
