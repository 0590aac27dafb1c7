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

# The frame is taken while the run generates; it is shown once the tokens are through.
(
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		"$berth" top --once >"$T/frame" 2>/dev/null
		grep -q generating "$T/frame" && break
		sleep 0.2
	done
) &
step launch "$model" -c 2048 --accept cpu -n 256 --prompt "'Once upon a time'"
"$berth" launch "$model" -c 2048 --accept cpu -n 256 --prompt "Once upon a time"
rc=$?
wait
echo
[ "$rc" -eq 0 ] || stop "launch ended with exit status $rc"
grep -q generating "$T/frame" || stop "no frame of the monitor was taken while the model ran"
step "top --once        (a frame taken while it ran)"
cat "$T/frame"
echo
echo "demo: everything above was real; the engine has stopped"
