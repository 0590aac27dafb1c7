# berth plan: verdicts on captured machines, exit codes, bad input.
# shellcheck shell=sh
. tests/lib.sh
root=$PWD
models=$root/$BUILD/tests/models/headers
[ -d "$models" ] || skip "no model headers in $models: make test-programs unpacks them"

# plan MACHINE ARGS...: from the folder of models, so that paths in the answer are the same everywhere
plan() {
	dir=$(realpath --relative-to="$models" "$(machine "$1")")
	shift
	(cd "$models" && exec "$BERTH" plan --machine "$dir" "$@")
}

# text NAME STATUS MACHINE ARGS...: exit code and golden text
text() {
	case_=$1 status=$2
	shift 2
	exits "$case_" "$status" plan "$@"
	golden "plan-$case_.txt" "$T/out"
	awk 'length > 100 { print; bad = 1 } END { exit bad }' "$T/out" >"$T/wide" ||
		fail "$case_ columns" "wider than 100: $(head -n 1 "$T/wide")"
}

# json NAME STATUS MACHINE ARGS...: exit code, schema and golden JSON
json() {
	case_=$1 status=$2
	shift 2
	exits "$case_ json" "$status" plan "$@" --json
	valid "$case_" plan "$T/out"
	golden "plan-$case_.json" "$T/out"
}

# --- verdicts ---

text fits 0 nvidia2 llama-3.1-8b.gguf
json fits 0 nvidia2 llama-3.1-8b.gguf
text two-gpus 0 nvidia2 -c 131072 exaone-4-32b.gguf
json two-gpus 0 nvidia2 -c 131072 exaone-4-32b.gguf
text spills 1 three -c 131072 exaone-4-32b.gguf
exits "spills is accepted" 0 plan three -c 131072 --accept spill exaone-4-32b.gguf
text no-gpu 1 none llama-3.2-1b.gguf
json no-gpu 1 none llama-3.2-1b.gguf
exits "the CPU is accepted" 0 plan none --accept cpu llama-3.2-1b.gguf
exits "the CPU is not a spill" 1 plan none --accept spill llama-3.2-1b.gguf
text no 1 none glm-4.5-air.gguf
json no 1 none glm-4.5-air.gguf
# An architecture that nobody knows: llama by another name.
mkdir -p "$models/../made"
sed 's/llama/xlama/g' "$models/llama-3.2-1b.gguf" >"$models/../made/xlama.gguf"
text unknown-family 3 nvidia2 ../made/xlama.gguf
json unknown-family 3 nvidia2 ../made/xlama.gguf
text unknown-accepted 0 nvidia2 --accept-unverified ../made/xlama.gguf
json unknown-accepted 0 nvidia2 --accept-unverified ../made/xlama.gguf
text asleep 3 asleep -c 131072 exaone-4-32b.gguf
json asleep 3 asleep -c 131072 exaone-4-32b.gguf
text split 0 nvidia2 --split 10,23 llama-3.1-8b.gguf
text chosen 0 nvidia2 --device 0000:61:00.0 gemma-3-4b.gguf

# A processor's own GPU is not used beside a card, and what it calls VRAM is not judged when it is alone.
text integrated 0 usb4-phoenix-5700xt llama-3.2-1b.gguf
text integrated-alone 1 apu llama-3.2-1b.gguf

# What the answer calls nearest is a yes, as it can be typed.
nearest() {
	python3 -c 'import json,sys; [print(n["options"]) for n in json.load(open(sys.argv[1])).get("nearest", [])]' "$1"
}
n=0
for question in "three -c 131072 exaone-4-32b.gguf" "three --flash-attn off --cache-type-v q8_0 llama-3.1-8b.gguf" \
	"three -ngl 7 llama-3.1-8b.gguf" "none llama-3.2-1b.gguf" "nvidia2 --swa-full -c 131072 gemma-3-4b.gguf"; do
	model=${question##* }
	# shellcheck disable=SC2086 # words of the question
	run plan $question --json
	nearest "$T/out" >"$T/nearest"
	while read -r options; do
		n=$((n + 1))
		exits "nearest yes $n of $model" 0 sh -c "cd '$models' && exec '$BERTH' plan $options $model"
	done <"$T/nearest"
done
[ "$n" -ge 8 ] || fail "nearest yes" "only $n were named"

# Beyond the question: the machine's other GPU, and another quant beside the file.
text elsewhere 1 nvidia2 --device 0000:61:00.0 -c 131072 exaone-4-32b.gguf
grep -q "other GPUs take part" "$T/out" && ok "another device is offered" || fail "another device is offered" "$(cat "$T/out")"
mkdir -p "$models/../made/quants"
cp "$models/mistral-small-24b.gguf" "$models/../made/quants/ms-Q8_0.gguf"
cp "$models/llama-3.2-1b.gguf" "$models/../made/quants/ms-Q4_0.gguf"
cp "$models/llama-3.1-8b.gguf" "$models/../made/quants/other-Q4_0.gguf"
text other-quant 1 nvidia2 --device 0000:61:00.0 -c 40960 -ctk f32 -ctv f32 --parallel 16 -no-kvu ../made/quants/ms-Q8_0.gguf
run plan nvidia2 --device 0000:61:00.0 -c 40960 -ctk f32 -ctv f32 --parallel 16 -no-kvu ../made/quants/ms-Q8_0.gguf --json
grep -q '"model": "../made/quants/ms-Q4_0.gguf"' "$T/out" && ok "another quant is offered" || fail "another quant is offered" "$(grep -A30 nearest "$T/out")"

# --- the engine's flags ---

exits "flags" 0 plan nvidia2 -c 4096 -b 1024 -ub 256 -np 2 -no-kvu -ctk q8_0 -ctv q8_0 -fa on -ngl all -ts 1,1 \
	-sm layer --n-outputs 4 --json llama-3.1-8b.gguf
for key in '"n_batch": 1024' '"n_ubatch": 256' '"n_seq_max": 2' '"kv_unified": false' '"type_k": "q8_0"' \
	'"n_outputs_max": 4' '"n_gpu_layers": 33'; do
	grep -q "$key" "$T/out" && ok "flag $key" || fail "flag $key" "$(head -c 900 "$T/out")"
done
exits "tensors by name" 0 plan nvidia2 --accept spill -ot 'ffn_(up|gate)=CPU' -ot 'attn_k=1' --json llama-3.1-8b.gguf
grep -q '"pattern": "attn_k"' "$T/out" && ok "they are in the plan" || fail "they are in the plan" "$(head -c 1500 "$T/out")"
exits "one GPU" 0 plan nvidia2 -sm none llama-3.1-8b.gguf
exits "rows are not planned" 3 plan nvidia2 -sm row llama-3.1-8b.gguf
exits "the model's own context" 0 plan nvidia2 -c 0 --json llama-3.1-8b.gguf
grep -q '"n_ctx": 131072' "$T/out" && ok "it is all of it" || fail "it is all of it" "$(grep n_ctx "$T/out")"
text want-too-much 1 three --want context --min-context 400000 exaone-4-32b.gguf
text want-too-fast 1 nvidia2 --want context --min-speed 90 exaone-4-32b.gguf
text want-fast 0 nvidia2 --want context --min-speed 20 exaone-4-32b.gguf
text want-experts 0 nvidia2 --want context --accept spill glm-4.5-air.gguf
text want-floor 0 three --want context --accept spill --min-context 131072 -ctk f16 -ctv f16 exaone-4-32b.gguf
text by-name 1 nvidia2 -ncmoe 20 -c 4096 jamba-mini-52b.gguf
text want-context 0 three --want context exaone-4-32b.gguf
text want-quality 0 three --want quality --min-context 65536 exaone-4-32b.gguf
text want-speed 0 nvidia2 --want speed llama-3.1-8b.gguf

# --- the arithmetic ---

text explain 0 nvidia2 --explain -c 32768 -np 2 gemma-3-4b.gguf
text explain-split 0 nvidia2 --explain -c 131072 exaone-4-32b.gguf
text bar 0 nvidia2 --bar 4090 -c 131072 llama-3.1-8b.gguf
text bar-host 1 three --bar host -c 32768 glm-4.5-air.gguf
text bar-states 0 nvidia2 --bar 0 -np 4 jamba-mini-52b.gguf
exits "the bar of nothing" 1 plan nvidia2 --bar CUDA9 llama-3.1-8b.gguf
says "the bar of nothing: the cause" "no device 'CUDA9'"
exits "words are no JSON" 2 plan nvidia2 --explain --json llama-3.1-8b.gguf

# --- the plan as a file ---

exits "writes a plan" 0 plan nvidia2 -o "$T/plan.json" llama-3.1-8b.gguf
valid "written plan" plan "$T/plan.json"
run plan nvidia2 --json llama-3.1-8b.gguf
if cmp -s "$T/out" "$T/plan.json"; then ok "file and --json agree"; else fail "file and --json agree" "they differ"; fi
exits "an unwritable file" 5 plan nvidia2 -o /sys/plan.json llama-3.1-8b.gguf
one_sentence "an unwritable file says so"

# --- bad input ---

# bad NAME STATUS PATTERN ARGS...
bad() {
	case_=$1 status=$2 pattern=$3
	shift 3
	exits "$case_" "$status" "$BERTH" plan --machine tests/machines/none "$@"
	one_sentence "$case_: one sentence"
	says "$case_: the cause" "$pattern"
}

head -c 1416000 "$models/llama-3.2-1b.gguf" >"$T/cut.gguf"
head -c 1000 "$models/llama-3.2-1b.gguf" >"$T/short.gguf"
: >"$T/empty.gguf"
printf 'PK\003\004 and more' >"$T/zip.gguf"
printf 'GGUF\000\000\000\003\000\000\000\000\000\000\000\000' >"$T/big.gguf"
printf 'GGUF\003\000\000\000\377\377\377\377\377\377\377\177\001\000\000\000\000\000\000\000' >"$T/count.gguf"
cp "$models/llama-3.2-1b.gguf" "$T/locked.gguf"
chmod 0 "$T/locked.gguf"
bad "truncated" 4 "truncated" "$T/cut.gguf"
bad "cut early" 4 "cut short" "$T/short.gguf"
bad "empty" 4 "empty" "$T/empty.gguf"
bad "a zip" 4 "zip" "$T/zip.gguf"
bad "big-endian" 4 "big-endian" "$T/big.gguf"
bad "absurd count" 4 "absurd count" "$T/count.gguf"
mkdir "$T/folder"
bad "a directory without models" 1 "no model is in this folder" "$T/folder"
bad "absent" 1 "No such file" "$T/absent.gguf"
bad "a name of nothing" 1 "absent-8b: No such file or directory, nor a model of this name in a store" absent-8b
if [ -r "$T/locked.gguf" ]; then
	echo "ok unreadable (not tried: we may read everything)"
else
	bad "unreadable" 5 "Permission denied" "$T/locked.gguf"
fi
bad "no model" 2 "give a MODEL"
bad "unknown option" 2 "no-such" --no-such a.gguf
bad "cache type" 2 "q9_9" --cache-type-k q9_9 a.gguf
bad "context" 2 "2147483648" -c 2147483648 a.gguf
bad "split" 2 "1,x" --split 1,x "$models/llama-3.2-1b.gguf"
bad "split over" 2 "2 devices, of 0" --split 1,2 "$models/llama-3.2-1b.gguf"
bad "split and shares" 2 "--split says by itself" --split 1,2 -ts 1,1 "$models/llama-3.2-1b.gguf"
bad "two ways to share" 2 "contradict" -kvu -no-kvu "$models/llama-3.2-1b.gguf"
bad "a batch within a batch" 2 "--ubatch" -b 128 -ub 256 "$models/llama-3.2-1b.gguf"
bad "a floor above the context" 2 "--min-context" -c 1024 --want context --min-context 2048 "$models/llama-3.2-1b.gguf"
bad "a bound without a goal" 2 "--want" --min-speed 5 "$models/llama-3.2-1b.gguf"
bad "a goal and a placement" 2 "--want" --want speed -ngl 3 "$models/llama-3.2-1b.gguf"
bad "shares" 2 "3,x" -ts 3,x "$models/llama-3.2-1b.gguf"
bad "layers" 2 "many" -ngl many "$models/llama-3.2-1b.gguf"
bad "tensors" 2 "REGEX=WHERE" -ot ffn "$models/llama-3.2-1b.gguf"
bad "tensors to nowhere" 2 "there is no 'CUDA7'" -ot ffn=CUDA7 "$models/llama-3.2-1b.gguf"
bad "no such device" 1 "0000:99" --device 0000:99:00.0 "$models/llama-3.2-1b.gguf"
exits "no machine folder" 1 "$BERTH" plan --machine "$T/nowhere" "$models/llama-3.2-1b.gguf"
one_sentence "no machine folder says so"
exits "a device without a driver" 1 plan three --device 0000:0a:00.0 llama-3.2-1b.gguf
says "a device without a driver: the cause" "no driver"

bad "an empty name" 2 "name of the model is empty" ""
bad "an empty list of devices" 2 "not a device selector" --device , "$models/llama-3.2-1b.gguf"
bad "a plan nowhere" 5 "cannot write" -o "$T/nowhere/plan.json" "$models/llama-3.2-1b.gguf"
bad "a plan over a folder" 5 "cannot write" -o "$T" "$models/llama-3.2-1b.gguf"
python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/socket"
bad "a socket" 4 "not a regular file" "$T/socket"
for json in "" --json; do
	# shellcheck disable=SC2086 # an option or none
	"$BERTH" plan --machine tests/machines/none $json "$models/llama-3.2-1b.gguf" >/dev/full 2>"$T/err"
	rc=$?
	[ $rc -eq 5 ] && ok "a full disk $json" || fail "a full disk $json" "exit $rc, not 5"
	one_sentence "a full disk $json: one sentence"
done

# A terminal must not obey what a file says.
exits "help" 0 "$BERTH" plan --help
finish
