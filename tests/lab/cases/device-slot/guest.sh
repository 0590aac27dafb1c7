# shellcheck shell=dash
. /lab/device.sh
card=0000:01:00.0 second=0000:01:00.1 disk=0000:02:00.0 net=0000:03:00.0 gpu=0000:04:00.0
load bochs virtio_gpu vfio_pci vfio_iommu_type1 nvme crc32c_generic ext4 e1000e
wait_for 60 test -b /dev/nvme0n1 || fail "the disk is there" "$(ls /dev)"
is "the kernel calls the first slot external" "$(cat $PCI/$card/removable)" removable
remember

here() {
	[ -e "$PCI/$1/resource" ]
}

gone() {
	[ ! -e "$PCI/$1" ]
}

# soon NAME COMMAND...
soon() {
	name=$1
	shift
	if wait_for 60 "$@"; then
		ok "$name"
	else
		fail "$name" "not within a minute; QEMU said: ${answer:-nothing}"
	fi
}

# pulled ID: QEMU has it no more
pulled() {
	qmp '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}'
	case $answer in *"\"$1\""*) return 1 ;; esac
}

# plug_function ID DRIVER BUS FUNCTION
plug_function() {
	qmp "{\"execute\": \"device_add\", \"arguments\": {\"id\": \"$1\", \"driver\": \"$2\", \"bus\": \"$3\", \"addr\": \"$4\", \"multifunction\": true}}"
}

# plug_card [BUS]
plug_card() {
	plug_function cardB edu "${1:-out}" 0.1
	plug_function cardA edu "${1:-out}" 0.0
}

# --- resets ---

# resets ADDRESS METHOD: by it, and ids and registers are what they were
resets() {
	before=$(registers "$1")
	exits "reset $1 by $2" 0 berth device reset "$1" --method "$2" --any
	is "reset $1 by $2: ids and registers" "$(registers "$1")" "$before"
}
resets $disk flr
resets $disk bus
resets $net pm
resets $net bus
resets $gpu flr
resets $gpu bus
before=$(registers $card $second)
run berth device reset $card --any
is "reset a card of two functions" "$rc" 0
has "it says that both are" "2 functions" $T/stderr
is "reset a card of two functions: ids and registers" "$(registers $card $second)" "$before"
exits "a method it does not have" 4 berth device reset $net --method flr --any
wait_for 60 test -b /dev/nvme0n1
as_first "resets leave drivers and settings"

# --- eject ---

mke2fs /dev/nvme0n1 >/dev/null 2>&1
mkdir $T/data
mount -t ext4 /dev/nvme0n1 $T/data
exits "eject a disk in use" 5 berth device eject $disk --any
has "it says where it is mounted" "$T/data" $T/stderr
umount $T/data
exits "eject a disk" 0 berth device eject $disk --any
has "it says so" "You may unplug it now" $T/stdout
is "it is gone" "$(here $disk || echo gone)" gone
taken_back "eject a disk"

exits "eject a card" 0 berth device eject $card --any
is "both functions are gone" "$(here $card || here $second || echo gone)" gone
soon "its slot is off: QEMU has it no more" pulled cardA

# --- away and back, by hand ---

run berth device undo
is "undo cannot bring back what is not plugged in" "$rc" 6
has "and says why" "empty" $T/stderr
plug_card
soon "a card is plugged, and the kernel finds it" here $second
as_first "it is as the first was"

# --- pulled while a verb works on it ---

for verb in unbind eject reset; do
	exits "bind, for $verb" 0 berth device bind $card vfio-pci --any
	paused fsync 3 berth device $verb $card --any
	echo 0 >/sys/bus/pci/slots/1/power
	soon "it is gone under $verb" gone $card
	resumed
	is "$verb of what is pulled: its exit status" "$rc" 6
	exits "the journal, after $verb" 0 berth device journal
	plug_card
	soon "it is plugged again, after $verb" here $second
	exits "what comes next, after $verb" 0 berth device rescan
	as_first "all is as it was, after $verb"
done

# --- pulled, and plugged in elsewhere ---

exits "bind, for another slot" 0 berth device bind $card vfio-pci --any
paused fsync 3 berth device unbind $card --any
echo 0 >/sys/bus/pci/slots/1/power
soon "it is gone from its slot" gone $card
plug_card spare
soon "it is found in another one" here 0000:05:00.1
resumed
is "a card at another address: the exit status" "$rc" 6
has "and where it is is said" "a device with its ids (1234:11e8) is at 0000:05:00.0 now" $T/paused.out
echo 0 >/sys/bus/pci/slots/6/power
soon "it is gone from there" gone 0000:05:00.0
plug_card
soon "it is in its slot again" here $second
exits "what comes after it was elsewhere" 0 berth device rescan
as_first "all is as it was, after another slot"
keeps journal.json berth device journal --json
