#!/bin/sh
# SPDX-License-Identifier: MIT
# berth launch with the real engine on the CPU: the happy path, every way to end, bad input. The engine runs
# on one CPU: its threads wait for each other by spinning, which starves on a busy machine.
. tests/lib.sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
export BERTH_RUNTIME_DIR="$T/run"
mkdir -m 700 "$T/run"
modelgen=$BUILD/tests/modelgen/modelgen
core=$BUILD/libexec/berth/core
cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
"$modelgen" -o "$T/m.gguf" || fail "model" "modelgen failed"

launch() {
	run taskset -c "$cpu" "$BERTH" launch "$@"
}
# launches NAME STATUS ARGUMENTS...
launches() {
	name=$1 want=$2
	shift 2
	launch "$@"
	if [ "$rc" -eq "$want" ]; then ok "$name"; else fail "$name" "exit $rc, not $want: $(cat "$T/err")"; fi
}
# prints NAME PATTERN: the last run's stdout has it
prints() {
	if grep -q -e "$2" "$T/out"; then ok "$1"; else fail "$1" "stdout lacks '$2': $(head -c 600 "$T/out")"; fi
}
# is NAME WANT GOT
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
# json EXPRESSION: of the last run's stdout, o being the object
json() {
	python3 -c "import json,sys; o=json.load(open(sys.argv[1])); print($1)" "$T/out" 2>&1
}
empty_runtime() {
	is "$1" "" "$(ls "$T/run")"
}

# --- the happy path ---
launches "runs on the CPU" 0 "$T/m.gguf" --accept cpu --prompt Hello -n 12
says "proof" "placement proven: 8 layers and the output are where the plan says"
says "proof table" '^CPU  *9 .* = .* = '
text=$(cat "$T/out")
[ ${#text} -gt 10 ] && ok "tokens on stdout" || fail "tokens on stdout" "only '$text'"
empty_runtime "nothing is left behind"
launches "same seed" 0 "$T/m.gguf" --accept cpu --prompt Hello -n 12 -q
is "same seed, same text" "$text" "$(cat "$T/out")"
is "-q is quiet" "" "$(cat "$T/err")"
launches "other seed" 0 "$T/m.gguf" --accept cpu --prompt Hello -n 12 -q --seed 7
[ "$(cat "$T/out")" != "$text" ] && ok "other seed, other text" || fail "other seed, other text" "same"
launches "greedy" 0 "$T/m.gguf" --accept cpu --prompt Hello -n 12 -q --temp 0 --seed 1
cp "$T/out" "$T/greedy"
launches "greedy again" 0 "$T/m.gguf" --accept cpu --prompt Hello -n 12 -q --temp 0 --seed 2
cmp -s "$T/out" "$T/greedy" && ok "temperature 0 has no chance in it" || fail "temperature 0" "texts differ"
launches "without a prompt" 0 "$T/m.gguf" --accept cpu
says "proves all the same" "placement proven"
is "and prints nothing" "" "$(cat "$T/out")"

launches "json" 0 "$T/m.gguf" --accept cpu --prompt Hello -n 12 --json
valid launch launch "$T/out"
is "text in it" "$text" "$(json 'o["text"]')"
is "counts in it" "12 length proven" "$(json 'o["generated_tokens"], o["stop"], o["placement"]' | tr -d "(),'")"
is "weights and cache to the byte, within rounding" True "$(json 'o["proof"][-1]["exact"]')"
is "one CPU, one thread" "$cpu 1" "$(json 'o["cpus"]+" "+str(o["threads"])')"
is "the whole context is prompt, then text" "context" \
	"$(launch "$T/m.gguf" --accept cpu -c 256 --prompt Hello -n 0 --json; json 'o["stop"]')"

python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' taskset -c "$cpu" "$BERTH" launch "$T/m.gguf" --accept cpu >"$T/tty" </dev/null
grep -q 'loading \[##*  *\]  *[0-9][0-9]* %' "$T/tty" && ok "a bar while it loads, on a terminal" ||
	fail "a bar while it loads" "$(tr '\r' '\n' <"$T/tty" | head -n 5)"

# --- plans ---
run "$BERTH" plan "$T/m.gguf" --accept cpu --json
cp "$T/out" "$T/plan.json"
launches "a plan from a file" 0 --plan "$T/plan.json" --prompt Hello -n 12 -q
is "same plan, same text" "$text" "$(cat "$T/out")"
launches "sequences" 0 "$T/m.gguf" --accept cpu --parallel 3 --embeddings --dry-run --json
is "are in the plan, and vectors are, too" "3 True 512" \
	"$(json 'str(o["plan"]["flags"]["n_seq_max"])+" "+str(o["plan"]["flags"]["embeddings"])+" "+str(o["plan"]["flags"]["n_outputs_max"])')"
launches "what the engine can do" 0 "$T/m.gguf" --accept cpu -c 0 -b 256 -ub 64 -fa off -nkvo --want context -ctk q8_0 --dry-run --json
is "is said as to berth plan" "256 64 False True q8_0" \
	"$(json '" ".join(str(o["plan"]["flags"][k]) for k in ("n_batch", "n_ubatch", "flash_attn", "no_kv_offload", "type_k"))')"
python3 tests/adapters.py lora "$T/a.gguf" 256 8
launches "an adapter" 0 "$T/m.gguf" --accept cpu --lora "$T/a.gguf=0.5" --json
is "is planned, and found as planned" "True True" \
	"$(json 'str(o["proof"][-1]["exact"]) + " " + str("what is loaded beside it" in str(o["plan"]))')"
launches "a server" 0 "$T/m.gguf" --accept cpu --serve --no-key --sleep-idle 60 --max-queue 9 --max-connections 20 --max-body 1M \
	--chat-template chatml --allow-host box --control-vector "$T/m.gguf=0.5" --dry-run --json
is "a server answers several at once" 4 "$(json 'o["plan"]["flags"]["n_seq_max"]')"
is "and its core is told the rest" "60 9 20 1048576 chatml box $T/m.gguf=0.5" \
	"$(json '" ".join(o["argv"][o["argv"].index("--" + k) + 1] for k in "sleep-idle max-queue max-connections max-body chat-template allow-host control-vector".split())')"
is "where it would listen, and its key" "m openai 127.0.0.1:8470 None" \
	"$(json '" ".join([o["serve"]["name"]] + o["serve"]["listen"] + [str(o["serve"]["key_file"])])')"
valid "dry run of a server" launch "$T/out"
launches "a server for one" 0 "$T/m.gguf" --accept cpu --serve --parallel 1 --dry-run --json
is "is one" 1 "$(json 'o["plan"]["flags"]["n_seq_max"]')"
launches "not accepted" 1 --plan "$T/plan.json" --accept gpu
is "starts nothing" "" "$(cat "$T/out")"
launches "no GPU by default" 1 "$T/m.gguf"
says "the nearest yes" "accept cpu"
launches "what was asked for besides" 1 "$T/m.gguf" -c 512 --prompt hello --seed 7
says "stays in what is offered" "^nearest yes *berth launch --prompt hello --seed 7 -c 512 --accept cpu"
says "nothing was started" "^berth launch: not started"
launches "not accepted, json" 1 "$T/m.gguf" --json --device cpu
valid "not accepted" launch "$T/out"
is "class plan" "plan" "$(json 'o["exit_class"]')"
launches "dry run" 0 "$T/m.gguf" --accept cpu --dry-run --prompt "it's"
prints "the command" 'libexec/berth/core --plan .*--control-fd 3 .*--prompt '
prints "quoted for a shell" "'it'.*''s'"
prints "the environment" 'GGML_NO_BACKTRACE=1'
prints "where memory comes from" "^memory: "
prints "the CPUs" "^cpus: $cpu\$"
empty_runtime "dry run starts nothing"
launches "dry run, json" 0 "$T/m.gguf" --accept cpu --dry-run --json
valid "dry run" launch "$T/out"
"$modelgen" -o "$T/other.gguf" --seed 7 --ctx 1024
launches "a plan for another model" 4 "$T/other.gguf" --plan "$T/plan.json"
one_sentence "another model: one sentence"
says "another model: says so" "is not the model that"
sed 's/"devices": \[\]/"devices": [{"pci": "0000:fe:1f.7", "uuid": null, "name": "x", "backend": "vulkan", "engine_name": null, "layers": 9, "buffers": {"weights_bytes": 1, "kv_bytes": 1, "compute_bytes": 1, "overhead_bytes": 1}, "free_bytes": null}]/; s/"n_gpu_layers": 0/"n_gpu_layers": 9/; s/"layers": 9,$/"layers": 0,/; s/"spills"/"fits"/' \
	"$T/plan.json" >"$T/gone.json"
launches "a device that left" 6 --plan "$T/gone.json"
one_sentence "device that left: one sentence"
says "device that left: named" "0000:fe:1f.7"

# --- bad input ---
bad() {
	launches "$1" "$2" $3
	one_sentence "$1: one sentence"
	is "$1: nothing on stdout" "" "$(cat "$T/out")"
}
echo garbage >"$T/garbage"
head -c 300000 "$T/m.gguf" >"$T/short.gguf"
sed 's/"n_ubatch": [0-9]*/"n_ubatch": 0/' "$T/plan.json" >"$T/zero.json"
sed 's/"type_k": "f16"/"type_k": "zork"/' "$T/plan.json" >"$T/zork.json"
bad "no such model" 1 "$T/none.gguf --accept cpu"
bad "not a GGUF" 4 "$T/garbage --accept cpu"
bad "a directory" 4 "$T --accept cpu"
bad "truncated data" 4 "$T/short.gguf --accept cpu"
bad "no such plan" 1 "--plan $T/none.json"
bad "a plan that is none" 4 "--plan $T/garbage"
bad "a plan with a zero batch" 4 "--plan $T/zero.json"
bad "unknown option" 2 "$T/m.gguf --zork"
bad "no model" 2 ""
bad "two models" 2 "$T/m.gguf $T/m.gguf"
bad "wish beside plan" 2 "--plan $T/plan.json -c 64"
bad "bad temperature" 2 "$T/m.gguf --temp warm"
bad "bad split" 2 "$T/m.gguf --accept cpu --split 4,x"
bad "a split without devices" 2 "$T/m.gguf --accept cpu --split 4,5"
bad "an empty list of devices" 2 "$T/m.gguf --accept cpu --device ,"
bad "no such adapter" 1 "$T/m.gguf --accept cpu --lora $T/none.gguf=2"
bad "a model is no adapter" 4 "$T/m.gguf --accept cpu --lora $T/m.gguf"
bad "what needs a server" 2 "$T/m.gguf --accept cpu --sleep-idle 5"
bad "what is our core's" 2 "$T/m.gguf --accept cpu --serve --engine llama-server --chat-template chatml"
bad "two caches" 2 "$T/m.gguf --accept cpu --kv-unified --no-kv-unified"
bad "no tensors" 2 "$T/m.gguf --accept cpu --override-tensor zork"
bad "no cache type" 2 "$T/m.gguf --accept cpu --cache-type-k zork"
odd=$(printf '%s/a\tb.gguf' "$T")
ln "$T/m.gguf" "$odd"
launches "a name that JSON cannot hold" 4 "$odd" --accept cpu
one_sentence "a name that JSON cannot hold: one sentence"
says "a name that JSON cannot hold: what to do" "rename the file"
ln "$T/m.gguf" "$T/it's \"a\" name.gguf"
launches "a name with quotes and spaces" 0 "$T/it's \"a\" name.gguf" --accept cpu --prompt x -n 2 -q
python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/socket"
bad "a socket as a plan" 4 "--plan $T/socket"
for dir in "$T/absent/run" "$T/garbage"; do
	export BERTH_RUNTIME_DIR="$dir"
	bad "runtime folder ${dir#"$T/"}" 5 "$T/m.gguf --accept cpu --dry-run"
	says "runtime folder ${dir#"$T/"}: what to do" "set BERTH_RUNTIME_DIR"
done
export BERTH_RUNTIME_DIR="$T/run"
for json in "" --json; do
	# shellcheck disable=SC2086 # an option or none
	"$BERTH" launch --accept cpu --dry-run "$T/m.gguf" $json >/dev/full 2>"$T/err"
	is "dry run to a full disk $json" 5 $?
	one_sentence "dry run to a full disk $json: one sentence"
done
bad "no such device" 1 "$T/m.gguf --device Vulkan99"
bad "twice the same device" 1 "$T/m.gguf --device nothing,nothing"
launches "a cache type nobody knows" 4 --plan "$T/zork.json" --prompt x
says "cache type: named" "zork"
launches "a prompt that does not fit" 8 "$T/m.gguf" --accept cpu -c 256 --prompt "$(head -c 4000 /dev/zero | tr '\0' 'x')"
says "prompt: says how many" "the context holds 256"
# a sanitizer's own reservations exceed any limit on memory
if [ -z "${SAN:-}" ]; then
	sed 's/"n_ctx": [0-9]*/"n_ctx": 262144/' "$T/plan.json" >"$T/huge.json"
	(ulimit -d 400000 && exec taskset -c "$cpu" "$BERTH" launch --plan "$T/huge.json" --json) >"$T/out" 2>"$T/err"
	is "memory that is not there" "8 oom" "$? $(json 'o["exit_class"]')"
	valid "memory" launch "$T/out"
fi

# --- how a run ends ---
# a sanitizer would turn these signals into an exit of its own
handled=handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_abort=0
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:$handled" TSAN_OPTIONS="${TSAN_OPTIONS:-}:$handled"
# begin ARGUMENTS...: a long run in the background: $pid is launch, $child the core, tokens flow
begin() {
	: >"$T/out"
	: >"$T/err"
	taskset -c "$cpu" "$BERTH" launch "$T/m.gguf" --accept cpu -c 32768 -n 0 --prompt Hello "$@" \
		>"$T/out" 2>"$T/err" </dev/null &
	pid=$!
	# with --json no token would show: it generates once it is proven
	wait_for grep -q proven "$T/err"
	child=$(sed -n 's/^\([0-9]*\) (core) . '"$pid"' .*/\1/p' /proc/[0-9]*/stat 2>/dev/null)
	if [ -z "$child" ]; then
		fail "begin" "no core runs: $(cat "$T/err")"
		kill "$pid"
		finish
	fi
}
# alive PID: it runs, and is no zombie that a careless init keeps
alive() {
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	[ -n "$state" ] && [ "$state" != Z ]
}
dead() {
	! alive "$1"
}
# heard SIGNAL-BIT PID: the process has taken the signal, or has ended
heard() {
	pending=$(sed -n 's/^ShdPnd:[[:space:]]*/0x/p' "/proc/$2/status" 2>/dev/null)
	[ $((${pending:-0} & $1)) -eq 0 ]
}
# ends NAME STATUS: the run ends with it, and its core is gone
ends() {
	wait "$pid"
	rc=$?
	if [ "$rc" -eq "$2" ]; then ok "$1"; else fail "$1" "exit $rc, not $2: $(cat "$T/err")"; fi
	if alive "$child"; then fail "$1: no orphan" "the core still runs"; else ok "$1: no orphan"; fi
}
for signal in INT TERM HUP; do
	begin
	kill -$signal "$pid"
	ends "$signal stops cleanly" 0
	says "$signal: says so" "(stopped)"
	empty_runtime "$signal: nothing is left behind"
done
begin
kill -STOP "$child"
kill -INT "$pid"
wait_for heard 2 "$pid"
kill -INT "$pid"
ends "a second Ctrl-C does not wait" 0
export GGML_BACKEND_PATH=/tmp/any.so
begin
unset GGML_BACKEND_PATH
is "the core's environment" GGML_NO_BACKTRACE=1 "$(tr '\0' '\n' <"/proc/$child/environ" | grep ^GGML)"
kill -INT "$pid"
ends "its environment: stops" 0
trap '' HUP
begin
trap - HUP
kill -HUP "$pid"
sleep 0.3
alive "$child" && ok "nohup outlives its terminal" || fail "nohup outlives its terminal" "it stopped"
kill -INT "$pid"
ends "nohup: still stops when asked" 0
for row in "ABRT abort" "KILL killed" "SEGV segmentation fault" "ILL illegal instruction" "BUS bus error"; do
	begin --json
	kill -"${row%% *}" "$child"
	ends "core dies of ${row%% *}" 8
	is "${row%% *}: class" "${row#* }" "$(json 'o["exit_class"]')"
	valid "${row%% *}" launch "$T/out"
done
begin
kill -ABRT "$child"
ends "a crash in words" 8
is "crash: one sentence" 1 "$(grep -c 'the engine aborted' "$T/err")"
[ -n "$(ls "$T/run")" ] && ok "the page of a crash stays" || fail "the page of a crash stays" "gone"
launches "the next launch removes it" 0 "$T/m.gguf" --accept cpu -q
empty_runtime "it is removed"
begin
kill -KILL "$pid"
wait "$pid" 2>/dev/null
wait_for dead "$child" && ok "launch is killed: no orphan" || fail "launch is killed: no orphan" "the core still runs"
taskset -c "$cpu" "$BERTH" launch "$T/m.gguf" --accept cpu -c 32768 -n 0 --prompt Hello -q 2>"$T/err" | head -c 3 >"$T/out"
is "a reader that has enough" "" "$(cat "$T/err")"

taskset -c "$cpu" "$BERTH" launch "$T/m.gguf" --accept cpu --prompt Hello -q >/dev/full 2>"$T/err"
is "a full disk is no end" 5 "$?"
one_sentence "a full disk, one sentence"
says "a full disk: says why" "No space left"

# --- the core by itself ---
run taskset -c "$cpu" "$core" --plan "$T/plan.json" --prompt Hello -n 12
is "core alone" "0 $text" "$rc $(cat "$T/out")"
run "$core" --list-devices --json
is "list" 0 "$rc"
valid devices devices "$T/out"
is "the CPU is a device" True "$(json 'any(d["type"] == "cpu" for d in o["devices"])')"
exits "core: bad plan" 4 "$core" --plan "$T/garbage"
one_sentence "core: bad plan, one sentence"
exits "core: bad descriptor" 5 "$core" --plan "$T/plan.json" --control-fd 9
says "core: bad descriptor, says so" "control-fd 9 is not an open descriptor"
exits "core: nothing to do" 2 "$core"
finish
