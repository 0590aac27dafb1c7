# shellcheck shell=dash
#
# runtime_active_time of a device grows while it is awake, by the millisecond. The port stays awake for its
# autosuspend delay, 100 ms, whenever something below it was touched: so it always shows.
gpu=0000:01:00.0 port=0000:00:03.0
load bochs vfio_pci
bind $gpu vfio-pci
echo auto >$PCI/$port/power/control
echo auto >$PCI/$gpu/power/control

asleep() {
	[ "$(cat $PCI/$gpu/power/runtime_status) $(cat $PCI/$port/power/runtime_status)" = "suspended suspended" ]
}

awake_ms() {
	cat $PCI/$port/power/runtime_active_time
}

# woke COMMAND...: how long the port was awake for it, in $ms
woke() {
	wait_for 60 asleep || fail "the port sleeps" "$(cat $PCI/$port/power/runtime_status)"
	ms=$(awake_ms)
	run "$@"
	wait_for 60 asleep || fail "the port sleeps again after: $*" "$(cat $PCI/$port/power/runtime_status)"
	ms=$(($(awake_ms) - ms))
}

sleeps_through() {
	woke "$@"
	case $rc in
	0) is "$*: exits with 0 and wakes nothing" $ms 0 ;;
	*) fail "$*: exits with 0 and wakes nothing" "exit $rc, $ms ms awake: $(head -c 300 $T/stderr)" ;;
	esac
}

wakes() {
	name=$1
	shift
	woke "$@"
	if [ $ms -gt 0 ]; then
		ok "$name wakes it, and it shows"
	else
		fail "$name wakes it, and it shows" "$ms ms awake"
	fi
}

if wait_for 60 asleep; then
	ok "GPU and port fall asleep"
else
	fail "GPU and port fall asleep" "$(grep . $PCI/$port/power/* $PCI/$gpu/power/* 2>/dev/null)"
fi
# Were these not seen, the rest would prove nothing.
wakes "reading config" head -c 64 $PCI/$gpu/config
wakes "lspci" lspci

sleeps_through true
sleeps_through berth probe
sleeps_through berth probe -v
sleeps_through berth probe --json
cp $T/stdout /out/probe.json
sleeps_through berth probe --check
sleeps_through berth probe -q --capture /out/capture --json
cp $T/stdout /out/captured.json
sleeps_through berth top --once
sleeps_through berth top --once --json
