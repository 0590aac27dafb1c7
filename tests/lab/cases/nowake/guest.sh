# shellcheck shell=dash
#
# runtime_active_time of a device grows while it is awake, by the millisecond. The port stays awake for its
# autosuspend delay, 100 ms, whenever something below it was touched: so it always shows.
gpu=0000:01:00.0 port=0000:00:03.0
load bochs vfio_pci
bind $gpu vfio-pci
for d in $port $gpu; do
	echo auto >"$PCI/$d/power/control"
done

asleep() {
	for d in $gpu $port; do
		[ "$(cat "$PCI/$d/power/runtime_status")" = suspended ] || return 1
	done
}

# The milliseconds for which either has been awake, added up.
awake_ms() {
	sum=0
	for d in $gpu $port; do
		sum=$((sum + $(cat "$PCI/$d/power/runtime_active_time")))
	done
	echo $sum
}

states() {
	for d in $gpu $port; do
		echo "$d: $(cat "$PCI/$d/power/runtime_status"), usage $(cat "$PCI/$d/power/runtime_usage")"
	done
}

# woke COMMAND...: how long they were awake for it, in $ms
woke() {
	wait_for 60 asleep || fail "both sleep before: $*" "$(states)"
	ms=$(awake_ms)
	run "$@"
	wait_for 60 asleep || fail "both sleep again after: $*" "$(states)"
	ms=$(($(awake_ms) - ms))
}

# sleeps_through STATUSES COMMAND...: it exits with one of these
sleeps_through() {
	want=$1
	shift
	woke "$@"
	case "$ms: $want " in
	"0:"*" $rc "*) ok "$*: wakes nothing" ;;
	*) fail "$*: wakes nothing" "exit $rc, $ms ms awake: $(head -c 300 $T/stderr)" ;;
	esac
}

# wakes COMMAND...
wakes() {
	woke "$@"
	if [ $ms -gt 0 ]; then
		ok "$*: wakes, and it shows"
	else
		fail "$*: wakes, and it shows" "exit $rc, $ms ms awake"
	fi
}

if ! wait_for 60 asleep; then
	fail "GPU and port fall asleep" "$(states)"
	exit 0
fi
# Were these not seen, the rest would prove nothing.
wakes head -c 64 $PCI/$gpu/config
wakes lspci
wakes berth probe --check --wake

sleeps_through 0 true
sleeps_through 0 berth probe
sleeps_through 0 berth probe -vv
sleeps_through 0 berth probe --topology
sleeps_through 0 berth probe --format env
sleeps_through 0 berth probe --format slurm
sleeps_through 0 berth probe --check
sleeps_through 0 berth probe --json
cp $T/stdout /out/probe.json
sleeps_through 0 berth probe -q --capture /out/capture --json
cp $T/stdout /out/captured.json
# What doctor finds is not the question here: all its verdicts will do.
sleeps_through '0 1 3 10' berth doctor
sleeps_through '0 1 3 10' berth doctor --json
sleeps_through '0 1 3 10' berth doctor link $gpu
sleeps_through '0 1 3 10' berth doctor bar $gpu
sleeps_through 0 berth top --once
sleeps_through 0 berth top --once --json
