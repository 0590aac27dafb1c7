# berth plan --verify: the planner against the engine's own measure, on the CPU, for every header we have.
# shellcheck shell=sh
. tests/lib.sh
models=$PWD/$BUILD/tests/models
[ -d "$models/headers" ] || skip "no model headers in $models: make test-programs unpacks them"
[ -x "$BUILD/libexec/berth/core" ] || skip "no engine: make deps"
none=$PWD/tests/machines/none
# Where the model is written down with a hole: nothing may stay there.
TMPDIR=$T/tmp
export TMPDIR
mkdir "$TMPDIR"

# --- the core by itself ---

"$BERTH" plan --machine "$none" --accept cpu --json "$models/headers/llama-3.1-8b.gguf" >"$T/plan" 2>/dev/null
exits "the core needs a whole file" 0 "$BUILD/libexec/berth/core" --measure --plan "$T/plan"
grep -q '"end": "refused"' "$T/out" && ok "a header alone is refused" || fail "a header alone is refused" "$(cat "$T/out")"
valid "refused measure" measure "$T/out"
exits "measure goes alone" 2 "$BUILD/libexec/berth/core" --measure --plan "$T/plan" --prompt x
exits "measure needs a plan" 2 "$BUILD/libexec/berth/core" --measure
sed 's/"host": {/"x": {/' "$T/plan" >"$T/broken"
exits "a broken plan" 4 "$BUILD/libexec/berth/core" --measure --plan "$T/broken"

# --- every header ---

for f in "$models"/headers/*.gguf "$models"/headers-own/*.gguf; do
	run "$BERTH" plan --machine "$none" --accept cpu --verify --json "$f"
	tr -d '\n' <"$T/out" >>"$T/all"
	echo >>"$T/all"
done
is_empty=$(ls -A "$TMPDIR")
[ -z "$is_empty" ] && ok "nothing left behind" || fail "nothing left behind" "$is_empty"
python3 - "$T/all" >"$T/table" <<'END' && ok "every header is measured" || fail "every header is measured" "$(cat "$T/table")"
import collections, json, sys
ends, bad, worst = collections.Counter(), [], 0
for line in open(sys.argv[1]):
    p = json.loads(line)
    v = p["verify"]
    ends[v["end"]] += 1
    name = p["model"]["name"]
    if v["end"] != "agrees":
        bad.append(f"{name}: {v['end']}: {v['why'] or v}")
        continue
    # of the log's two decimals: one for each kind of cache
    if abs(v["planned_kv_bytes"] - v["measured_kv_bytes"]) > 6 * 5243:
        bad.append(f"{name}: cache {v['planned_kv_bytes']}, measured {v['measured_kv_bytes']}")
    d = v["devices"][-1]
    off = d["planned_compute_bytes"] - d["measured_compute_bytes"]
    worst = max(worst, abs(off))
print(dict(ends), f"compute off by at most {worst} bytes", *bad, sep="\n")
sys.exit(bool(bad) or ends["agrees"] < 82)
END
cat "$T/table"
run "$BERTH" plan --machine "$none" --accept cpu --verify --json "$models/headers/gemma-2-9b.gguf"
valid verified plan "$T/out"

# --- what berth has no rules for ---

for f in "$models"/strange-headers/*.gguf; do
	run "$BERTH" plan --machine "$none" --accept cpu --verify --json "$f"
	name=$(basename "$f" .gguf)
	grep -q '"end": "measured"' "$T/out" && ok "$name is measured" || fail "$name is measured" "$(grep -A 4 '"verify"' "$T/out")"
	grep -q '"unverified": true\|"verdict": "unknown"' "$T/out" && fail "$name is judged" "$(head -n 3 "$T/out")" || ok "$name is judged"
done

# --- what only the engine finds ---

# A tokenizer that it does not know: the planner has no use for one.
LC_ALL=C sed 's/no_vocab/xx_vocab/' "$models/headers-own/qwen3-8b.gguf" >"$T/tokenizer.gguf"
exits "the engine refuses" 1 "$BERTH" plan --machine "$none" --accept cpu --verify "$T/tokenizer.gguf"
grep -q '^refused: the engine itself: ' "$T/out" && grep -q 'unknown tokenizer' "$T/out" && ok "its words" || fail "its words" "$(head -n 3 "$T/out")"
exits "the planner alone does not" 0 "$BERTH" plan --machine "$none" --accept cpu "$T/tokenizer.gguf"

# --- a core of ours instead: what it says changes the plan ---

tree=$T/tree
mkdir -p "$tree/bin" "$tree/libexec/berth" "$tree/lib"
cp "$BERTH" "$tree/bin/"
cp "$BUILD/libexec/berth/plan" "$tree/libexec/berth/"
answer='{"schema":"berth.measure/1","engine":"x","end":"measured","why":null,"n_ctx_seq":8192,"weights_bytes":1,"kv_bytes":1073741824,"kv_rounding_bytes":0'
# fake LINE: a core that prints this and leaves
fake() {
	printf '#!/bin/sh\ncat <<END\n%s\nEND\n' "$1" >"$tree/libexec/berth/core"
	chmod +x "$tree/libexec/berth/core"
}
verified() {
	run "$tree/bin/berth" plan --machine "$(realpath "$(machine nvidia2)")" --verify "$models/headers/llama-3.1-8b.gguf" "$@"
}
# tells NAME PATTERN: the last run's answer has it
tells() {
	grep -q -e "$2" "$T/out" && ok "$1" || fail "$1" "no '$2' in: $(head -c 800 "$T/out")"
}
verified
tells "no engine" '^not verified the engine is not part of this installation'
fake "$answer,\"devices\":[{\"compute_bytes\":130000000},{\"compute_bytes\":35000000}]}"
verified
tells "the same" '^verified     the engine x measures the same'
fake "$answer,\"devices\":[{\"compute_bytes\":230000000},{\"compute_bytes\":35000000}]}"
verified
tells "more" '219.3 MiB for compute on 0000:'
[ "$rc" -eq 0 ] && ok "more, and it fits" || fail "more, and it fits" "exit $rc"
fake "$answer,\"devices\":[{\"compute_bytes\":990000000000},{\"compute_bytes\":35000000}]}"
verified
[ "$rc" -eq 1 ] && ok "too much is a no" || fail "too much is a no" "exit $rc"
tells "too much" "^no: needs .* by the engine's own measure"
fake '{"schema":"berth.measure/1","engine":"x","end":"aborted","why":"ggml.c:1: ASSERT"}'
verified
[ "$rc" -eq 1 ] && ok "an abort is a refusal" || fail "an abort is a refusal" "exit $rc"
tells "an abort" '^refused: the engine itself: ggml.c:1: ASSERT'
for bad in '' 'nonsense' '{"schema":"berth.measure/1"}' "$answer}" "$answer,\"devices\":[]}"; do
	fake "$bad"
	verified
	tells "answer '$(printf %.20s "$bad")'" '^not verified '
done
finish
