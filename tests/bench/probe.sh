# berth probe against lspci and lstopo, in one run: the time of each, the ratio, and how many
# config-space files each opens (each such open wakes a sleeping device).
set -u
: "${BUILD:=build}"
probe=$BUILD/libexec/berth/probe
runs=${BENCH_RUNS:-40}

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

opens() {
	strace -f -e trace=open,openat,openat2 -o "$T/strace" "$@" >/dev/null 2>&1
	grep -c '/config"' "$T/strace"
}

T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
[ -d /sys/bus/pci/devices ] || echo "no PCI bus here: the peers have nothing to list"
for peer in lspci 'lstopo --of console'; do
	command -v "${peer%% *}" >/dev/null || { echo "probe: no ${peer%% *} here to compare with"; continue; }
	# shellcheck disable=SC2086
	compare $peer
	awk -v p="${peer%% *}" -v a="$ours" -v b="$theirs" -v z="$nothing" 'BEGIN {
		printf "probe %.1f ms, %s %.1f ms: ratio %.2f (starting a process: %.1f ms)\n",
			a / 1000, p, b / 1000, a / b, z / 1000 }'
done
if command -v strace >/dev/null; then
	echo "config-space opens: probe $(opens "$probe"), lspci $(opens lspci), lstopo $(opens lstopo --of console)"
	[ "$(opens "$probe")" -eq 0 ]
else
	echo "no strace here: config-space opens not counted"
fi
