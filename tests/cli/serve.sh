#!/bin/sh
# SPDX-License-Identifier: MIT
# The core's HTTP: first over a batch that computes nothing (tests/fake/prog_serve.c), so that every way a
# client can behave can be had at will; then the real core with the real engine, and real clients of both APIs.
. tests/lib.sh
fake=$BUILD/tests/fake/prog_serve
core=$BUILD/libexec/berth/core
K=0123456789abcdefghij
(umask 077 && echo "$K" >"$T/key")
pid=
trap 'exec 7>&-; [ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$T"' EXIT

# serve OPTION...: the fake, until stop; its address in $A and that for Ollama in $O
serve() {
	rm -f "$T/in" "$T/where" && mkfifo "$T/in"
	"$fake" --listen 127.0.0.1:0 "$@" <"$T/in" >"$T/where" 2>"$T/serve.err" &
	pid=$!
	exec 7>"$T/in"
	wait_for test -s "$T/where"
	A=$(sed -n 1p "$T/where") O=$(sed -n 2p "$T/where")
}
stop() {
	exec 7>&-
	wait "$pid"
	rc=$?
	pid=
	[ "$rc" -eq 0 ] && ok "$1" || fail "$1" "exit $rc: $(cat "$T/serve.err")"
}
# answers NAME STATUS CURL-ARGUMENT...: the body is in $T/out, the headers in $T/headers
answers() {
	name=$1 want=$2
	shift 2
	got=$(curl -s -m 120 -o "$T/out" -D "$T/headers" -w '%{http_code}' "$@" 2>"$T/err")
	[ "$got" = "$want" ] && ok "$name" || fail "$name" "$got, not $want: $(head -c 300 "$T/out")"
}
# has NAME PATTERN FILE
has() {
	if grep -qi -e "$2" "$3"; then ok "$1"; else fail "$1" "'$2' is not in: $(head -c 400 "$3")"; fi
}
raw() {
	SERVER_PID=$pid python3 tests/serve.py "$A" "$K" "$@" || fail "$1" "the client ended with $?"
}
clients() {
	[ -n "$npm" ] || CLIENTS_DIR=$PWD/$BUILD/tests/npm node tests/clients.mjs "$@"
}
npm=
why=$(sh tests/npm.sh "$BUILD/tests/npm") || npm=$why
[ -z "$npm" ] || { [ -z "${STRICT:-}" ] && echo "clients are left out: $npm" || fail "clients" "$npm"; }

# --- who may come in ---
serve --ollama 127.0.0.1:0 --key-file "$T/key" --body 1000000
auth="Authorization: Bearer $K"
answers "health asks for no key" 200 "$A/health"
has "health" '"status":"ok"' "$T/out"
answers "models ask for the key" 401 "$A/v1/models"
has "in OpenAI's words" '"code":"invalid_api_key"' "$T/out"
has "and the scheme" '^WWW-Authenticate: Bearer' "$T/headers"
answers "a key that begins alike" 401 -H "Authorization: Bearer ${K%?}" "$A/v1/models"
answers "a longer one" 401 -H "${auth}x" "$A/v1/models"
answers "no path is told without it" 401 "$A/nothing"
answers "the key" 200 -H "$auth" "$A/v1/models"
answers "another path" 404 -H "$auth" "$A/nothing"
answers "another method" 405 -X DELETE -H "$auth" "$A/v1/models"
has "and which" '^Allow: GET, HEAD, OPTIONS' "$T/headers"
answers "HEAD" 200 -I "$A/health"
answers "a foreign Host" 403 -H "Host: evil.example" "$A/health"
answers "a Host in upper case, with port and the root's dot" 200 -H "Host: LocalHost.:8470" "$A/health"
answers "an IPv6 Host" 200 -H "Host: [::1]:8470" "$A/health"
answers "no Host" 403 --http1.0 -H "Host:" "$A/health"
# libmicrohttpd 1.0 refuses this one itself, as HTTP/1.1 wants it
code=$(curl -s -o "$T/out" -w '%{http_code}' -H "Host:" "$A/health")
case $code in
400 | 403) ok "no Host, in HTTP/1.1" ;;
*) fail "no Host, in HTTP/1.1" "$code" ;;
esac
answers "a foreign Host that looks near" 403 -H "Host: localhost.evil.example" "$A/health"
answers "a foreign Origin" 403 -H "Origin: https://evil.example" "$O/api/tags"
answers "the Origin null" 403 -H "Origin: null" "$O/api/tags"
answers "a near Origin" 200 -H "Origin: http://localhost:3000" "$O/api/tags"
has "is told so" '^Access-Control-Allow-Origin: http://localhost:3000' "$T/headers"
answers "preflight" 204 -X OPTIONS -H "Origin: http://127.0.0.1:5173" -H "Access-Control-Request-Headers: authorization,x-a" "$A/v1/chat/completions"
has "names the headers" '^Access-Control-Allow-Headers: authorization,x-a' "$T/headers"
answers "preflight of a foreign page" 403 -X OPTIONS -H "Origin: http://evil.example" "$A/v1/chat/completions"
answers "Ollama's port asks for no key" 200 "$O/api/tags"
answers "and has nothing else" 404 "$O/v1/models"
has "in Ollama's words" '^{"error":"' "$T/out"
answers "Ollama is there" 200 "$O/"
answers "metrics" 200 -H "$auth" "$A/metrics"
has "by device and purpose" '^berth_device_bytes{run="fake",device="Vulkan0",pci="0000:01:00.0",purpose="kv"} 20$' "$T/out"

# --- what they ask ---
ask() {
	name=$1 want=$2 body=$3
	shift 3
	answers "$name" "$want" -H "$auth" -d "$body" "$A/v1/${1:-completions}"
}
ask "no JSON" 400 '{"model":'
ask "no object" 400 '[]'
ask "no model" 400 '{"prompt":"x"}'
has "names this run" 'this run is .*fake' "$T/out"
ask "another model" 404 '{"model":"x","prompt":"x"}'
has "its code" '"code":"model_not_found"' "$T/out"
ask "no prompt" 400 '{"model":"fake"}'
ask "several prompts" 200 '{"model":"fake","prompt":["a","b"],"n":2}'
has "are told apart" '"index":2,"text":"b"' "$T/out"
ask "too many answers" 400 '{"model":"fake","prompt":"x","n":65}'
has "its parameter" '"param":"n"' "$T/out"
ask "a temperature out of range" 400 '{"model":"fake","prompt":"x","temperature":-1}'
ask "too many of all prompts" 400 '{"model":"fake","prompt":["x","y","z"],"n":22}'
ask "one of them fails" 400 '{"model":"fake","prompt":["slow","fail","slow"]}'
has "in its words" 'context_length_exceeded' "$T/out"
ask "tools" 400 '{"model":"fake","messages":[{"role":"user","content":"x"}],"tools":[{}]}' chat/completions
has "and who can" 'engine llama-server' "$T/out"
ask "an image" 400 '{"model":"fake","messages":[{"role":"user","content":[{"type":"image_url"}]}]}' chat/completions
ask "broken characters" 200 '{"model":"fake","prompt":"bytes"}'
python3 -c 'import json,sys; t=json.load(open(sys.argv[1], encoding="utf-8"))["choices"][0]["text"]; sys.exit(t != "a\ufffd\ufffd(\u20ac")' "$T/out" &&
	ok "are replaced" || fail "are replaced" "$(cat "$T/out")"
ask "a failure before the first token" 400 '{"model":"fake","prompt":"fail","stream":true}'
answers "a body of Ollama's" 400 -d '{"model":"fake","prompt":"x","options":{"top_p":7}}' "$O/api/generate"

# --- how they behave ---
raw malformed
raw plain
raw metrics
raw vanish
raw streams 200
raw deaf
raw keep 10000
clients "http://$A" "$K" "http://$O" fake fake
busy() {
	curl -s -H "$auth" "$A/metrics" | grep -q "^berth_slots_busy.* $1\$"
}
wait_for busy 0
# without descriptor 7, which holds the server up
curl -s -N -m 120 -H "$auth" -d '{"model":"fake","prompt":"hang"}' -w '%{http_code}' "$A/v1/completions" >"$T/hang" 7>&- &
hung=$!
wait_for busy 1
stop "stops with a request at work"
wait "$hung"
has "which is told" '"the request was cancelled".*503' "$T/hang"
serve --key-file "$T/key" --connections 40
raw strangers 40
stop "stops with strangers"
serve --key-file "$T/key" --seconds 4 --connections 40
raw slowloris 60
raw trickle
stop "stops with slow clients"
serve --key-file "$T/key" --queue 4
raw queue
stop "stops after a full queue"

# --- sockets ---
run "$fake" --listen "unix:$T/s" <"$T/key"
[ "$rc" -eq 0 ] && [ ! -e "$T/s" ] && ok "a UNIX socket is removed" || fail "a UNIX socket" "exit $rc: $(cat "$T/err")"
exits "beyond loopback without a key" 1 "$fake" --listen 0.0.0.0:0
one_sentence "says so"
exits "Ollama beyond loopback" 1 "$fake" --ollama 0.0.0.0:0 --key-file "$T/key"
says "never" "never listens beyond loopback"
exits "nonsense" 1 "$fake" --listen nowhere
chmod 644 "$T/key"
exits "a key that others can read" 1 "$fake" --listen 127.0.0.1:0 --key-file "$T/key"
says "what to do" "chmod 600"
chmod 600 "$T/key"
echo short >"$T/short" && chmod 600 "$T/short"
exits "a short key" 1 "$fake" --listen 127.0.0.1:0 --key-file "$T/short"
echo x >"$T/file"
exits "a file in the socket's place" 1 "$fake" --listen "unix:$T/file"
[ -e "$T/file" ] && ok "is left alone" || fail "is left alone" "it is gone"
cat >"$T/activate.py" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5)
t = socket.socket(); t.bind(("127.0.0.1", 0)); t.listen(5)
a, b = os.dup(s.fileno()), os.dup(t.fileno())
os.dup2(a, 3); os.dup2(b, 4)
for fd in (3, 4): os.set_inheritable(fd, True)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="openai:ollama")
os.execv(sys.argv[2], sys.argv[2:])
PY

# --- the core itself ---
if [ ! -e "$BUILD/lib/berth/libggml-base.so" ]; then
	echo "the engine is not there: $BUILD/lib/berth"
	finish
fi
cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" --gaps 1 && "$BERTH" plan "$T/m.gguf" --accept cpu --json >"$T/plan.json" ||
	fail "plan" "no model or no plan"
serving="--plan $T/plan.json --serve --threads 1 --chat-template chatml"
exits "core: a key or none" 2 "$core" $serving
exits "core: a template nobody knows" 4 "$core" --plan "$T/plan.json" --serve --threads 1 --no-key --listen "unix:$T/x" --chat-template zork
says "core: says which, and what runs it" "none named 'zork'.*llama-server"
exits "core: a port that is taken" 5 python3 -c '
import os, socket, subprocess, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
sys.exit(subprocess.call(sys.argv[1:] + ["--no-key", "--listen", "127.0.0.1:%d" % s.getsockname()[1]]))' "$core" $serving
says "core: says which" "127.0.0.1:[0-9]* is in use by another program"
taskset -c "$cpu" python3 "$T/activate.py" "$T/core.sock" "$core" $serving --key-file "$T/key" 2>"$T/core.err" &
pid=$!
wait_for sh -c "curl -s --unix-socket $T/core.sock http://localhost/health | grep -q '\"ok\"'" &&
	ok "core: serves on given sockets" || fail "core: serves on given sockets" "$(cat "$T/core.err")"
O=127.0.0.1:$(python3 - "$pid" <<'PY'
import os, re, sys
inode = re.search(r"\d+", os.readlink(f"/proc/{sys.argv[1]}/fd/4")).group()
print(next(int(f[1].split(":")[1], 16) for f in map(str.split, open("/proc/net/tcp")) if len(f) > 9 and f[9] == inode))
PY
)
core_ask() {
	curl -s -m 120 --unix-socket "$T/core.sock" -H "$auth" -d "$1" http://localhost/v1/completions
}
one=$(core_ask '{"model":"m","prompt":"Hello","max_tokens":12,"temperature":0}')
two=$(core_ask '{"model":"m","prompt":"Hello","max_tokens":12,"temperature":0,"cache_prompt":false}')
text='import json,sys; a,b=(json.loads(x)["choices"][0]["text"] for x in sys.argv[1:]); sys.exit(a != b or len(a) < 12)'
python3 -c "$text" "$one" "$two" && ok "core: same question, same answer" || fail "core: same question, same answer" "$one $two"
core_ask '{"model":"m","prompt":"Hello","max_tokens":60,"grammar":"root ::= \"yes\" | \"no\""}' >"$T/out"
has "core: a grammar is obeyed" '"text":"\(yes\|no\)"' "$T/out"
core_ask '{"model":"m","prompt":"Hello","grammar":"root ::= ("}' >"$T/out"
has "core: one that does not parse is refused" 'invalid_request_error' "$T/out"
# Grammars that the engine would never be done with, or have no stack for: their request ends, and no other
python3 - "$T" <<'PY'
import json, sys
def put(name, grammar):
    json.dump({"model": "m", "prompt": "Hello", "max_tokens": 60, "ignore_eos": True, "grammar": grammar}, open(f"{sys.argv[1]}/{name}.json", "w"))
put("stacks", 'root ::= [a-z ] root "b" | [a-z ] root "c" | [a-z ]')
put("ways", "".join(f"{'root' if i == 0 else f'a{i}'} ::= a{i + 1} | a{i + 1}\n" for i in range(40)) + "a40 ::= [a-z ]+")
put("deep", "root ::= " + "(" * 60000)
PY
core_ask "@$T/stacks.json" >"$T/slow" &
slow=$!
core_ask '{"model":"m","prompt":"Hello","max_tokens":4}' >"$T/out"
has "core: beside a slow one" '"completion_tokens":4' "$T/out"
wait "$slow"
has "core: one that takes too long is ended" 'takes too long' "$T/slow"
core_ask "@$T/ways.json" >"$T/out"
has "core: too many ways to begin" 'too many ways' "$T/out"
core_ask "@$T/deep.json" >"$T/out"
has "core: groups too deep" '64 deep' "$T/out"
core_ask '{"model":"m","prompt":"Hello","suffix":"you","max_tokens":4}' >"$T/gap"
core_ask '{"model":"m","prompt":"Hello","max_tokens":4}' >"$T/none"
# The model that fills gaps has three tokens more to say so, and then the suffix
python3 -c 'import json, sys; a, b = (json.load(open(f))["usage"]["prompt_tokens"] for f in sys.argv[1:]); sys.exit(a < b + 4)' "$T/gap" "$T/none" &&
	ok "core: a gap before a suffix is filled" || fail "core: a gap before a suffix" "$(cat "$T/gap")"
core_ask "{\"model\":\"m\",\"prompt\":\"$(printf 'word %.0s' $(seq 5000))\"}" >"$T/out"
has "core: too long a prompt" 'context_length_exceeded' "$T/out"
curl -s --unix-socket "$T/core.sock" -H "$auth" http://localhost/metrics >"$T/out"
has "core: the first load took its time" '^berth_load_seconds{.*} [0-9.]*[1-9]' "$T/out"
has "core: tokens are counted" '^berth_generated_tokens_total{run="m"} [1-9]' "$T/out"
has "core: bytes by device" '^berth_device_bytes{run="m",device="CPU",pci="",purpose="weights"} [1-9]' "$T/out"
if [ -z "$npm" ]; then
	# The clients want an address for both
	kill "$pid" && wait "$pid"
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	taskset -c "$cpu" "$core" $serving --key-file "$T/key" --listen "127.0.0.1:$port" --ollama "$O" 2>"$T/core.err" &
	pid=$!
	wait_for sh -c "curl -s 127.0.0.1:$port/health | grep -q '\"ok\"'" ||
		fail "core: serves on sockets of its own" "$(cat "$T/core.err")"
	clients "http://127.0.0.1:$port" "$K" "http://$O" m core | sed 's/^\(ok\|FAIL\) /\1 core: /'
	curl -s -N -m 120 -H "$auth" -d '{"model":"m","prompt":"Hello","stream":true,"ignore_eos":true}' "127.0.0.1:$port/v1/completions" >"$T/stream" &
	hung=$!
	wait_for test -s "$T/stream"
fi
kill "$pid"
wait "$pid"
rc=$?
pid=
[ "$rc" -eq 0 ] && ok "core: ends when told to" || fail "core: ends when told to" "exit $rc: $(cat "$T/core.err")"
finish
