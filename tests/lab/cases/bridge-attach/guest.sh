# shellcheck shell=dash
. /lab/device.sh
display=0000:00:02.0 gpu=0000:01:00.0 other=0000:01:00.1 lone=0000:00:05.0
load bochs vfio_pci vfio_iommu_type1
remember

# verdict CHECK DEVICE OPTION...: what the list says of it
verdict() {
	check=$1
	shift
	berth bridge list "$@" | sed -n "s/^  $check  *\([a-z]*\) .*/\1/p"
}

keeps list.txt berth bridge list --any --memory 64M
keeps list.json berth bridge list --any --json
as_first "looking changes nothing"
is "the IOMMU is seen" "$(verdict iommu $gpu)" yes
is "interrupts are remapped" "$(verdict interrupts $gpu)" yes
is "what can be attached" "$(verdict driver $gpu)" attach
is "root locks what it likes" "$(verdict memory $gpu)" yes
is "the boot display wants force" "$(verdict driver $display)" force

refuses "no such device" 1 '0000:77:00.0' berth bridge attach 0000:77:00.0
refuses "a display with a picture" 5 'Virtual-1' berth bridge attach $display
refuses "what is no GPU" 4 'any' berth bridge attach $lone
refuses "no driver of vfio's" 4 'none of vfio' berth bridge attach $gpu --driver bochs
as_first "refusals change nothing"

# --- there and back ---

exits "a dry run" 0 berth bridge attach $gpu --dry-run
as_first "a dry run changes nothing"
exits "attach" 0 berth bridge attach $gpu
has "attach says what follows" "$gpu is ready to be served" $T/stderr
is "both functions go" "$(drivers $gpu $other)" "vfio-pci vfio-pci "
is "it is ready" "$(berth bridge list $gpu --memory 64M | sed -n 2p)" "  can be bridged"
is "its file may be opened" "$(verdict permission $gpu)" yes
exits "QEMU's arguments" 0 berth bridge qemu-args $gpu --memory 64M --socket /run/gpu.sock
exits "again" 0 berth bridge attach $gpu
exits "another change meanwhile" 0 berth bridge attach $lone --any
exits "detach" 0 berth bridge detach $gpu
is "the other stays" "$(drivers $lone)" "vfio-pci "
exits "detach of the other" 0 berth bridge detach $lone
as_first "all is as it was"

# --- not ours to take back ---

exits "nothing is attached" 0 berth bridge detach $gpu
berth device bind $gpu vfio-pci >/dev/null 2>&1
exits "detach of what attach did not do" 1 berth bridge detach $gpu
has "it says what does" "berth device bind $gpu default" $T/stderr
taken_back "bind by hand"

# --- who has it ---

exits "attach once more" 0 berth bridge attach $gpu
hold "$(group_of $gpu)" $gpu
is "somebody has it" "$(verdict users $gpu)" no
refuses "arguments for a second guest" 5 'users: ' berth bridge qemu-args $gpu --socket /run/gpu.sock
refuses "detach under a guest" 5 'is in use: ' berth bridge detach $gpu
is "the guest keeps it" "$(drivers $gpu $other)" "vfio-pci vfio-pci "
let_go
exits "detach afterwards" 0 berth bridge detach $gpu
as_first "all is as it was, once more"
