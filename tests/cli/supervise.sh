#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs that stay, with a core that has no engine and fails as told (tests/fake/core.py): sockets, 503, every remedy,
# orders, and what is left when something is killed.
. tests/lib.sh
. tests/lib_runs.sh
# --- up, orders, down ---
cores serve
up 0
says "comes back ready" "a serves openai unix:$sock"
says "with the proof" "placement proven"
is "the core serves on the socket" "start 1" "$(body)"
is "listed as ready" ready "$(listed)"
"$BERTH" ps --json >"$T/ps"
valid ps ps "$T/ps"
run "$BERTH" ps
grep -q "^a  *ready .* m.gguf  *openai unix:" "$T/out" && ok "listed for people" || fail "listed for people" "$(cat "$T/out")"
is "the key is nobody else's" "600 49" "$(stat -c '%a %s' "$T/state/api-key")"
is "the core is told where it is" "$T/state/api-key" "$(seen 1 'o["argv"][o["argv"].index("--key-file")+1]')"
is "and its name" a "$(seen 1 'o["argv"][o["argv"].index("--name")+1]')"
is "sockets by name, control after them" "1 openai 4" "$(seen 1 'o["env"]["LISTEN_FDS"]+" "+o["env"]["LISTEN_FDNAMES"]+" "+o["argv"][o["argv"].index("--control-fd")+1]')"
run "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$T/other"
is "a name is one run's" 5 "$rc"
one_sentence "a name is one run's: one sentence"
says "a name is one run's: what to do" "berth stop a"
run "$BERTH" launch -d --name b "$T/m.gguf" --accept cpu --listen "unix:$sock"
is "a socket is one run's" 5 "$rc"
says "a socket is one run's: named" "in use by another program"
run "$BERTH" logs a
grep -q '^20..-..-..T..:..:..Z fake engine, start 1' "$T/out" && ok "the engine's words are logged, with the time" ||
	fail "logs" "$(cat "$T/out")"
is "logs -n 1 is the last line" 1 "$("$BERTH" logs a -n 1 | wc -l)"
run "$BERTH" restart a
is "restart waits until it serves" "0 start 2" "$rc $(body)"
is "an end that was asked for is no failure" None "$("$BERTH" ps --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["runs"][0]["last_class"])')"
"$BERTH" logs a -f >"$T/followed" &
follower=$!
comes "logs -f shows what there is" 1 grep -c 'start 2' "$T/followed"
core=$(record core_pid)
stop "a run"
gone "its core is gone" "$core"
wait $follower
grep -q 'start 2' "$T/followed" && ok "logs -f ends with the run" || fail "logs -f" "$(cat "$T/followed")"
run "$BERTH" stop a
is "what is not there cannot be stopped" 1 "$rc"
one_sentence "what is not there: one sentence"
run "$BERTH" ps
is "no runs, no lines" "" "$(cat "$T/out")"

cores asleep
up 0
comes "a model that sleeps is not ready" asleep listed
"$BERTH" ps --json >"$T/ps"
valid "asleep" ps "$T/ps"
stop "one that sleeps"

# --- while no core runs ---
cores serve
touch "$T/core.slow"
"$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock" 2>"$T/err" &
starter=$!
comes "while it loads" loading record state
ask >"$T/answer"
is "503 while it loads" "HTTP/1.1 503 Service Unavailable" "$(head -n 1 "$T/answer")"
grep -q '^Retry-After: 1$' "$T/answer" && ok "when to come again" || fail "when to come again" "$(cat "$T/answer")"
is "in OpenAI's shape" unavailable_error "$(tail -n 1 "$T/answer" | python3 -c 'import json,sys; print(json.load(sys.stdin)["error"]["type"])')"
ask /api/chat | tail -n 1 | grep -q '^{"error":"the model is being loaded' && ok "in Ollama's shape" || fail "Ollama's shape" "$(ask /api/chat)"
# forty clients that say nothing: more than there is room for
python3 - "$sock" "$T/core.slow" <<-'EOF'
	import os, socket, sys, time
	idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]
	for s in idle:
	    s.connect(sys.argv[1])
	os.unlink(sys.argv[2])
	time.sleep(0.3)
EOF
wait $starter
is "silent clients do not keep it from getting ready" "0 start 1" "$? $(body)"
stop "a slow run"

# --- remedies ---
cores serve serve
up 0
kill -9 "$(record core_pid)"
comes "kill -9: started again" "start 2" body
is "kill -9: says why" killed "$(record last_class)"
stop "after kill -9"
cores serve stuck serve
up 0 --watchdog 3
core=$(record core_pid)
kill -STOP "$core"
comes "a stopped core is replaced, and one that never beats" "start 3" body
is "as stuck" stuck "$(record last_class)"
is "both" 2 "$("$BERTH" logs a | grep -c 'no sign of life for 3 s')"
stop "after two stuck ones"
cores oom oom serve
up 0
says "memory refused: q8_0 first" "the next smaller plan: the cache as q8_0"
says "then half the context" "the next smaller plan: a context of"
is "the plan says so" "q8_0 True" "$(seen 3 'o["plan"]["flags"]["type_k"], o["plan"]["flags"]["n_ctx"]' | sed "s/[(')]//g; s/, .*/ True/")"
is "halved" True "$(python3 -c 'import json,sys; a,b=(json.load(open(sys.argv[1]+n))["plan"]["flags"]["n_ctx"] for n in ("2","3")); print(a==2*b)' "$T/core.")"
stop "a smaller plan"
cores oom
up 8
says "no end of memory: gives up" "no smaller plan is left to try"
is "a failed run can be read of" "failed oom" "$(listed) $(record last_class)"
run "$BERTH" stop a
is "and is forgotten when stopped" "0 " "$rc $(listed)"
cores ill serve
up 0
is "illegal instruction: plain code" plain "$(seen 2 'o["env"].get("BERTH_CPU")')"
is "not at first" None "$(seen 1 'o["env"].get("BERTH_CPU")')"
stop "plain code"
cores elsewhere serve
up 7
says "placed elsewhere: no second try" "starting it again would not help"
is "one start" 1 "$(wc -c <"$T/core.starts")"
"$BERTH" stop a

# --- orders while no core runs ---
cores exit abort exit exit serve
"$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock" 2>"$T/err" &
starter=$!
# the waits grow: the fourth, of eight seconds, is long enough to be cut short
comes "crashes while loading: tried again" "4 waiting" eval 'echo "$(record starts) $(record state)"'
run "$BERTH" restart a
is "restart waits for nothing: and for what comes of it" "0 start 5" "$rc $(body)"
wait $starter
is "who started it sees it ready" 0 $?
stop "restarted while it waited"
cores exit
"$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock" 2>"$T/started" &
starter=$!
comes "it waits" waiting record state
stop "while it waits"
wait $starter
is "who started it is told that it was stopped" 1 $?
cores serve
touch "$T/core.slow"
"$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock" 2>"$T/started" &
starter=$!
comes "it loads" loading record state
core=$(record core_pid)
stop "while it loads"
wait $starter
is "who started it is told so" 1 $?
gone "and its core is gone" "$core"

# --- a device that leaves ---
echo "Vulkan0 Vulkan1" >"$T/devices"
cores serve serve
run "$BERTH" launch -d --name a "$T/m.gguf" --device Vulkan0,Vulkan1 --split 4,5 --margin 1M --listen "unix:$sock"
is "two devices" "0 2" "$rc $(seen 1 'len(o["plan"]["devices"])')"
echo "Vulkan1" >"$T/devices"
printf 'serve\ndevice\nserve\n' >"$T/core"
kill -ABRT "$(record core_pid)"
comes "a lost device: planned again" "start 3" body
is "for the one that is left" "Vulkan1 9" "$(seen 3 'o["plan"]["devices"][0]["engine_name"], o["plan"]["devices"][0]["layers"]' | tr -d "(),'")"
echo "Vulkan0 Vulkan1" >"$T/devices"
run "$BERTH" restart a
is "back again: restart uses both" "0 2" "$rc $(seen 4 'len(o["plan"]["devices"])')"
: >"$T/devices"
printf 'device\n' >"$T/core"
kill -ABRT "$(record core_pid)"
comes "none is left: no CPU instead" failed record state
"$BERTH" stop a

# --- who dies ---
cores serve
up 0 9>"$T/held"
is "what the caller had open is not held" 0 "$(ls -l "/proc/$(record supervisor_pid)/fd" "/proc/$(record core_pid)/fd" | grep -c "$T/held")"
core=$(record core_pid)
kill -9 "$(record supervisor_pid)"
gone "the supervisor is killed: no orphan" "$core"
is "and it is known to be dead" dead "$(listed)"
run "$BERTH" stop a
is "stopped, its record and its lock are gone" "0 " "$rc $(find "$T/run" -name 'a.*')"
cores serve
up 0
is "its name and its socket can be had again" "start 1" "$(body)"
stop "after a dead one"
cores serve
touch "$T/core.slow"
# in the background it would be deaf to it
env --default-signal=INT "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock" 2>/dev/null &
starter=$!
comes "it loads, with who waits for it" loading record state
kill -INT $starter
wait $starter
comes "Ctrl-C while it loads ends it" none record state

# --- in the foreground, under a service manager ---
cores serve
python3 - "$BERTH" "$T" <<-'EOF' >"$T/managed" 2>&1
	import os, signal, socket, subprocess, sys
	berth, t = sys.argv[1:]
	told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	told.bind(t + "/notify")
	told.settimeout(120)
	door = socket.socket()
	door.bind(("127.0.0.1", 0))
	door.listen()
	def hand_over():
	    os.dup2(door.fileno(), 3)
	    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET=t + "/notify")
	    os.execv(berth, [berth, "launch", "--serve", "--name", "a", t + "/m.gguf", "--accept", "cpu"])
	pid = os.fork()
	if pid == 0:
	    hand_over()
	while told.recv(200) != b"READY=1":
	    pass
	client = socket.create_connection(door.getsockname())
	client.sendall(b"GET / HTTP/1.1\r\n\r\n")
	print(client.recv(999).decode().splitlines()[-1])
	os.kill(pid, signal.SIGTERM)
	while told.recv(200) != b"STOPPING=1":
	    pass
	print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
is "ready and stopping are told, the socket is taken" "start 1 0" "$(grep -v '^berth' "$T/managed" | tail -n 2 | tr '\n' ' ' | sed 's/ $//')"

# --- how many at once: four, or as many of them as there is room for ---
echo Vulkan0 >"$T/devices"
"$BUILD/tests/modelgen/modelgen" -o "$T/states.gguf" --arch lfm2 || fail model "modelgen failed"
# on_device ARGUMENTS...: what is planned for one device; every sequence has a state of its own
on_device() {
	run "$BERTH" launch "$T/states.gguf" --device Vulkan0 --dry-run --json "$@"
	python3 -c 'import json,sys; o=json.load(open(sys.argv[1]))["plan"]; print(o["flags"]["n_seq_max"], o["devices"][0]["left_bytes"])' "$T/out"
}
left=$(on_device --parallel 4 --margin 268435456)
is "four at once by default" "$left" "$(on_device --serve --margin 268435456)"
two=$(on_device --serve --margin $((268435456 + ${left#* } + 1)))
is "two, where a byte is missing for four" 2 "${two% *}"
says "which is said" "answers 2 requests at once, not 4"

# --- wrong usage ---
for row in "--name ../x" "--listen 8470" "--listen ::1:80" "--listen unix:x" "--key-file x --no-key" "--no-key" "--serve --prompt x" \
	"--serve --json"; do
	# shellcheck disable=SC2086 # words
	case $row in --no-key | *--key-file*) add= ;; *) add=--serve ;; esac
	# shellcheck disable=SC2086 # words
	run "$BERTH" launch "$T/m.gguf" --accept cpu $add $row
	is "wrong usage: $row" 2 "$rc"
done
chmod 644 "$T/state/api-key"
run "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock"
is "a key that others can read" 5 "$rc"
says "a key that others can read: what to do" "chmod 600"
run "$BERTH" launch --serve --dry-run "$T/m.gguf" --accept cpu --no-key
is "a dry run opens nothing" "0 " "$rc $(ls "$T/run")"
grep -q -e '--control-fd 4 .*--serve --name m --no-key' "$T/out" && ok "and shows what it would start" || fail "dry run" "$(cat "$T/out")"
# a log at the limit for files
cores serve
rm "$T/state/api-key"
head -c 65536 /dev/zero >"$T/state/a.log"
chmod 600 "$T/state/a.log"
(ulimit -f 128 && exec "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock") 2>"$T/err"
is "a log at the limit for files ends nobody" "0 start 1 65536" "$? $(body) $(stat -c %s "$T/state/a.log")"
stop "with a log at its limit"
# a full disk for the log
rm "$T/state/a.log"
ln -s /dev/full "$T/state/a.log"
run "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock" --no-key
is "a log that is a link is refused" 5 "$rc"
finish
