# SPDX-License-Identifier: MIT
# berth bridge: what an access costs beside a bare server at the same kind of socket (bridge.c), beside QEMU's own edu
# device, mapped, recorded, and while its worker is killed. Its goals decide the exit code; what has none is told.
# Clients and servers are kept on a processor each where there are two, so that both sides are woken alike.
. tests/lib.sh
bad=0
rounds=${BENCH_ROUNDS:-60}
export BERTH_RUNTIME_DIR="$T/run"
mkdir -p "$T/run"
client=$BUILD/tests/bench/bridge
server=
if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
	client="taskset -c 0 $client" server="taskset -c 1"
fi
pids=

# The servers go with us.
end() {
	# shellcheck disable=SC2086 # numbers
	[ -z "$pids" ] || kill $pids 2>/dev/null
	wait
	rm -rf "$T"
}
trap end EXIT

# row NAME OURS THEIRS UNIT GOAL: the ratio must not be over the goal, if there is one; no peer: OURS must not be
row() {
	awk -v n="$1" -v a="$2" -v b="$3" -v u="$4" -v g="$5" 'BEGIN {
		ratio = b == "" ? a : b > 0 ? a / b : 0
		late = g != "" && ratio > g
		printf "%-46s %9.6g %s", n, a, u
		if (b != "") printf " against %.6g: %.2f", b, ratio
		if (g != "") printf ", goal %s%s", g, late ? "  MISSED" : ""
		print ""
		exit late }' || bad=1
}

# measured COMMAND...: its numbers in $1, $2, $3 of the caller by `set -- $numbers`
measured() {
	# shellcheck disable=SC2086 # words
	numbers=$($client "$@") || { bad=1; numbers=; }
}

# status KEY: of the bridge at $1's socket
status() {
	"$BERTH" bridge status --json | python3 -c '
import json, sys
for b in json.load(sys.stdin)["bridges"]:
    if b["socket"] == sys.argv[1]:
        print("" if b[sys.argv[2]] is None else b[sys.argv[2]])' "$1" "$2"
}

# serve NAME OPTION...: gpu.json at $T/NAME
serve() {
	at=$T/$1
	shift
	$server "$BERTH" bridge serve bar-forward/devices/gpu.json --socket "$at" "$@" 2>"$at.log" &
	pids="$pids $!"
	until grep -q 'waits for' "$at.log"; do
		kill -0 $! 2>/dev/null || { cat "$at.log"; exit 1; }
		sleep 0.05
	done
}

# What a process holds for itself, in KiB: pages of guests and devices are not its.
private() {
	awk '$1 == "Pss_Anon:" { print $2 }' "/proc/$1/smaps_rollup"
}

serve trap --mode trap
serve map --mode map
$server "$BUILD/tests/bench/bridge" echo "$T/peer" &
pids="$pids $!"
until [ -S "$T/peer" ]; do sleep 0.05; done

measured read "$T/trap" "$T/peer" "$rounds"
# shellcheck disable=SC2086 # numbers
set -- $numbers
[ $# -ne 3 ] || {
	row "a read, to and fro, against a bare echo" "$1" "$2" ns 1.15
	row "a write that is waited for, against that echo" "$3" "$2" ns ""
}
measured posted "$T/trap" "$T/peer" "$rounds"
# shellcheck disable=SC2086 # numbers
set -- $numbers
[ $# -ne 3 ] || {
	row "a posted write, against one that is thrown away" "$1" "$2" ns ""
	row "... in WRITE_MULTI, against alone" "$3" "$1" ns 0.2
	row "posted writes a second" "$((1000000000 / ($1 + 1)))" "" "" ""
	row "... in WRITE_MULTI" "$((1000000000 / ($3 + 1)))" "" "" ""
}
measured mapped "$T/map"
# shellcheck disable=SC2086 # numbers
set -- $numbers
[ $# -ne 2 ] || row "a read of a mapped BAR, against own memory" "$1" "$2" ps 1.1
measured maps "$T/trap" 5000
# shellcheck disable=SC2086 # numbers
set -- $numbers
[ $# -ne 2 ] || {
	row "a DMA map, up to 5000 of them" "$1" "" ns ""
	row "a DMA unmap" "$2" "" ns ""
}

# --- what it holds ---

held=0
for p in $(status "$T/trap" pid) $(pgrep -P "$(status "$T/trap" pid)"); do
	kib=$(private "$p")
	[ "${kib:-0}" -le "$held" ] || held=$kib
done
row "private memory of the largest of its processes" "$held" "" KiB 4096

# --- its worker dies, again and again, under a client that never rests ---

# shellcheck disable=SC2086 # words
$client storm "$T/trap" 12 >"$T/storm" &
storm=$!
sleep 0.5
kills=0
while [ $kills -lt 15 ] && kill -0 $storm 2>/dev/null; do
	worker=$(status "$T/trap" worker_pid)
	[ -z "$worker" ] || ! kill -9 "$worker" 2>/dev/null || kills=$((kills + 1))
	sleep 0.5 # the next one gets ready, and the page tells of it
done
wait $storm || bad=1
if [ $kills -gt 0 ]; then
	row "a worker killed, $kills times: the client's median wait" \
		"$(sed -n "$((kills / 2 + 1))p" "$T/storm" | awk '{ print $1 / 1e6 }')" "" ms 50
else
	echo "no worker to be killed: one process serves"
fi

# --- beside QEMU's own, through QEMU; and recorded ---

if words=$(sh tests/lab/qemu_words.sh 2>"$T/why"); then
	# shellcheck disable=SC2086 # words
	set -- $(LAB_QEMU=$words python3 tests/bench/bridge_qtest.py "$T" "$T/trap" "$rounds")
	[ $# -eq 2 ] && row "a read through QEMU, against its own edu's" "$1" "$2" ns "" || bad=1
else
	echo "no QEMU that speaks vfio-user to compare with: $(tail -n 1 "$T/why")"
fi
python3 tests/bench/bridge_record.py "$BERTH" "$T" || bad=1
exit "$bad"
