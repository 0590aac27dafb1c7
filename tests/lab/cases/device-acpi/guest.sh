# shellcheck shell=dash
. /lab/device.sh
card=0000:01:00.0
remember

# pulled ID: QEMU has it no more
pulled() {
	qmp '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}'
	case $answer in *"\"$1\""*) return 1 ;; esac
}

exits "eject it" 0 berth device eject $card --any
has "it says which slot is off" "is off: you may take the card out now" $T/stdout
is "it is gone" "$([ -e $PCI/$card ] || echo gone)" gone
wait_for 60 pulled card || fail "QEMU has it no more" "$answer"
run berth device undo
is "undo cannot bring back what is not plugged in" "$rc" 6
qmp '{"execute": "device_add", "arguments": {"id": "card", "driver": "edu", "bus": "out"}}'
wait_for 60 test -e $PCI/$card/resource || fail "it is plugged, and the kernel finds it" "$answer"
as_first "it is as the first was"
exits "what is on the root bus stays" 5 berth device eject 0000:00:05.0 --any
has "and why is said" "no port above it serves hot-plug" $T/stderr
