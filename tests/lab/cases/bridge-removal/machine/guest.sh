# shellcheck shell=dash
. /case/card.sh

left() {
	[ "$(bridge "$1" client_pid)" = None ]
}

exits "the driver" 0 insmod /case/labdrive.ko

# --- the system removes it ---

use 01 first way1
under_load
exits "remove, under load" 0 sh -c "echo 1 >$dev/remove"
is "it is gone" "$(absent && echo yes)" yes
echo 1 >/sys/bus/pci/rescan
soon "a rescan finds it" here
works "after a rescan" "1 msi"
is "it is the same" "$(bridge first generation clients state refused_messages)" "1 1 running 0"

# --- its registers read all-ones while its config space answers: completions time out ---

under_load
echo "ff0 5" >$dev/poke
soon "the driver sees all-ones" seen_gone
is "what was read before was right" "$(cut -d ' ' -f 5-6 $dev/load)" "bad 0"
is "its config space answers" "$(setpci -s $card 0.l)" be471234
is "a bridge that can tell them apart has not lost it" "$(bridge first generation state)" "1 running"
exits "remove of a card that is dumb" 0 sh -c "echo 1 >$dev/remove"

# --- the slot loses its power with the driver at work: QEMU throws the card out at once ---

use 02 second way2
under_load
setpci -s 00:04.0 CAP_EXP+18.w=0700:0700
soon "the driver sees that its card is not there" seen_gone
soon "the bridge sees its client go" left second
is "and has the device still" "$(bridge second generation state)" "1 waiting"
is "nothing of the guest's memory is mapped" "$(bridge second dma_maps)" 0
exits "remove of a card that was thrown out" 0 sh -c "echo 1 >$dev/remove"
# The slot is off as the kernel left it, and its link down: switched on, and looked at again.
again || fail "another can be plugged" "${answer:-}"
setpci -s 00:04.0 CAP_EXP+18.w=0000:0700
echo 1 >/sys/bus/pci/rescan
soon "its driver takes the next" here
works "after it was thrown out" "1 msi"
is "it is the same device, and another client" "$(bridge second generation clients state)" "1 2 running"

# --- its accesses do not end: the bridge gives it up, and the guest goes on ---

use 03 third way3
under_load
echo "ff0 2" >$dev/poke
soon "the driver sees that a card that hangs is gone" seen_gone
soon "the bridge has given it up" lost
is "what was read before was right" "$(cut -d ' ' -f 5-6 $dev/load)" "bad 0"
exits "remove of a card that hung" 0 sh -c "echo 1 >$dev/remove"
use 02 second way2
works "beside a card that hung" "1 msi"
