#!/bin/sh
# The whole job on this machine: probe, plan, launch, proof, one frame of the monitor. Called by 'make demo'
# with a model's path, or with nothing: then a small model is generated, whose text is random by nature.
set -u
: "${BUILD:=build}"
berth=$BUILD/bin/berth
model=${1:-}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT

# No session manager in a container or a chroot: the demo brings its own runtime folder then.
if [ -z "${BERTH_RUNTIME_DIR:-}" ] && [ ! -d "${XDG_RUNTIME_DIR:-/nonexistent}" ] && [ ! -w /run ]; then
	export BERTH_RUNTIME_DIR="$T"
fi

step() {
	printf '\n$ berth %s\n' "$*"
}

stop() {
	echo "demo: $1" >&2
	exit 1
}

step probe
"$berth" probe || stop "probe failed"

if [ -z "$model" ]; then
	model=$BUILD/demo/random-20m.gguf
	mkdir -p "$BUILD/demo"
	[ -s "$model" ] || "$BUILD/tests/modelgen/modelgen" -o "$model" --layers 8 --embd 384 --ff 1536 --heads 6 \
		--kv-heads 2 --vocab 2048 --type q8_0 || stop "could not generate the model"
	echo
	echo "(No MODEL= given: $model was generated here. Its weights are random, and so is what it says.)"
fi

step plan "$model" -c 2048 --accept cpu
"$berth" plan "$model" -c 2048 --accept cpu || stop "the plan says no (see above)"

# A frame taken while the run generates, shown once the tokens are through: the first that knows a speed.
(
	tries=0
	until [ "$tries" -eq 200 ] || [ -e "$T/done" ]; do
		"$berth" top --once >"$T/now" 2>/dev/null
		if grep -q generating "$T/now"; then
			cp "$T/now" "$T/frame"
			awk '/generating/ && $(NF-1) + 0 > 0 { found = 1 } END { exit !found }' "$T/now" && break
		fi
		tries=$((tries + 1))
		sleep 0.05
	done
) &
step launch "$model" -c 2048 --accept cpu -n 256 --prompt "'Once upon a time'"
"$berth" launch "$model" -c 2048 --accept cpu -n 256 --prompt "Once upon a time"
rc=$?
: >"$T/done"
wait
echo
[ "$rc" -eq 0 ] || stop "launch ended with exit status $rc"
if [ -s "$T/frame" ]; then
	step "top --once        (a frame taken while it ran)"
	cat "$T/frame"
else
	# A GPU generates all of it while NVIDIA's library is still being loaded.
	step "top --once        (it was done before a frame of it could be taken)"
	"$berth" top --once || stop "top failed"
fi
echo
echo "demo: everything above was real; the engine has stopped"
