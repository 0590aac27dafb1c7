# berth top beside nvtop, btop and htop, each once a second on a terminal of 120x36: this machine; two cards whose
# NVIDIA library moves, and a run that generates; eight such cards; ours alone with eight of which only files tell,
# because one of them sleeps.
# CPU of a core, memory, bytes to the terminal, the first picture; ratios over 1: berth takes less. Then keys while
# a card hangs. Ours is held to its goals. nvtop is this machine's, or that of peer/root.sh, which the benchmark of
# the core has left; without a card it shows nothing, and ends.
. tests/lib.sh
seconds=${BENCH_SECONDS:-10}
export TERM=xterm-256color LC_ALL=C.UTF-8 HOME="$T" XDG_CONFIG_HOME="$T/config" XDG_STATE_HOME="$T/state" \
	BERTH_RUNTIME_DIR="$T/run" BERTH_NO_CACHE=1
bad=0
nvtop=$(command -v nvtop || echo "$PWD/$BUILD/bench/nvtop")

# scene NAME: this script's, in the tree at hand
scene() {
	live sh tests/bench/top.sh "$1"
	cat "$T/out"
	[ "$rc" -eq 0 ] || { bad=1; cat "$T/err"; }
}

# Every card of the tree awake, with the driver that the first has
waken() {
	find "$tree/sys/devices" -name runtime_status | while read -r f; do echo active >"$f"; done
	driver=$tree/sys/bus/pci/drivers/nvidia
	mkdir -p "$driver"
	for card in "$tree"/sys/bus/pci/devices/*; do
		[ "$(cat "$card/vendor")" = 0x10de ] && ln -sfn "$(realpath --relative-to="$(realpath "$card")" "$driver")" "$card/driver"
	done
}

skip() {
	echo "$1: only this machine is measured"
	exit "$bad"
}

# row SCENE PROGRAM COMMAND...: what it takes, beside ours, which comes first
row() {
	scene=$1 program=$2
	shift 2
	command -v "$1" >/dev/null || { echo "$scene: no $program here to compare with"; return; }
	python3 tests/bench/monitor.py watch "$seconds" "$@" >"$T/row" 2>"$T/why" || {
		echo "$scene: $program cannot be measured: $(tail -n 1 "$T/why")"
		[ "$program" != berth ]
		return
	}
	[ "$program" = berth ] && cp "$T/row" "$T/ours"
	awk -v s="$scene" -v p="$program" '
		function over(theirs, ours) { return ours > 0 ? sprintf("%.1f", theirs / ours) : "-" }
		NR == FNR { for (i = 1; i <= 4; i++) ours[i] = $i; next }
		{ printf "%-13s %-6s %6.1f ms %7.3f %% CPU %6.1f MiB %7d B/s", s, p, $1, $2, $3 / 1024, $4
		  if (p == "berth") {
			late = $1 > 150 || $2 > 0.3 || $3 > 8192 || $4 > 1500
			print late ? "  OVER ITS GOALS" : ""
			exit late
		  }
		  printf "  ratios %s, %s, %s, %s\n", over($1, ours[1]), over($2, ours[2]), over($3, ours[3]),
			over($4, ours[4]) }' "$T/ours" "$T/row"
}

four() {
	row "$1" berth "$BERTH" top || bad=1
	row "$1" nvtop "$nvtop" -d 10
	row "$1" btop btop
	row "$1" htop htop -d 10
}

keys() {
	python3 tests/bench/monitor.py keys "$1" "$BERTH" top >"$T/keys" 2>"$T/why" || { cat "$T/why"; bad=1; return; }
	awk '{ printf "a card hangs: from a key to its picture %.1f ms, 99 of 100 within %.1f ms%s\n", $1, $2,
			($2 > 30) ? ": OVER ITS GOAL" : ""
		exit ($2 > 30) }' "$T/keys" || bad=1
}

mkdir -p "$T/config/btop" "$T/run"
echo 'update_ms = 1000' >"$T/config/btop/btop.conf"
case ${1:-} in
two)
	"$BUILD/tests/fake/prog_telem_writer" "$T/run/chat.telem" 600 beat >"$T/ready" &
	writer=$!
	while ! grep -q ready "$T/ready"; do sleep 0.02; done
	FAKE_NVML=moving four 'two, a run'
	kill $writer
	FAKE_NVML=hang-call keys SILENT
	exit "$bad" ;;
eight)
	FAKE_NVML=eight four 'eight'
	exit "$bad" ;;
files)
	row 'eight, files' berth "$BERTH" top || bad=1
	exit "$bad" ;;
esac
echo "the first picture; CPU of a core; memory; to the terminal"
four 'this machine'
. tests/live.sh
# Where both look for it.
mkdir "$T/lib"
ln -s "$(realpath "$BUILD/tests/fake/lib_nvml.so")" "$T/lib/libnvidia-ml.so.1"
export LD_LIBRARY_PATH="$T/lib" BERTH_NVML="$T/lib/libnvidia-ml.so.1"
prepare nvidia2
scene two
prepare eight-gpus
scene files
waken
scene eight
exit "$bad"
