# berth probe against lspci, lstopo and nvtop's first frame, in one run: the time of each, the ratio, and how
# many config-space files each opens (each such open wakes a sleeping device). First on this machine, then on
# a server of 21 functions with 8 GPUs, all asleep, mounted as /sys in a name space of our own; there the
# probe's own parts are held to their limits too.
set -u
: "${BUILD:=build}"
probe=$BUILD/libexec/berth/probe
runs=${BENCH_RUNS:-40}
export BERTH_NO_CACHE=1

now() {
	date +%s%N
}

# once COMMAND...: microseconds of one run
once() {
	start=$(now)
	"$@" >/dev/null 2>&1
	echo $((($(now) - start) / 1000))
}

# least A B: the smaller; A may be empty
least() {
	if [ -z "$1" ] || [ "$2" -lt "$1" ]; then echo "$2"; else echo "$1"; fi
}

# compare COMMAND...: the quickest of `runs` runs of us, the peer and nothing, taken in turn so that
# whatever else the machine does disturbs all three alike
compare() {
	ours='' theirs='' nothing=''
	i=0
	while [ "$i" -lt "$runs" ]; do
		ours=$(least "$ours" "$(once "$probe")")
		theirs=$(least "$theirs" "$(once "$@")")
		nothing=$(least "$nothing" "$(once true)")
		i=$((i + 1))
	done
}

compare_all() {
	for peer in lspci 'lstopo --of console' 'nvtop -s'; do
		command -v "${peer%% *}" >/dev/null || { echo "probe: no ${peer%% *} here to compare with"; continue; }
		# shellcheck disable=SC2086
		compare $peer
		awk -v w="$1" -v p="${peer%% *}" -v a="$ours" -v b="$theirs" -v z="$nothing" 'BEGIN {
			printf "%s: probe %.1f ms, %s %.1f ms: ratio %.2f (starting a process: %.1f ms)\n",
				w, a / 1000, p, b / 1000, a / b, z / 1000 }'
	done
}

opens() {
	strace -f -e trace=open,openat,openat2 -o "$T/strace" "$@" >/dev/null 2>&1
	grep -c '/config"' "$T/strace"
}

count_opens() {
	if command -v strace >/dev/null; then
		echo "$1: config-space opens: probe $(opens "$probe"), lspci $(opens lspci), lstopo $(opens lstopo --of console)"
		[ "$(opens "$probe")" -eq 0 ]
	else
		echo "no strace here: config-space opens not counted"
	fi
}

# limit NAME VALUE MAX, in microseconds
limit() {
	awk -v n="$1" -v v="$2" -v m="$3" 'BEGIN {
		printf "8 sleeping GPUs: %s %.1f ms, of at most %.1f ms%s\n", n, v / 1000, m / 1000, (v > m) ? ": TOO SLOW" : ""
		exit (v > m) }'
}

# The quickest of many: what it takes, not what else the machine did. Other users' processes are not asked about.
own_parts() {
	bus='' both='' whole='' i=0
	while [ "$i" -lt "$runs" ]; do
		"$probe" -vv 2>&1 >/dev/null | sed -n 's/.*the bus took \([0-9.]*\) ms, the subjects. files \([0-9.]*\) ms.*/\1 \2/p' >"$T/parts"
		read -r a b <"$T/parts"
		bus=$(least "$bus" "$(awk -v a="$a" 'BEGIN { printf "%d", a * 1000 }')")
		both=$(least "$both" "$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%d", (a + b) * 1000 }')")
		whole=$(least "$whole" "$(once "$probe")")
		i=$((i + 1))
	done
	limit "the bus" "$bus" 2000 && limit "the bus and the files" "$both" 7000 && limit "the whole command" "$whole" 10000
}

T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
if [ "${1:-}" = inside ]; then
	compare_all '8 sleeping GPUs'
	own_parts && count_opens '8 sleeping GPUs'
	exit
fi
[ -d /sys/bus/pci/devices ] || echo "no PCI bus here: the peers have nothing to list"
compare_all 'this machine'
count_opens 'this machine'
rc=$?

tree=$T/eight
cp -R "$BUILD/tests/machines/eight-gpus" "$tree" || exit 1
find "$tree/sys/devices" -name class -exec dirname {} \; | while read -r d; do
	echo suspended >"$d/power/runtime_status"
	head -c 256 /dev/zero >"$d/config" # lspci reads it
done
skip() {
	echo "$1: 8 sleeping GPUs not measured"
	exit "$rc"
}
. tests/live.sh
$ns sh -c "$private"' && mount --bind "$0/sys" /sys && exec sh tests/bench/probe.sh inside' "$tree" || rc=1
exit "$rc"
