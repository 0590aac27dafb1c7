# shellcheck shell=dash
# Errors of the bus under a revocable map: what the kernel is told of, and what it does about it. Sourced by revoke.sh.
NIC=0000:04:00.0

# inject NAME: an error that the port above reports; the emulated card has no switch for its own
inject() {
	qmp "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"pcie_aer_inject_error aer $1\"}}"
	case $answer in
	*"OK id"*) ;;
	*) fail "the emulator injects $1" "$answer" ;;
	esac
}

mine $NIC 0
talk $NIC
does "a card is mapped" "ok ok" "mmap 0 0 0x20000" alarm
status=$(ask "peek 8")
inject COMP_TIME
does "an error that harms nothing is told" yes asked
does "and the map is the device" "$status $status" "peek 8" "read 0 8 4"
quit
talk $NIC
does "mapped by three" "ok ok ok ok" "mmap 0 0 0x20000" alarm "loop 0 0x20000 0x5200" "loop 0 0x20000 0x5204"
does "at work" "ok ok" "rounds 50" "expect 3"
mended=$(dmesg | grep -c 'device recovery successful')
inject MALF_TLP
does "one for which the kernel resets the bus is told, too" yes asked
recovered() {
	[ "$(dmesg | grep -c 'device recovery successful')" -gt "$mended" ]
}
true_that "the kernel mends the bus" wait_for 120 recovered
does "maps are ones, for the reset took the card's addresses" "ok ok ok $DEAD EIO" "expect 1" "rounds 3" "expect 3" "peek 8" "read 0 8 4"
does "until the program switches memory on" "ok ok $status $status" "$OFF" "$ON" "peek 8" "read 0 8 4"
does "which no program dies of" ok stop
quit
talk $NIC
does "nor is it worse for who opens it next" "ok $status" "mmap 0 0 0x20000" "peek 8"
quit
echo $NIC >/sys/bus/pci/drivers/berth_vfio/unbind
