# berth plan --jobs: every measured configuration through it, and lines that are wrong.
# shellcheck shell=sh
. tests/lib.sh
models=$BUILD/tests/models
[ -d "$models/headers" ] || skip "no model headers in $models: make test-programs unpacks them"

# --- against the engine ---

python3 tests/truth.py "$BERTH" "$models" tests/golden/truth.json || failures=$((failures + 1))

# --- one line in, one out ---

jobs() {
	printf '%s\n' "$@" | "$BERTH" plan --jobs -
}

line() {
	printf '{"model":"%s","gpus":[{"name":"SIM0","backend":"cuda","memory_bytes":%s}],"flags":{%s}}' \
		"$models/headers/llama-3.1-8b.gguf" "$1" "$2"
}

# answer NAME STATUS PATTERN LINE...: the exit code, and one answer a line, the first with the pattern
answer() {
	case_=$1 status=$2 pattern=$3
	shift 3
	exits "$case_" "$status" jobs "$@"
	n=$(grep -c . "$T/out")
	[ "$n" -eq $# ] || fail "$case_: answers" "$n for $# lines"
	head -n 1 "$T/out" | grep -q -e "$pattern" || fail "$case_: answer" "$(head -c 400 "$T/out")"
}

answer "fits" 0 '"verdict":"fits"' "$(line 8000000000 '"c":"8192"')"
answer "no" 0 '"verdict":"no"' "$(line 5000000000 '"c":"8192"')"
answer "buffers of a no" 0 '"device":"SIM0","host":false,"weights_bytes":4617396480' "$(line 5000000000 '"c":8192')"
answer "no gpu" 0 '"verdict":"spills"' "{\"model\":\"$models/headers/llama-3.2-1b.gguf\"}"
answer "numbers as numbers" 0 '"n_ctx":4096' "$(line 8000000000 '"c":4096,"kvu":true')"
answer "refused" 0 '"verdict":"refused","why":"' "$(line 8000000000 '"c":4096,"fa":"off","ctv":"q8_0"')"
answer "memory not given" 0 '"verdict":"unknown","why":".*not given".*"buffers"' \
	"$(line 1 '"c":4096' | sed 's/,"memory_bytes":1//')"
answer "speed" 0 '"generation_tokens_s_low":[0-9.]*,"generation_tokens_s_high":' \
	"$(line 8000000000 '"c":4096' | sed 's/"memory_bytes"/"bandwidth":"936GB\/s","memory_bytes"/')"
answer "no rate" 4 'bandwidth is no rate' \
	"$(line 8000000000 '"c":4096' | sed 's/"memory_bytes"/"bandwidth":"fast","memory_bytes"/')"
answer "not JSON" 4 '"error":"line 1: ' 'nonsense'
answer "no object" 4 '"error":"line 1: ' '[1]'
answer "no model" 4 'model is missing' '{}'
answer "absent" 4 'No such file' '{"model":"/nowhere.gguf"}'
answer "unknown flag" 4 'flags.x is no flag' "$(line 1 '"x":"1"')"
answer "a context of text" 4 "flags: c is 'much'" "$(line 1 '"c":"much"')"
answer "cache type" 4 'cache type' "$(line 1 '"ctk":"q9"')"
answer "too many sequences" 4 'np is' "$(line 1 '"np":"257"')"
answer "split of nothing" 4 'ts is' "$(line 1 '"ts":"0,0"')"
answer "negative memory" 4 'memory_bytes' "$(line -5 '')"
answer "absurd context" 4 'a context of' "$(line 1 '"c":"2147483647"')"
answer "the good after the bad" 4 'error' 'nonsense' "$(line 8000000000 '"c":8192')"
tail -n 1 "$T/out" | grep -q '"verdict":"fits"' && ok "the good one is answered" || fail "the good one is answered" "not"
exits "an absent list" 1 "$BERTH" plan --jobs "$T/none.jsonl"
one_sentence "an absent list: one sentence"
exits "a list and a flag" 2 "$BERTH" plan --jobs "$T/none.jsonl" -c 4096
one_sentence "a list and a flag: one sentence"
exits "a list and a device" 2 "$BERTH" plan --jobs "$T/none.jsonl" --gpu X,memory=8GiB
exits "a list and a model" 2 "$BERTH" plan --jobs "$T/none.jsonl" model.gguf

jobs "$(line 8000000000 '')" >"$T/one"
valid "a job's answer" job "$T/one"
finish
