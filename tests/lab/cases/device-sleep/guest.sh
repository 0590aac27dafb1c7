# shellcheck shell=dash
. /lab/device.sh
gpu=0000:01:00.0 port=0000:00:03.0
load bochs vfio_pci
bind $gpu vfio-pci
echo on >$PCI/$gpu/power/control
remember

asleep() {
	[ "$(cat $PCI/$gpu/power/runtime_status) $(cat $PCI/$port/power/runtime_status)" = "suspended suspended" ]
}

awake() {
	[ "$(cat $PCI/$gpu/power/runtime_status)" = active ]
}

slept() {
	cat $PCI/$gpu/power/runtime_suspended_time
}

is "at first it may not sleep" "$(cat $PCI/$gpu/power/control)" on
exits "sleep allow" 0 berth device sleep $gpu allow
wait_for 60 asleep || fail "it sleeps, and its port" "$(cat $PCI/$gpu/power/runtime_status $PCI/$port/power/runtime_status)"
before=$(slept)
grows() {
	[ "$(slept)" -gt "$before" ]
}
if wait_for 60 grows; then ok "its time asleep grows"; else fail "its time asleep grows" "$before ms, then $(slept)"; fi
ms=$(cat $PCI/$gpu/power/runtime_active_time)
exits "list" 0 berth device list
exits "sleep, of what sleeps already" 0 berth device sleep $gpu allow
exits "the journal" 0 berth device journal
is "none of these wakes it" "$(cat $PCI/$gpu/power/runtime_active_time)" "$ms"
exits "sleep forbid" 0 berth device sleep $gpu forbid
wait_for 60 awake
is "it is awake" "$(cat $PCI/$gpu/power/runtime_status $PCI/$gpu/power/control | tr '\n' ' ')" "active on "
exits "undo" 0 berth device undo
wait_for 60 asleep
is "it sleeps again" "$(cat $PCI/$gpu/power/runtime_status $PCI/$gpu/power/control | tr '\n' ' ')" "suspended auto "
taken_back "sleep allow"
refuses "a word that is none" 2 "allow" berth device sleep $gpu perhaps
refuses "an address that is none" 1 "0000:77:00.0" berth device sleep 0000:77:00.0 allow
refuses "a cap where nothing has one" 5 "no power limit" berth device power $gpu --cap 100W
exits "what can be asked of its power" 0 berth device power $gpu
has "it says what" "no power limit" $T/stdout
as_first "nothing else has changed"
