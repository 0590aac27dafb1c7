#!/bin/sh
# SPDX-License-Identifier: MIT
# A run that stays, with the real engine on one CPU: served, watched, killed in every way, restarted, stopped.
. tests/lib.sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
mkdir -m 700 "$T/run" "$T/state"
export BERTH_RUNTIME_DIR="$T/run" BERTH_STATE_DIR="$T/state"
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" || fail model "modelgen failed"
sock=$T/s.sock
. tests/lib_record.sh

# answer: what the run says to a prompt, greedily; its HTTP status when it says nothing
answer() {
	curl -s -m 60 --unix-socket "$sock" -H "Authorization: Bearer $(cat "$T/state/api-key")" \
		http://localhost/v1/completions -d '{"model":"a","prompt":"Once upon a time","max_tokens":8,"temperature":0}' |
		python3 -c 'import json,sys; o=json.load(sys.stdin); print(o["choices"][0]["text"] if "choices" in o else o["error"]["code"])'
}
# killed SIGNAL CLASS STARTS: and it serves again, with the same words
killed() {
	kill "-$1" "$(record core_pid)"
	comes "$1: another core" "$3" record starts
	comes "$1: serves again" "$words" answer
	is "$1: why is told" "$2" "$(record last_class)"
}

run taskset -c "$cpu" "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu -c 256 --listen "unix:$sock" --watchdog 5
is "serves" 0 "$rc"
says "proven" "placement proven"
words=$(answer)
[ -n "$words" ] && [ "$words" != None ] && ok "answers" || fail "answers" "'$words'"
is "the same once more" "$words" "$(answer)"
run "$BERTH" ps
grep -q "^a  *ready .* 1  m.gguf  *openai unix:$sock" "$T/out" && ok "ps" || fail "ps" "$(cat "$T/out")"
comes "the flight recorder is kept" "$T/run/flight/00000001.part" find "$T/run/flight" -name '*.part' -size +0
witness=$(pgrep -P "$(record supervisor_pid)" -x top)
[ -n "$witness" ] && ok "by a process of the supervisor" || fail "by a process of the supervisor" "none"
is "without its key: no" 401 "$(curl -s -o "$T/out" -w '%{http_code}' --unix-socket "$sock" http://localhost/v1/models)"
killed KILL killed 2
killed ABRT abort 3
kill -STOP "$(record core_pid)"
comes "STOP: the watchdog sees it" stuck record last_class
comes "STOP: serves again" "$words" answer
# no longer within the limit of starts: begin anew
run "$BERTH" restart a
is "restart" "0 $words" "$rc $(answer)"
killed ILL "illegal instruction" 6
core=$(record core_pid)
tr '\0' '\n' <"/proc/$core/environ" | grep -q '^BERTH_CPU=plain$' && ok "ILL: with plain code" || fail "ILL" "not told to be plain"
grep -q 'libggml-cpu-x64.so' "/proc/$core/maps" && ok "ILL: which it loaded" ||
	fail "ILL: loaded" "$(grep -o 'libggml-cpu[^ ]*' "/proc/$core/maps" | sort -u)"
"$BERTH" logs a >"$T/log"
for word in 'was killed from outside' 'aborted' 'no sign of life for 5 s' 'started again, as asked' 'plainest code'; do
	grep -q "$word" "$T/log" && ok "logs: $word" || fail "logs: $word" "$(tail -n 20 "$T/log")"
done
run "$BERTH" stop a
is "stops" "0 flight" "$rc $(ls "$T/run")"
gone "its core, too" "$core"
gone "and who kept the flight recorder" "$witness"
grep -hq '"f":"run","id":"a"' "$T"/run/flight/*.part && ok "which has the run" || fail "which has the run" "$(head -c 2000 "$T"/run/flight/*)"

# --- memory is refused: smaller plans, until one fits ---
# The cache alone is larger than the address space; a sanitizer takes more of that than there is.
case ${SAN:-} in
'')
	run taskset -c "$cpu" prlimit --as=230686720 "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu -c 65536 \
		--parallel 1 --listen "unix:$sock"
	is "no memory: serves in the end" "0 ready" "$rc $(record state)"
	says "no memory: a narrower cache first" "warning: the next smaller plan: the cache as q8_0 instead of f16"
	record notice | grep -q '^runs with the cache as q8_0 instead of f16' && ok "no memory: it stays said" ||
		fail "no memory: it stays said" "$(record notice)"
	is "no memory: the class" oom "$(record last_class)"
	run "$BERTH" stop a
	is "no memory: stops" 0 "$rc"
	;;
esac
finish
