# berth plan --gpu: cards of the market, and what counts as free.
# shellcheck shell=sh
. tests/lib.sh
models=$PWD/$BUILD/tests/models/headers
[ -d "$models" ] || skip "no model headers in $models: make test-programs unpacks them"

# A command that an answer names has the path of the machine: the same wherever this tree is.
mkdir "$T/at"
ln -s "$models"/*.gguf "$T/at/"

# plan MACHINE ARGS...
plan() {
	ln -sfn "$(realpath "$(machine "$1")")" "$T/at/$1"
	dir=$1
	shift
	(cd "$T/at" && exec "$BERTH" plan --machine "$dir" "$@")
}

# text NAME STATUS MACHINE ARGS...
text() {
	case_=$1 status=$2
	shift 2
	exits "$case_" "$status" plan "$@"
	golden "plan-cards-$case_.txt" "$T/out"
}

# bad NAME PATTERN SPEC: a usage error that names it
bad() {
	exits "$1" 2 plan none --gpu "$3" llama-3.1-8b.gguf
	one_sentence "$1: one sentence"
	says "$1: the cause" "$2"
}

text one 0 none --gpu "RTX 3090" llama-3.1-8b.gguf
text two 0 none --gpu 3090 --gpu "rx 7900 xtx" -c 65536 exaone-4-32b.gguf
text own 0 none --gpu "my card,backend=cuda,memory=24GiB,bandwidth=1.2TB/s,link=14GB/s,power=300W" exaone-4-32b.gguf
text count 0 none --gpu "A770 16GB,count=2" exaone-4-32b.gguf
text overruled 1 none --gpu "RTX 3090,memory=12GiB,bandwidth=500" --ram 64GiB exaone-4-32b.gguf
text with-a-real-one 0 nvidia2 --device 0000:61:00.0 --gpu "RTX 5090" --free total exaone-4-32b.gguf
exits "json" 0 plan none --gpu "H100 80GB" --json llama-3.1-8b.gguf
valid "a hypothetical GPU" plan "$T/out"

# --- speed and cost ---

text price 0 none --gpu "RTX 4090" --price-kwh 0.30 --price-api 0.60 --depth 8000 -c 16384 qwen3-30b-a3b.gguf
text slow-host 0 none --gpu "RTX 3060 12GB" --ram 64GiB --ram-bandwidth 80GB/s --accept spill exaone-4-32b.gguf
exits "a speed as JSON" 0 plan none --gpu "RTX 4090" --price-kwh 0.30 --json llama-3.2-1b.gguf
valid "a speed" plan "$T/out"
golden plan-cards-speed.json "$T/out"
exits "an encoder" 0 plan none --gpu "RTX 4090" bge-m3.gguf
grep -q "^speed .*an encoder generates nothing" "$T/out" && ok "it generates nothing" || fail "it generates nothing" "$(cat "$T/out")"
exits "no price" 2 plan none --price-kwh free llama-3.2-1b.gguf
says "no price: the cause" "no price such as"
exits "no rate of RAM" 2 plan none --ram-bandwidth slow llama-3.2-1b.gguf
says "no rate of RAM: the cause" "no rate; write 80GB/s"

# All of it free is never less than what is free now.
exits "not now" 1 plan three -c 131072 exaone-4-32b.gguf
run plan nvidia2 --free total --json llama-3.1-8b.gguf
all=$(sed -n 's/^ *"free_bytes": \([0-9]*\),$/\1/p' "$T/out" | head -n 1)
run plan nvidia2 --json llama-3.1-8b.gguf
now=$(sed -n 's/^ *"free_bytes": \([0-9]*\),$/\1/p' "$T/out" | head -n 1)
if [ "$all" -gt "$now" ]; then ok "total is more"; else fail "total is more" "$all, $now"; fi

# A machine whose GPUs sleep is not looked at; nor is /sys or /dev of this one.
if command -v strace >/dev/null; then
	strace -f -o "$T/trace" -e trace=open,openat,openat2 "$BERTH" plan --gpu 3090 "$models/llama-3.1-8b.gguf" >"$T/out" 2>&1
	if grep -qE '"/?(sys|dev)/' "$T/trace"; then
		fail "no device is touched" "$(grep -E '"/?(sys|dev)/' "$T/trace" | head -n 3)"
	else
		ok "no device is touched"
	fi
fi

# The reason is what stands in the way, not memory that would do.
# reason NAME PATTERN ARGS...
reason() {
	name=$1 pattern=$2
	shift 2
	exits "$name" 1 plan none --ram 64GiB "$@" llama-3.1-8b.gguf
	head -n 1 "$T/out" | grep -q "$pattern" && ok "$name: said" || fail "$name: said" "$(head -n 1 "$T/out")"
}
reason "an output too large for kernels" "beyond the 100.0 MiB that D can work on" --gpu D,memory=24GiB,max_buffer=100MiB
reason "caches too large for kernels" "beyond the 128.0 MiB" -c 131072 --gpu D,memory=24GiB,max_buffer=128MiB
reason "a split of some layers" "a split of 10 leaves 23 on the host" --split 10 --gpu 3090

# A plan for a GPU that is not here does not run on one that is.
"$BUILD/tests/modelgen/modelgen" -o "$T/small.gguf"
exits "as a file" 0 plan none --gpu 3090 -o "$T/plan.json" "$T/small.gguf"
exits "nothing is launched on it" 6 "$BERTH" launch --plan "$T/plan.json" --prompt hi

bad "unknown" "no card is known as 'Voodoo 2'" "Voodoo 2"
bad "ambiguous" "RTX 4060 Ti 8GB (8 GiB), RTX 4060 Ti 16GB (16 GiB)" "4060 ti"
bad "no memory of its own" "works in the host's memory" "Strix Halo"
bad "empty" "empty" ""
bad "an empty property" "empty" "3090,,memory=1GiB"
bad "no pair" "KEY=VALUE" "3090,24GiB"
bad "unknown property" "no property" "3090,colour=red"
bad "no size" "no size" "3090,memory=much"
bad "nothing" "no size" "3090,memory=0"
bad "bytes instead of GiB" "memory=24GiB" "3090,memory=24"
bad "no rate" "no rate" "3090,bandwidth=fast"
bad "no backend" "backend=metal" "3090,backend=metal"
bad "no power" "no power" "3090,power=lots"
bad "no count" "count=0" "3090,count=0"
exits "sixty-five GPUs" 2 plan none --gpu 3090,count=16 --gpu 3090,count=16 --gpu 3090,count=16 --gpu 3090,count=16 --gpu 3090 llama-3.1-8b.gguf
says "sixty-five GPUs: the cause" "more than 64"
finish
