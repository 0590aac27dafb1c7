# shellcheck shell=dash
. /case/card.sh

# told TEXT: the bridge has said so
told() {
	[ "$(bridge gpu said "$1")" -ge 1 ]
}

use 01 gpu way
exits "the driver" 0 insmod /case/labdrive.ko
works "as it came: MSI-X is hidden, so that QEMU outlives the unplug" "1 msi"
is "its memory is mapped" "$(bridge gpu mode)" hybrid
# Somebody pulls the cable, in the middle of it all, and does nothing more.
under_load
echo "ff0 1" >$dev/poke
soon "the bridge asks for the unplug" told "has been asked to unplug /machine/peripheral/gpu"
soon "the guest lets go of the card" absent
soon "the bridge knows" told "the guest has let go of the lost device"
is "the card is lost, and has no client" "$(bridge gpu settled state client_pid)" "LOST None"
run lspci -xxxx
is "the guest lives on" "$rc" 0
use 01 gpu way
plug_again
soon "its driver takes it" here
works "as a new generation" "1 msi"
is "it is the second" "$(bridge gpu settled generation state)" "2 running"
