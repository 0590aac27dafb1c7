# shellcheck shell=dash
. /lab/device.sh
held=0000:00:03.0 other=0000:00:04.0
load bochs vfio_pci vfio_iommu_type1
remember
exits "bind" 0 berth device bind $held vfio-pci --any
hold "$(group_of $held)" $held

# --- a driver that does not let go ---

exits "unbind what is held" 5 berth device unbind $held --any
has "it says who holds it" "vfio_hold" $T/stderr
has "and by which number" "$holder" $T/stderr
is "it still has its driver" "$(driver_of $held)" vfio-pci
exits "unbind it by force" 5 berth device unbind $held --any --force
has "it says that it hangs" "hangs" $T/stderr
exits "list answers meanwhile" 0 berth device list --any
exits "probe answers meanwhile" 0 berth probe
exits "the journal answers meanwhile" 0 berth device journal
exits "another wants something of it meanwhile" 5 berth device bind $held vfio-pci --any
has "it says why not" "$held" $T/stderr
let_go
exits "after its holder has ended" 0 berth device unbind $held --any
has "what was open is brought to its end" "transaction 2" $T/stderr
is "it has no driver" "$(driver_of $held)" ""
exits "undo" 0 berth device undo
run berth device undo
state >$T/now
is "all is as it was" "$(diff $T/first $T/now)" ""

# --- two at once ---

berth device bind $held vfio-pci --any >$T/a 2>&1 3>&- &
a=$!
berth device bind $other vfio-pci --any >$T/b 2>&1 3>&- &
b=$!
wait $a
is "one of two callers" $? 0
wait $b
is "the other" $? 0
is "both are done" "$(driver_of $held) $(driver_of $other)" "vfio-pci vfio-pci"
exits "undo of one" 0 berth device undo
taken_back "undo of the other"

# One is stopped in the middle: who comes then waits, says for whom, and gives up.
paused fsync 3 berth device bind $held vfio-pci --any
exits "who comes second" 5 berth device bind $other vfio-pci --any
has "it says for whom it waited" "bind" $T/stderr
resumed
is "the first goes on" "$rc" 0
is "and is done" "$(driver_of $held) $(driver_of $other)" "vfio-pci "
taken_back "the first"
